"""The order of samples in shards."""
from itertools import islice

import pytest
import torch

from mmseg_vittm.classification import PassSampler
from mmseg_vittm.classification.pass_sampler import shuffled
from mmseg_vittm.engine.state.data_position import endless_order


class Sharded(list):
    """A data set of so many shards."""

    def __init__(self, sizes):
        super().__init__(range(sum(sizes)))
        self.shard_sizes = torch.tensor(sizes)


@pytest.mark.parametrize('sizes,together', [([3, 5, 2, 4], 2), ([7], 3), ([1] * 9, 4), ([4, 4], 1)])
def test_each_sample_once_out_of_few_shards_at_a_time(sizes, together):
    orders = [shuffled(torch.tensor(sizes), together, seed) for seed in range(20)]
    assert all(sorted(order.tolist()) == list(range(sum(sizes))) for order in orders)
    assert len({tuple(order.tolist()) for order in orders}) > 5
    shard = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    for order in orders:
        of = shard[order].tolist()
        opened = list(dict.fromkeys(of))
        for group in (opened[at:at + together] for at in range(0, len(opened), together)):
            places = [place for place, one in enumerate(of) if one in group]
            assert places == list(range(places[0], places[-1] + 1))  # no other shard between


def test_the_order_is_that_of_the_seed_and_the_pass():
    data = Sharded([5, 4, 6])
    orders = [PassSampler(data, seed=3, shuffle_shards=2).order_of_pass(3, number).tolist() for number in range(3)]
    assert list(islice(PassSampler(data, seed=3, shuffle_shards=2), 45)) == sum(orders, [])
    assert orders[0] != orders[1] and all(sorted(order) == list(range(15)) for order in orders)
    assert orders[0] != PassSampler(data, shuffle_shards=2).order_of_pass(4, 0).tolist()
    assert list(islice(PassSampler(data, shuffle=False, seed=0), 15)) == list(range(15))
    assert sorted(islice(PassSampler([0] * 7, seed=0), 7)) == list(range(7))  # no shards: all are one


@pytest.mark.parametrize('start', [0, 4, 15, 31])
def test_the_endless_order_begins_anywhere(start):
    sampler = PassSampler(Sharded([5, 4, 6]), seed=3, shuffle_shards=2)
    whole = list(islice(sampler, start + 20))
    assert list(islice(endless_order(sampler, 3, start), 20)) == whole[start:]


def test_a_wrong_number_of_shards():
    with pytest.raises(ValueError, match='shuffle_shards must be a whole number from 1 on, got 0'):
        PassSampler(Sharded([2, 2]), shuffle_shards=0)
