"""ShardSampler: shuffled samples, out of a few shards at a time."""
from collections.abc import Iterator, Sequence

import torch
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS
from torch import Tensor


@DATA_SAMPLERS.register_module()
class ShardSampler(DefaultSampler):
    """A `DefaultSampler` whose passes shuffle shards, and then samples within each so many of them.

    Disks read a few files at a time then, not all of them at random. The order depends on the seed and on the pass
    alone: not on processes, workers or interruptions. Each sample comes once in a pass.

    Args:
        dataset: An `ImageShards`, in a wrapper or not; of any other all samples are one shard.
        shuffle: Whether to shuffle.
        seed: What by; None is drawn, the same in all processes.
        round_up: Whether processes get the same number, the first samples again if need be.
        shuffle_shards: Number of shards whose samples are mixed.

    Raises:
        ValueError: `shuffle_shards` is no number from 1 on.
    """

    def __init__(self, dataset: Sequence, shuffle: bool = True, seed: int | None = None, round_up: bool = True,
                 shuffle_shards: int = 16):
        super().__init__(dataset, shuffle, seed, round_up)
        if type(shuffle_shards) is not int or shuffle_shards < 1:
            raise ValueError(f'shuffle_shards must be a whole number from 1 on, got {shuffle_shards!r}')
        self.shuffle_shards = shuffle_shards
        sizes = getattr(getattr(dataset, 'dataset', dataset), 'shard_sizes', None)
        self._sizes = torch.tensor([len(dataset)] if sizes is None else sizes.tolist())

    def __iter__(self) -> Iterator[int]:
        """Yields the indices of this process in a pass."""
        order = shuffled(self._sizes, self.shuffle_shards, self.seed + self.epoch) if self.shuffle else torch.arange(
            len(self.dataset))
        order = order.repeat(-(-self.total_size // len(order)))[:self.total_size]
        return iter(order[self.rank::self.world_size].tolist())


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
