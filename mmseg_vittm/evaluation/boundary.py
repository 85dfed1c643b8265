"""Boundary IoU: how well the outlines of classes are met, whatever is inside."""
import math
from typing import NamedTuple

import cv2
import numpy as np

RATIO = 0.02  # of the image's diagonal: Cheng et al.'s


class BoundaryCounts(NamedTuple):
    """Pixels of the boundary bands of the classes that have any, of one image.

    Attributes:
        classes: Which classes.
        intersections: Pixels that are in a class's band in truth and prediction.
        unions: Pixels that are in a class's band in either.
    """
    classes: np.ndarray
    intersections: np.ndarray
    unions: np.ndarray


def band_width(size: tuple[int, int], ratio: float = RATIO) -> int:
    """Returns how wide the bands of an image of a size, (height, width), are: in pixels, at least 1."""
    return max(1, round(ratio * math.hypot(*size)))


def boundary_labels(labels: np.ndarray, width: int, void: int) -> np.ndarray:
    """Returns labels where they are near a boundary, and void elsewhere.

    A pixel of a class is near one where a pixel that is not of that class is at most `width` rows and columns away: its
    mask without the mask eroded, of all classes at once. The band is on the inside, as Cheng et al. have it. Void, and
    what lies beyond the image, is of no class, so that there is a boundary too: their programs pad the image with
    zeros, and published values have it so.

    Two passes of a sliding maximum and minimum, whatever the number of classes.

    Args:
        labels: (H, W) uint8 or uint16.
        width: Of the band, in pixels.
        void: Label of no class.

    Returns:
        (H, W), the same type.
    """
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    padded = cv2.copyMakeBorder(labels, width, width, width, width, cv2.BORDER_CONSTANT, value=void)
    inside = (slice(width, -width), slice(width, -width))
    lowest, highest = cv2.erode(padded, kernel)[inside], cv2.dilate(padded, kernel)[inside]
    return np.where(lowest == highest, np.asarray(void, labels.dtype), labels)


def count_boundaries(prediction: np.ndarray, truth: np.ndarray, classes: int, void: int,
                     ratio: float = RATIO) -> BoundaryCounts:
    """Counts the pixels of the classes' boundary bands in an image.

    Void pixels of the truth are taken out of the prediction too, before there are bands: a class that ends at void ends
    there in both. Summed over a data set, intersections over unions are the Boundary IoU of each class. Source: Cheng
    et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR 2021, arXiv 2103.16562.

    Args:
        prediction: Labels below `classes`, (H, W) uint8 or uint16.
        truth: Labels, (H, W), the same type.
        classes: Number of classes.
        void: Label of the truth's void pixels, above all classes.
        ratio: Width of the bands as a share of the image's diagonal.
    """
    width = band_width(truth.shape, ratio)
    near_true = boundary_labels(truth, width, void)
    near_predicted = boundary_labels(np.where(truth == void, truth, prediction), width, void)
    true, predicted, both = (np.bincount(labels.reshape(-1), minlength=classes)[:classes] for labels in (
        near_true, near_predicted, near_true[near_true == near_predicted]))
    unions = true + predicted - both
    there = np.flatnonzero(unions)
    return BoundaryCounts(there.astype(np.uint16), both[there], unions[there])
