"""The labels of a large image, block by block: what the model gives on the whole of it, in memory of a few windows.

Labels are linear in the low-resolution logits of windows until the argmax (`windows.axis`), and a pixel's are those of
the windows over it. So a row of blocks needs the rows of windows that touch it: each is computed once, kept as
low-resolution logits, and dropped when the blocks are past it. Where even these would be too many numbers, in very wide
images with many classes, the image is cut into strips from top to bottom, and only the windows over two strips are
computed twice.
"""
import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..slide_segmentor import SlideSegmentor
from ..windows import local_matrix, window_labels, window_logits
from .grid import Grid
from .source import RasterSource

BLOCK = 512  # pixels of a side, and multiples of 16, as GeoTIFF has blocks
MOST_LOGITS = 2**26  # low-resolution logits that are kept at once: 256 MiB

Seen = Callable[[tuple[slice, slice], np.ndarray], None]


class Block(NamedTuple):
    """Labels of a part of the image.

    Attributes:
        place: Its rows and columns.
        labels: Class indices (h, w), int64; of pixels without data `unlabelled`.
    """
    place: tuple[slice, slice]
    labels: np.ndarray


class LargeImage:
    """A large image that a model segments, in order: used once.

    Args:
        model: A `SlideSegmentor` whose head gives logits; see `grid.check_model`.
        source: The image.
        grid: The model's windows on it.
        unlabelled: The label of pixels without data.
        block: Side of a block in pixels.
        most_logits: Low-resolution logits that may be kept at once, at least what a column of blocks needs.

    Attributes:
        total: Windows that are computed, those that are computed twice too.
        skipped: Windows so far that no pixel has data in, which the network does not see.
    """

    def __init__(self, model: SlideSegmentor, source: RasterSource, grid: Grid, unlabelled: int, block: int = BLOCK,
                 most_logits: int = MOST_LOGITS):
        self.model, self.source, self.grid, self.unlabelled, self.block = model, source, grid, unlabelled, block
        self.device = next(model.parameters()).device
        self._together = model.windows_together(grid.crop, self.device)
        self.shape = self._logits_of_a_window()
        self.strips = self._strips(most_logits)
        rows = len(grid.over(0, 0, grid.size[0]))
        self.total = rows * sum(len(grid.over(1, *strip)) for strip in self.strips)
        self.skipped = 0

    def _logits_of_a_window(self) -> tuple[int, int, int]:
        """Returns the shape (C, h, w) of the network's logits of one window."""
        with torch.no_grad():
            pixels = self.source.read(self.source.place_of(self.grid, 0, 0))
            window = self.source.network_input(pixels, self.grid.crop)
            return tuple(self.model.network(window.to(self.device)[None]).shape[1:])

    def _strips(self, most: int) -> list[tuple[int, int]]:
        """Returns the first and the last column, exclusive, of each strip."""
        classes, high, wide = self.shape
        height, width = self.grid.size
        held = max(len(self.grid.over(0, top, min(top + self.block, height))) for top in range(0, height, self.block))
        column = classes * high * held * wide  # of windows in a column, kept at once
        strips, left = [], 0
        while left < width:
            right = min(left + self.block, width)
            while right < width and len(self.grid.over(1, left, min(right + self.block, width))) * column <= most:
                right = min(right + self.block, width)
            strips.append((left, right))
            left = right
        return strips

    def blocks(self, progress: Callable[[], None] = lambda: None, seen: Seen | None = None) -> Iterator[Block]:
        """Yields the labels of all blocks, each once.

        Args:
            progress: Is called after every window of `total`.
            seen: Is called with the place of every part of the image that is read, and its pixels (h, w, C); together
                they are the whole image, and some of it several times.

        Raises:
            DataError: The image cannot be read to its end, or has pixels that are no numbers.
        """
        for left, right in self.strips:
            held: deque[tuple[int, Tensor]] = deque()
            columns = self.grid.over(1, left, right)
            for top in range(0, self.grid.size[0], self.block):
                bottom = min(top + self.block, self.grid.size[0])
                rows = self.grid.over(0, top, bottom)
                while held and held[0][0] < rows[0]:
                    held.popleft()
                for row in range(held[-1][0] + 1 if held else rows[0], rows[-1] + 1):
                    held.append((row, self._row(row, columns, progress, seen)))
                matrix = self._matrix(0, rows, top, bottom)
                for start in range(left, right, self.block):
                    end = min(start + self.block, right)
                    yield self._block((slice(top, bottom), slice(start, end)), matrix, columns, held)

    @torch.no_grad()
    def _row(self, row: int, columns: range, progress: Callable[[], None], seen: Seen | None) -> Tensor:
        """Returns the low-resolution logits (C, h, columns * w) of a row of windows."""
        classes, high, wide = self.shape
        low = torch.zeros(classes, high, len(columns), wide, device=self.device)
        for first in range(0, len(columns), self._together):
            batch = {}
            for number in range(first, min(first + self._together, len(columns))):
                place = self.source.place_of(self.grid, row, columns[number])
                pixels = self.source.read(place)
                if seen is not None:
                    seen(place, pixels)
                if self.source.has_gaps and not self.source.has_data(place).any():
                    self.skipped += 1
                else:
                    corner = place[0].start, place[1].start
                    batch[number] = self.source.network_input(pixels, self.grid.crop, corner)
            if batch:
                logits = self.model.network(torch.stack(list(batch.values())))
                low[:, :, list(batch)] = logits.permute(1, 2, 0, 3).to(low)
            for _ in range(first, min(first + self._together, len(columns))):
                progress()
        return low.flatten(2)

    def _matrix(self, axis: int, windows: range, first: int, last: int) -> Tensor:
        starts = self.grid.starts[axis][windows[0]:windows[-1] + 1]
        return local_matrix(self.shape[1 + axis], self.grid.crop[axis], starts, first, last,
                            bool(self.model.align_corners), self.device)

    @torch.no_grad()
    def _block(self, place: tuple[slice, slice], rows: Tensor, columns: range, held: deque) -> Block:
        """Returns the labels of a block, of the rows of windows that are kept, and its rows' matrix."""
        wide, (first, last) = self.shape[2], (place[1].start, place[1].stop)
        over = self.grid.over(1, first, last)
        cells = slice((over[0] - columns[0]) * wide, (over[-1] + 1 - columns[0]) * wide)
        low = torch.cat([row[:, :, cells] for _, row in held], dim=1)
        cols = self._matrix(1, over, first, last)
        if self.shape[0] == 1:
            labels = window_logits(low, rows, cols)[0].sigmoid() > self.model.decode_head.threshold
        else:
            labels = window_labels(low, rows, cols)
        labels = labels.long().cpu().numpy()
        if self.source.has_gaps:
            labels[~self.source.has_data(place)] = self.unlabelled
        return Block(place, labels)


def overhead(image: LargeImage) -> float:
    """Returns how much larger the number of windows computed is than that of the model's windows: 0 for no larger."""
    return image.total / math.prod(map(len, (image.grid.over(axis, 0, image.grid.size[axis]) for axis in (0, 1)))) - 1
