"""Which class was taken for which: the confusion matrix, and what follows from it."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Pairs(NamedTuple):
    """The entries of a confusion matrix that are not zero; an image of 150 classes has some 100 of 22,500.

    Attributes:
        places: Row times number of columns plus column, ascending.
        counts: Pixels, as many.
    """
    places: np.ndarray
    counts: np.ndarray


class Confusion(NamedTuple):
    """A class that was taken for another one.

    Attributes:
        truth: What it is.
        prediction: What it was taken for.
        pixels: How many.
        share: Of the true class's pixels, 0 to 1.
    """
    truth: int
    prediction: int
    pixels: int
    share: float


class ClassScores(NamedTuple):
    """Scores of every class, 0 to 1 each; NaN where nothing says anything of one.

    Attributes:
        iou: Right pixels over those that truth or prediction have; NaN where neither has the class.
        recall: Right pixels over the truth's, which MMSegmentation calls Acc; NaN where the truth has none.
        precision: Right pixels over the prediction's; NaN where the prediction has none.
        f1: Twice the right pixels over the truth's and the prediction's, also called Dice; NaN as of `iou`.
    """
    iou: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    f1: np.ndarray


def count_pairs(prediction: Tensor, truth: Tensor, classes: int) -> Pairs:
    """Counts pixels by what they are and what they were taken for.

    Args:
        prediction: Labels below `classes`, (N) integers.
        truth: Labels below `classes`, (N), without void pixels.
        classes: Number of classes.
    """
    counts = torch.bincount(truth.long() * classes + prediction.long(), minlength=classes**2).cpu().numpy()
    places = np.flatnonzero(counts)
    return Pairs(places.astype(np.uint32), counts[places])


def confusion_matrix(images: Sequence[Pairs], classes: int) -> np.ndarray:
    """Returns the sum of several images, (classes, classes) int64: a row per true class, a column per prediction."""
    matrix = np.zeros(classes**2, np.int64)
    for pairs in images:
        matrix[pairs.places] += pairs.counts
    return matrix.reshape(classes, classes)


def class_scores(matrix: np.ndarray) -> ClassScores:
    """Returns the scores of every class, as MMSegmentation's `IoUMetric` defines them."""
    right, true, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    return ClassScores(iou=divide(right, true + predicted - right), recall=divide(right, true),
                       precision=divide(right, predicted), f1=divide(2 * right, true + predicted))


def most_confused(matrix: np.ndarray, most: int, least: float = 0.0) -> list[Confusion]:
    """Returns the pairs that cost the most pixels.

    Args:
        matrix: See `confusion_matrix`.
        most: How many pairs at most.
        least: Share of all pixels that a pair has at least.

    Returns:
        The pairs, the most pixels first.
    """
    wrong = matrix * (1 - np.eye(len(matrix), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind='stable')[:most]
    pairs = [divmod(int(place), len(matrix)) for place in order]
    return [Confusion(a, b, int(matrix[a, b]), float(matrix[a, b] / matrix[a].sum())) for a, b in pairs
            if wrong[a, b] > max(0, least * matrix.sum())]


def divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Returns shares; NaN where there is nothing to share."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)


def mean(values: np.ndarray) -> float:
    """Returns the mean over the classes that have a value; NaN where none has."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float('nan')
