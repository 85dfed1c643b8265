"""Frequencies of classes, and the weights that follow from them."""
import numpy as np

LARGEST_RATIO = 20.0  # between two weights


def class_weights(pixels: np.ndarray, power: float = 0.5) -> np.ndarray:
    """Returns weights of classes for a loss, inverse to a power of their frequencies.

    A pixel's mean weight is 1, so that the loss keeps its scale, and so the learning rate its meaning. No weight is
    over `LARGEST_RATIO` times the smallest; classes that do not occur get the largest.

    Args:
        pixels: (K,) pixels of each class; some class has some.
        power: 0 is weights of 1; at 1 all classes count alike; 0.5, between them, is the usual choice.

    Returns:
        (K,) float64.
    """
    shares = pixels / pixels.sum()
    weights = np.where(shares > 0, shares, 1.0) ** -power
    weights = np.where(shares > 0, weights, np.inf)
    weights = np.minimum(weights, weights.min() * LARGEST_RATIO)
    return weights / (shares * weights).sum()


def image_shares(counts: np.ndarray, power: float, most: float) -> np.ndarray:
    """Returns how often each image is to be drawn, of all draws.

    An image weighs the mean over its labelled pixels of their classes' inverse frequency, to a power: at 0 all images
    are alike; at 1 each class brings the same in all, shared out among the images by what of them is of it. All images
    count alike for the frequencies, whatever their size, since a crop of each is seen.

    Args:
        counts: (N, K) pixels of each class in each image.
        power: See above.
        most: No image is drawn more than so many times as often as by equal shares, 1 / N.

    Returns:
        (N,) float64, of sum 1; 0 for images without labelled pixels.
    """
    pixels = counts.sum(1, keepdims=True)
    labelled = pixels[:, 0] > 0
    parts = counts / np.maximum(pixels, 1)
    frequencies = parts.sum(0) / labelled.sum()
    seen = frequencies > 0
    weights = parts[:, seen] @ frequencies[seen] ** -power
    limit = max(most / len(counts), 1 / labelled.sum())
    shares, full = weights / weights.sum(), np.zeros(len(counts), bool)
    while (shares > limit * (1 + 1e-9)).any():  # what is over goes to the others; each round fills one or more
        full |= shares >= limit
        rest = labelled & ~full
        shares = np.where(full, limit, 0.0)
        shares[rest] = weights[rest] / weights[rest].sum() * (1 - full.sum() * limit)
    return shares
