"""Configs: read, changed by settings, checked and tried before anything is built to be used."""
