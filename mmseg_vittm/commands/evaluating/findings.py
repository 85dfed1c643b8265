"""Findings: what is wrong with a segmentor, in sentences; the report begins with them."""
from collections.abc import Iterator

import numpy as np

from ...evaluation.calibration import calibration_error
from ...evaluation.confusion import most_confused
from ...evaluation.details import Details
from .results import percent

NAMED = 3  # of each kind
LOST, MOST_LOST = 0.01, 8  # the recall of classes that are hardly found; how many are named
GOOD = 0.01  # an ECE that is nothing to speak of


def findings(details: Details) -> list[str]:
    """Returns what is wrong, the most telling first."""
    return [*_weak_classes(details), *_confusions(details), *_outlines(details), *_calibration(details)]


def _weak_classes(details: Details) -> Iterator[str]:
    iou, pixels = details.by_class.iou, details.matrix.sum(1)
    recall = details.by_class.recall
    lost = [name for name, found in zip(details.classes, recall, strict=True) if found < LOST]
    if lost:
        yield f'Hardly ever found, or never: {_listed(lost, MOST_LOST)}.'
    there = [place for place in np.argsort(iou, kind='stable') if recall[place] >= LOST]
    if there:
        named = (f'{details.classes[place]} (IoU {percent(iou[place], 1)}, {percent(pixels[place] / pixels.sum(), 1)}% '
                 'of the pixels)' for place in there[:NAMED])
        yield f'Weakest{" of the others" * bool(lost)}: {", ".join(named)}.'


def _confusions(details: Details) -> Iterator[str]:
    total = details.matrix.sum()
    wrong = total - np.trace(details.matrix)
    if wrong:
        pairs = (f'{details.classes[pair.truth]} taken for {details.classes[pair.prediction]} '
                 f'({percent(pair.pixels / wrong, 0)}% of the wrong pixels, {percent(pair.share, 0)}% of '
                 f'{details.classes[pair.truth]})' for pair in most_confused(details.matrix, NAMED))
        yield f'{percent(wrong / total, 1)}% of the pixels are wrong. Most of them: {"; ".join(pairs)}.'


def _outlines(details: Details) -> Iterator[str]:
    fall = details.by_class.iou - details.boundary_iou
    places = [place for place in np.argsort(-fall, kind='stable') if fall[place] > 0][:NAMED]
    if places:
        named = (f'{details.classes[place]} ({percent(details.by_class.iou[place], 1)} to '
                 f'{percent(details.boundary_iou[place], 1)})' for place in places)
        yield f'Outlines are worse than areas most of all, from IoU to Boundary IoU, of {", ".join(named)}.'


def _calibration(details: Details) -> Iterator[str]:
    counts = details.reliability
    if counts is None or not counts.pixels.sum():
        return
    error, total = calibration_error(counts), counts.pixels.sum()
    said, right = counts.confidence.sum() / total, counts.right.sum() / total
    if error < GOOD:
        which = 'well calibrated'
    elif abs(said - right) < error / 2:
        which = 'too sure here and not sure enough there'
    else:
        which = 'too sure of itself' if said > right else 'not sure enough'
    yield (f'The model is {which}: it says {percent(said, 1)}% on average, and is right in {percent(right, 1)}% of the '
           f'pixels; ECE {percent(error)}%.')


def _listed(names: list[str], most: int) -> str:
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
