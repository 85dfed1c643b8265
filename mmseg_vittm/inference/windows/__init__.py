"""Sliding windows to labels: operations with a readable reference and fast paths. They need PyTorch alone."""
from .axis import axis_operator, window_starts
from .labels import window_labels, window_logits

__all__ = ['axis_operator', 'window_labels', 'window_logits', 'window_starts']
