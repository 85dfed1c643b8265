"""PassSampler: one shuffled pass over the data after the other; of shards, out of a few files at a time."""
import itertools
from collections.abc import Iterator, Sequence

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.registry import DATA_SAMPLERS
from torch import Tensor


@DATA_SAMPLERS.register_module()
class PassSampler(InfiniteSampler):
    """An `InfiniteSampler` whose passes are shuffled by their number, so that no earlier one has to be drawn.

    Each sample comes once in a pass. Passes over shards shuffle these, and then the samples within each so many of
    them: disks read a few files at a time, not all of them at random. The order depends on the seed alone: not on
    processes, workers or interruptions.

    Args:
        dataset: An `ImageShards`, in a wrapper or not; of any other all samples are one shard.
        shuffle: Whether to shuffle.
        seed: What by; None is drawn, the same in all processes.
        shuffle_shards: Number of shards whose samples are mixed.

    Raises:
        ValueError: `shuffle_shards` is no number from 1 on.
    """

    def __init__(self, dataset: Sequence, shuffle: bool = True, seed: int | None = None, shuffle_shards: int = 16):
        if type(shuffle_shards) is not int or shuffle_shards < 1:
            raise ValueError(f'shuffle_shards must be a whole number from 1 on, got {shuffle_shards!r}')
        super().__init__(dataset, shuffle, seed)
        self.shuffle_shards = shuffle_shards
        sizes = getattr(getattr(dataset, 'dataset', dataset), 'shard_sizes', None)
        self._sizes = torch.tensor([len(dataset)] if sizes is None else sizes.tolist())

    def order_of_pass(self, seed: int, number: int) -> Tensor:
        """Returns the indices of all samples in the order of a pass, the first of which is number 0."""
        if not self.shuffle:
            return torch.arange(self.size)
        return shuffled(self._sizes, self.shuffle_shards, (seed * 1_000_003 + number) % (1 << 63))

    def __iter__(self) -> Iterator[int]:
        """Yields the indices of this process without end."""
        passes = (self.order_of_pass(self.seed, number).tolist() for number in itertools.count())
        yield from itertools.islice(itertools.chain.from_iterable(passes), self.rank, None, self.world_size)


def shuffled(sizes: Tensor, together: int, seed: int) -> Tensor:
    """Returns all indices, shuffled by shards, and within each so many of them.

    Args:
        sizes: (S) samples in each shard, numbered one after the other.
        together: Number of shards whose samples are mixed.
        seed: What to shuffle by.
    """
    generator = torch.Generator().manual_seed(seed)
    begins = sizes.cumsum(0) - sizes
    groups = []
    for shards in torch.randperm(len(sizes), generator=generator).split(together):
        group = torch.cat([torch.arange(sizes[one]) + begins[one] for one in shards])
        groups.append(group[torch.randperm(len(group), generator=generator)])
    return torch.cat(groups)
