"""DataPositionHook: training data by their place in one endless stream, whatever was interrupted.

The stream is that of mmengine's `InfiniteSampler` (one shuffled pass over the data after the other), numbered from 0
over all processes: at a total batch of B, iteration i takes samples iB to iB + B - 1. The number of a sample decides
the random numbers of its augmentation, so neither workers, prefetching, the number of processes nor an interruption
change what a run sees.
"""
import copy
import itertools
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from ...errors import InputError
from .random_state_hook import seeded

POSITION = 'data_position'  # in a checkpoint


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
    for number in itertools.count():
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


class PositionedIterator:
    """What the training loop draws batches from, in place of mmengine's iterator.

    On resuming, mmengine skips the batches of the iterations done: upstream by drawing them, the forks by
    `skip_iter`. Neither costs anything here, since the batches begin where they should.

    Args:
        batches: The data loader, beginning at the run's first batch.
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


@HOOKS.register_module()
class DataPositionHook(Hook):
    """Makes an iteration's training data depend on nothing but the seed and its number; see the module.

    Takes the place of the data loader of any `IterBasedTrainLoop` whose sampler is `InfiniteSampler` or
    `DefaultSampler`. Checkpoints hold the seed and the number of samples seen, so that a resumed run goes on there
    without loading what came before, with another number of processes too.
    """

    def __init__(self):
        self._loaded: dict = {}
        self._seed: int | None = None
        self._begin = 0, 0  # iteration, number of its first sample

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the position that a checkpoint holds, or, where mmengine alone wrote it, the seed."""
        self._loaded = dict(checkpoint.get(POSITION) or {})
        seed = checkpoint.get('meta', {}).get('seed')
        if seed is not None:
            self._loaded.setdefault('seed', int(seed))

    def before_train(self, runner: Runner) -> None:
        """Replaces the training loop's iterator.

        Raises:
            InputError: The data set is empty.
        """
        loop, loader = runner.train_loop, runner.train_dataloader
        sampler = loader.sampler
        if not (isinstance(loop, IterBasedTrainLoop) and isinstance(sampler, (InfiniteSampler, DefaultSampler))
                and type(loader.batch_sampler) is BatchSampler):
            runner.logger.warning('A resumed run will not see exactly the data of an uninterrupted one: '
                                  'DataPositionHook needs IterBasedTrainLoop, and InfiniteSampler without a '
                                  'batch_sampler')
            return
        if len(loader.dataset) == 0:
            raise InputError('train_dataloader: the data set is empty; check its data_root and data_prefix')
        resumed = self._loaded if runner.iter else {}
        self._seed = resumed.get('seed', sampler.seed)
        self._begin = runner.iter, resumed.get('samples', runner.iter * self._total_batch(loader))
        batches = DataLoader(
            NumberedSamples(loader.dataset, self._seed),
            batch_sampler=SampleBatches(sampler, self._seed, loader.batch_size, self._begin[1]),
            num_workers=loader.num_workers, collate_fn=loader.collate_fn, pin_memory=loader.pin_memory,
            timeout=loader.timeout, worker_init_fn=loader.worker_init_fn, prefetch_factor=loader.prefetch_factor,
            multiprocessing_context=loader.multiprocessing_context)
        # Upstream's iterator is under way already: its workers end with it.
        loop.dataloader_iterator = loader._iterator = None
        skips = not getattr(loop, 'fast_forward_on_resume', False)
        loop.dataloader_iterator = PositionedIterator(batches, runner.iter if skips else 0)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the position to a checkpoint."""
        if self._seed is not None:
            iteration, samples = self._begin
            done = checkpoint['meta']['iter'] - iteration
            checkpoint[POSITION] = dict(seed=self._seed,
                                        samples=samples + done * self._total_batch(runner.train_dataloader))

    @staticmethod
    def _total_batch(loader: DataLoader) -> int:
        return loader.batch_size * get_dist_info()[1]
