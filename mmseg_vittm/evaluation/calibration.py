"""Calibration: whether a segmentor that says it is 90% sure is right 90% of the time."""
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .confusion import divide

BINS = 15  # Guo et al.'s


class Reliability(NamedTuple):
    """Pixels by how sure the segmentor was of them, in bins of equal width from 0 to 1.

    Attributes:
        pixels: In each bin, (bins).
        right: Of these, those that were labelled right.
        confidence: Sum of their confidences.
    """
    pixels: np.ndarray
    right: np.ndarray
    confidence: np.ndarray

    @property
    def accuracy(self) -> np.ndarray:
        """The share of right pixels in each bin, NaN in empty ones."""
        return divide(self.right, self.pixels)

    @property
    def mean_confidence(self) -> np.ndarray:
        """The mean confidence in each bin, NaN in empty ones."""
        return divide(self.confidence, self.pixels)


def count_reliability(confidence: Tensor, right: Tensor, bins: int = BINS) -> Reliability:
    """Counts pixels by confidence: a bin takes what is above its lower bound, up to its upper one.

    Args:
        confidence: The probability of each pixel's label, (N) 0 to 1.
        right: Whether the label is right, (N) bool.
        bins: How many.
    """
    confidence = confidence.double()
    place = (torch.ceil(confidence * bins) - 1).clamp(0, bins - 1).long()
    counts = (torch.bincount(place, weights, minlength=bins).cpu().numpy()
              for weights in (None, right.double(), confidence))
    pixels, correct, summed = counts
    return Reliability(pixels, correct.astype(np.int64), summed)


def calibration_error(counts: Reliability) -> float:
    """Returns the expected calibration error, 0 to 1; NaN without a pixel.

    It is the mean over pixels of how far the accuracy of their bin is from its mean confidence. Source: Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017, arXiv 1706.04599, equation 3.
    """
    total = counts.pixels.sum()
    return float(np.abs(counts.right - counts.confidence).sum() / total) if total else float('nan')
