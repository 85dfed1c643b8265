"""Thumbnail: a large image and its labels, small enough to be looked at, gathered while it is segmented."""
from collections.abc import Sequence

import numpy as np

from ...datasets.bands.reading import HIGH, LOW, preview

LONGEST = 2048  # pixels of a side


class Thumbnail:
    """Every so many pixels of an image and of its labels.

    Args:
        size: Height and width of the image.
        unlabelled: The label of pixels without data.
        longest: Pixels that the thumbnail's longer side has at most.

    Attributes:
        step: Pixels of the image from one that is shown to the next.
        labels: (h, w), those shown.
    """

    def __init__(self, size: tuple[int, int], unlabelled: int, longest: int = LONGEST):
        self.step, self.unlabelled = -(-max(size) // longest), unlabelled
        self._shown = [range(min(self.step // 2, side - 1), side, self.step) for side in size]
        self.labels = np.full([len(shown) for shown in self._shown], unlabelled, np.int64)
        self._pixels: np.ndarray | None = None

    def see(self, place: tuple[slice, slice], pixels: np.ndarray) -> None:
        """Takes what is shown of a part of the image, pixels (h, w, C)."""
        colours = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1]
        if self._pixels is None:
            self._pixels = np.zeros((*self.labels.shape, colours.shape[2]), pixels.dtype)
        there, here = self._inside(place)
        self._pixels[there] = colours[here]

    def label(self, place: tuple[slice, slice], labels: np.ndarray) -> None:
        """Takes what is shown of the labels (h, w) of a part of the image."""
        there, here = self._inside(place)
        self.labels[there] = labels[here]

    def _inside(self, place: tuple[slice, slice]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Returns where a part of the image is in the thumbnail, and which of the part's pixels are."""
        there, here = [], []
        for part, shown in zip(place, self._shown, strict=True):
            first = max(0, -(-(part.start - shown.start) // self.step))
            last = max(first, -(-(part.stop - shown.start) // self.step))
            there.append(slice(first, min(last, len(shown))))
            here.append(slice(shown.start + first * self.step - part.start, None, self.step))
        return tuple(there), tuple(here)

    def image(self, rgb: Sequence[int] | None = None) -> np.ndarray:
        """Returns the image, (h, w, 3) uint8 RGB; of more than 8 bits stretched between percentiles of what has data.

        Args:
            rgb: Which of its three bands are red, green and blue; None is their order.
        """
        pixels = self._pixels
        if pixels.dtype == np.uint8:
            return preview(pixels, rgb)
        known = pixels[(self.labels != self.unlabelled) & np.isfinite(pixels).all(axis=2)]
        limits = np.percentile(known.astype(np.float32), (LOW, HIGH), axis=0) if len(known) else None
        return preview(pixels, rgb, limits)
