"""Processes of a run: signals that stop it, data workers and other processes that die."""
