"""Operations with a readable reference and fast paths of the same signature. They need PyTorch alone."""
from .linear_attention import linear_attention, merge_heads, split_heads
from .window_axis import axis_operator, window_starts
from .window_labels import window_labels, window_logits

__all__ = ['axis_operator', 'linear_attention', 'merge_heads', 'split_heads', 'window_labels', 'window_logits',
           'window_starts']
