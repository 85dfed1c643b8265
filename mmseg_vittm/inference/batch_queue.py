"""BatchQueue: images in their order, those of one size together."""
from collections import deque
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .prediction import Prediction

BATCHES_AHEAD = 4  # that many batches of images are read before the first of them must go through the model
PIXELS_AHEAD = 2**26


@dataclass
class Item:
    """An image on its way: `data` is what the pipeline made of it, until `result` is there."""
    name: str
    image: np.ndarray | None = None
    data: dict | None = None
    result: Prediction | InputError | None = None

    @property
    def kind(self) -> tuple:
        """What the images of a batch have in common; the segmentors look at the first one's meta data only."""
        meta = self.data['data_samples'].metainfo
        return self.data['inputs'].shape, meta.get('img_shape'), meta.get('pad_shape')


class BatchQueue:
    """Images whose results are still to come or to be given out, in their order.

    Args:
        batch_size: How many images go through the model together, at most.
    """

    def __init__(self, batch_size: int):
        self.batch_size = batch_size
        self._items: deque[Item] = deque()

    def __bool__(self) -> bool:
        return bool(self._items)

    def add(self, item: Item) -> list[Item]:
        """Puts an image at the end; returns the batch that it completes, if it does."""
        self._items.append(item)
        batch = self._waiting(item) if item.result is None else []
        return batch if len(batch) == self.batch_size else []

    def is_due(self) -> bool:
        """Whether the first image has its result, or must get it now, since no more images may be held."""
        if not self._items:
            return False
        pixels = sum(item.image.shape[0] * item.image.shape[1] for item in self._items if item.image is not None)
        return (self._items[0].result is not None or len(self._items) >= BATCHES_AHEAD * self.batch_size
                or pixels >= PIXELS_AHEAD)

    def first_batch(self) -> list[Item]:
        """Returns the first image and those that can go through the model with it; nothing where it has its result."""
        first = self._items[0]
        return self._waiting(first)[:self.batch_size] if first.result is None else []

    def pop(self) -> Item:
        """Removes the first image and returns it."""
        return self._items.popleft()

    def _waiting(self, like: Item) -> list[Item]:
        return [item for item in self._items if item.result is None and item.kind == like.kind]
