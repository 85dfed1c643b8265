"""`RareClassSampler`: images drawn by the inverse frequency of their classes."""
import functools
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.logging import MMLogger
from mmengine.registry import DATA_SAMPLERS
from torch import Tensor

from ...errors import InputError
from .frequencies import image_shares
from .label_counts import label_counts

RAREST = 3  # classes that the log names


@DATA_SAMPLERS.register_module()
class RareClassSampler(InfiniteSampler):
    """An `InfiniteSampler` that draws images with rare classes more often than others.

    An image's share of all draws goes by the mean weight of its pixels, each of which weighs the inverse frequency of
    its class, to a power; see `image_shares`. All labels are read once, when training begins. Passes are as long as the
    data set; each has an image as often as its share says, rounded up or down by chance, and depends on the seed and
    its number alone: not on processes, workers or interruptions.

    In a config one line: `train_dataloader = dict(sampler=dict(type='RareClassSampler'))`.

    Args:
        dataset: A data set with labels.
        shuffle: True.
        seed: What is drawn by; None is drawn, the same in all processes.
        power: 0 to 1: from all images alike to images by which all classes come as nearly alike as they can.
        most: No image is drawn more than so many times as often as others in the mean, so that the few images of the
            rarest class are not all that is seen.

    Raises:
        ValueError: `shuffle` is False, or a number out of its range.
        InputError: There are no labels, or nothing is labelled.
        DataError: A label cannot be read.
    """

    def __init__(self, dataset: Sequence, shuffle: bool = True, seed: int | None = None, power: float = 1.0,
                 most: float = 10.0):
        if not shuffle:
            raise ValueError('shuffle must be True, since images are drawn; got False')
        if not 0 <= power <= 1:
            raise ValueError(f'power must be from 0 to 1, got {power!r}')
        if not 1 <= most < float('inf'):
            raise ValueError(f'most must be a number from 1 on, got {most!r}')
        super().__init__(dataset, shuffle, seed)
        self.power, self.most = power, most

    @functools.cached_property
    def shares(self) -> np.ndarray:
        """How often each image is drawn, of all draws (N,); the first look at it reads all labels."""
        counts = label_counts(self.dataset)
        if not counts.any():
            raise InputError('RareClassSampler: no pixel of the training data has a label; take InfiniteSampler')
        shares = image_shares(counts, self.power, self.most)
        parts = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        before, drawn = parts.sum(0) / (parts.sum(1) > 0).sum(), shares @ parts
        rarest = [number for number in before.argsort(kind='stable') if before[number]][:RAREST]
        names = getattr(self.dataset, 'metainfo', {}).get('classes') or [str(number) for number in range(len(before))]
        MMLogger.get_current_instance().info(
            'RareClassSampler: shares of the labelled pixels, of the rarest classes: ' + ', '.join(
                f'{names[number]} {before[number]:.2%} -> {drawn[number]:.2%}' for number in rarest)
            + f'; an image is drawn at most {shares.max() * self.size:.1f} times in {self.size}')
        return shares

    def order_of_pass(self, seed: int, number: int) -> Tensor:
        """Returns the indices of a pass, as many as there are images, of which the first pass is number 0."""
        rng = np.random.default_rng((seed, number))
        marks = (np.arange(self.size) + rng.random()) / self.size
        ends = self.shares.cumsum()
        drawn = np.searchsorted(ends / ends[-1], marks, side='right')
        return torch.from_numpy(rng.permutation(drawn))

    def _infinite_indices(self) -> Iterator[int]:
        """Yields the indices of all processes without end, as mmengine's sampler asks for them."""
        for number in itertools.count():
            yield from self.order_of_pass(self.seed, number).tolist()
