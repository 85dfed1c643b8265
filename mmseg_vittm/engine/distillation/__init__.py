"""Distillation: a trained segmentor teaches the one in training by its logits and, as an option, its features."""
