"""Training data by their place in one endless stream, whatever was interrupted.

The stream is that of mmengine's `InfiniteSampler` (one shuffled pass over the data after the other), numbered from 0
over all processes: at a total batch of B, iteration i takes samples iB to iB + B - 1. The number of a sample decides
the random numbers of its augmentation, so neither workers, prefetching, the number of processes nor an interruption
change what a run sees.
"""
import copy
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.dist import get_dist_info
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from ..random_state import seeded


def endless_order(sampler: InfiniteSampler | DefaultSampler, seed: int, start: int) -> Iterator[int]:
    """Yields the indices that a sampler gives to this process, from a place in its stream on.

    Args:
        sampler: mmengine's sampler; stays as it is.
        seed: What it shuffles by.
        start: Number of samples of this process before the first one.
    """
    rank, world_size = get_dist_info()
    if isinstance(sampler, DefaultSampler):  # its passes over the data, each shuffled by its number
        sampler = copy.copy(sampler)
        sampler.seed = seed
        first, skipped = divmod(start, len(sampler))
        for number in itertools.count(first):
            sampler.set_epoch(number)
            yield from itertools.islice(sampler, skipped if number == first else 0, None)
    generator, size = torch.Generator().manual_seed(seed), sampler.size
    first, skipped = divmod(start * world_size + rank, size)
    order_of_pass = getattr(sampler, 'order_of_pass', None)  # of one that need not draw the passes before
    for number in itertools.count(0 if order_of_pass is None else first):
        if order_of_pass is not None:
            order = order_of_pass(seed, number)
        else:
            order = torch.randperm(size, generator=generator) if sampler.shuffle else torch.arange(size)
        if number >= first:
            yield from order[skipped::world_size].tolist()
            skipped = (skipped - size) % world_size


class SampleBatches(Sampler):
    """Endless batches of (number in the stream, index in the data set) for this process.

    Args:
        sampler: See `endless_order`.
        seed: What it shuffles by.
        batch_size: Samples of this process in a batch.
        start: Number of samples, of all processes, before the first one.
    """

    def __init__(self, sampler: InfiniteSampler | DefaultSampler, seed: int, batch_size: int, start: int):
        self.sampler, self.seed, self.batch_size, self.start = sampler, seed, batch_size, start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        rank, world_size = get_dist_info()
        start = self.start // world_size
        numbers = itertools.count(start * world_size + rank, world_size)
        samples = zip(numbers, endless_order(self.sampler, self.seed, start), strict=False)
        while True:
            yield list(itertools.islice(samples, self.batch_size))


class NumberedSamples(Dataset):
    """A data set whose samples draw random numbers by their number in the stream.

    Args:
        dataset: The data set.
        seed: What they draw by, beside the number.
    """

    def __init__(self, dataset: Dataset, seed: int):
        self.dataset, self.seed = dataset, seed

    def __getitem__(self, item: tuple[int, int]) -> Any:
        number, index = item
        with seeded(self.seed, number):
            return self.dataset[index]


def has_stream(batches: DataLoader) -> bool:
    """Returns whether a DataLoader's data come in a stream whose places are known."""
    return (isinstance(batches.sampler, (InfiniteSampler, DefaultSampler))
            and type(batches.batch_sampler) is BatchSampler)


def begin_at(batches: DataLoader, seed: int, start: int) -> DataLoader:
    """Returns a DataLoader as the given one, of numbered samples from a place in their stream on, without end.

    Args:
        batches: The DataLoader, see `has_stream`; stays as it is.
        seed: What the data are shuffled and augmented by.
        start: Number of samples, of all processes, before the first one.
    """
    return _alike(batches, NumberedSamples(batches.dataset, seed),
                  SampleBatches(batches.sampler, seed, batches.batch_size, start))


def _alike(batches: DataLoader, dataset: Dataset, batch_sampler: Iterable, **more: Any) -> DataLoader:
    return DataLoader(
        dataset, batch_sampler=batch_sampler, num_workers=batches.num_workers, collate_fn=batches.collate_fn,
        pin_memory=batches.pin_memory, timeout=batches.timeout, worker_init_fn=batches.worker_init_fn,
        prefetch_factor=batches.prefetch_factor, multiprocessing_context=batches.multiprocessing_context, **more)


class RestOfEpoch:
    """A DataLoader without its first batches, in the place of which it may stand for an epoch.

    Args:
        batches: The DataLoader.
        done: Number of batches to leave out; they are not loaded.

    Attributes:
        whole: The DataLoader.
    """

    def __init__(self, batches: DataLoader, done: int):
        self.whole, self._done = batches, done

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def __len__(self) -> int:
        return len(self.whole)

    def __iter__(self) -> Iterator:
        left = list(itertools.islice(self.whole.batch_sampler, self._done, None))
        # A generator of its own: the training's has drawn for this epoch when it began.
        return iter(_alike(self.whole, self.whole.dataset, left, generator=torch.Generator()))


class PositionedIterator:
    """What the training loop draws batches from, in place of mmengine's iterator.

    On resuming, mmengine skips the batches of the iterations done: upstream by drawing them, the forks by
    `skip_iter`. Neither costs anything here, since the batches begin where they should.

    Args:
        batches: The DataLoader, beginning at the run's first batch.
        done: Number of iterations that mmengine will skip.
    """

    def __init__(self, batches: DataLoader, done: int):
        self._batches, self._to_skip = iter(batches), done

    def __iter__(self) -> 'PositionedIterator':
        return self

    def __next__(self) -> Any:
        if self._to_skip:
            self._to_skip -= 1
            return None
        return next(self._batches)

    def skip_iter(self, num_iters: int) -> None:
        """Takes note of batches skipped."""
        self._to_skip -= num_iters
