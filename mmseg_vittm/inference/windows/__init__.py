"""Sliding windows to labels: operations with a readable reference and fast paths. They need PyTorch alone."""
from .axis import local_matrix, resampling_matrix, window_starts, windows_over
from .checked_kernel import use_triton
from .labels import tiled_confidence, window_labels, window_logits

__all__ = ['local_matrix', 'resampling_matrix', 'tiled_confidence', 'use_triton', 'window_labels', 'window_logits',
           'window_starts', 'windows_over']
