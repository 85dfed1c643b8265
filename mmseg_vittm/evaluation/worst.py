"""The worst images of an evaluation, each as a small picture of input, truth and prediction."""
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from torch import Tensor

from .details import ImageScore

SIDE = 360  # pixels of the longer side of what is kept
BANDS = 3  # of the input


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """An image in small.

    Attributes:
        score: How it was segmented.
        image: What the network was given of it, its first three bands, (h, w, C); None where that is unknown.
        truth: Labels, (h, w) uint8 or uint16; void as in `prediction`.
        prediction: Labels, (h, w).
    """
    score: ImageScore
    image: np.ndarray | None = field(repr=False)
    truth: np.ndarray = field(repr=False)
    prediction: np.ndarray = field(repr=False)


class WorstImages:
    """Keeps the worst images of those that it is shown, so many and no more.

    Args:
        most: How many; 0 for none.
    """

    def __init__(self, most: int):
        self.most = most
        self.found: list[Thumbnail] = []  # the worst first

    def add(self, score: ImageScore, image: Tensor | None, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Takes an image in if it is among the worst so far; it is made small only then.

        Args:
            score: How it was segmented; one without a labelled pixel is left out.
            image: (C, H, W), as the pipeline gives it; or None.
            truth: Labels, (h, w) uint8 or uint16.
            prediction: Labels, (h, w).
        """
        if not self.most or math.isnan(score.miou):
            return
        if len(self.found) == self.most and score.rank >= self.found[-1].score.rank:
            return
        self.found = sorted([*self.found, _small(score, image, truth, prediction)], key=_rank)[:self.most]


def worst_of(parts: Iterable[Iterable[Thumbnail]], most: int) -> list[Thumbnail]:
    """Returns the worst of what several processes found; an image that was dealt out twice comes once."""
    by_name = {one.score.name: one for part in parts for one in part}
    return sorted(by_name.values(), key=_rank)[:most]


def _rank(image: Thumbnail) -> tuple[float, str]:
    return image.score.rank


def _small(score: ImageScore, image: Tensor | None, truth: np.ndarray, prediction: np.ndarray) -> Thumbnail:
    height, width = truth.shape
    factor = min(1, SIDE / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    if image is not None:
        bands = image[:BANDS] if len(image) >= BANDS else image[:1]
        shown = bands.permute(1, 2, 0).cpu().numpy()
        shown = shown if shown.dtype in (np.uint8, np.uint16) else shown.astype(np.float32)
        image = cv2.resize(shown, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    labels = (cv2.resize(one, size, interpolation=cv2.INTER_NEAREST) for one in (truth, prediction))
    return Thumbnail(score, image, *labels)
