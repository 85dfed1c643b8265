"""The stream of training data: mmengine's, from any place on, on any number of processes."""
from itertools import islice

import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler

from mmseg_vittm.engine.state import data_position
from mmseg_vittm.engine.state.data_position import SampleBatches, endless_order


@pytest.mark.parametrize('kind', [InfiniteSampler, DefaultSampler])
@pytest.mark.parametrize('shuffle', [True, False])
def test_the_stream_is_mmengines(kind, shuffle):
    sampler = kind(range(7), shuffle=shuffle, seed=3)
    stock = iter(kind(range(7), shuffle=shuffle, seed=3))
    expected = list(islice(stock, 7 if kind is DefaultSampler else 30))
    whole = list(islice(endless_order(sampler, 3, 0), 30))
    assert whole[:len(expected)] == expected
    for start_at in (1, 6, 7, 20):
        assert list(islice(endless_order(sampler, 3, start_at), 10)) == whole[start_at:start_at + 10]


@pytest.mark.parametrize('size', [1, 3, 7, 16])
def test_processes_share_one_stream(size, monkeypatch):
    def batches(world_size, batch_size, start_at, number):
        drawn = []
        for rank in range(world_size):
            monkeypatch.setattr(data_position, 'get_dist_info', lambda rank=rank: (rank, world_size))
            source = iter(SampleBatches(InfiniteSampler(range(size), seed=5), 5, batch_size, start_at))
            drawn.append(list(islice(source, number)))
        return [sorted(sum((mine[step] for mine in drawn), [])) for step in range(number)]
    alone = batches(1, 8, 0, 6)
    assert [number for batch in alone for number, _ in batch] == list(range(48))
    assert batches(2, 4, 0, 6) == batches(4, 2, 0, 6) == batches(8, 1, 0, 6) == alone
    assert batches(4, 2, 24, 3) == alone[3:]


def test_skipping_80_000_iterations_draws_no_more_than_the_shuffled_passes(monkeypatch):
    """ADE20K's 20,210 images, batch 16: the batches of iteration 80,000 without those before."""
    passes, randperm = [], torch.randperm
    monkeypatch.setattr(torch, 'randperm', lambda *size, **options: passes.append(size) or randperm(*size, **options))
    first = next(iter(SampleBatches(InfiniteSampler(range(20210), seed=0), 0, 16, 80000 * 16)))
    assert passes == [(20210,)] * (80000 * 16 // 20210 + 1)
    stock = islice(InfiniteSampler(range(20210), seed=0), 80000 * 16, 80001 * 16)
    assert [index for _, index in first] == list(stock)
