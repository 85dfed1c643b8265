"""`VideoSampler`: whole videos, in order, each to one process."""
import random

import pytest
from mmengine.registry import DATA_SAMPLERS
from tiny_videos import video_config, write_videos

from mmseg_vittm.datasets import CheckedDataset
from mmseg_vittm.datasets.video.sampler import VideoSampler, deal
from mmseg_vittm.errors import InputError


def of_rank(monkeypatch, dataset, rank: int, world_size: int) -> VideoSampler:
    monkeypatch.setattr('mmseg_vittm.datasets.video.sampler.get_dist_info', lambda: (rank, world_size))
    return DATA_SAMPLERS.build(dict(type='VideoSampler'), default_args=dict(dataset=dataset, seed=3))


def test_one_process_has_all_in_order(make):
    sampler = VideoSampler(make(dict(a=range(3), b=range(5), c=[0]), test_mode=True))
    assert list(sampler) == list(sampler) == list(range(9)) and len(sampler) == 9


@pytest.mark.parametrize('processes', [2, 3, 5])
def test_processes_share_whole_videos(make, monkeypatch, processes):
    dataset = make(dict(a=range(3), b=range(5), c=[0], d=range(4)), test_mode=True)
    orders = [list(of_rank(monkeypatch, dataset, rank, processes)) for rank in range(processes)]
    assert sorted(number for order in orders for number in order) == list(range(13))
    videos = [{dataset.get_data_info(number)['video'] for number in order} for order in orders]
    assert sum(map(len, videos)) == 4 and all(order == sorted(order) for order in orders)
    assert sorted(map(len, orders)) == {2: [6, 7], 3: [4, 4, 5], 5: [0, 1, 3, 4, 5]}[processes]
    assert [len(of_rank(monkeypatch, dataset, rank, processes)) for rank in range(processes)] == list(map(len, orders))


def test_dealing_is_balanced():
    random.seed(0)
    for _ in range(50):
        lengths = [random.randint(1, 30) for _ in range(random.randint(1, 20))]
        ends = [sum(lengths[:number + 1]) for number in range(len(lengths))]
        hands = deal([range(end - length, end) for end, length in zip(ends, lengths, strict=True)], 4)
        assert sorted(number for hand in hands for number in hand) == list(range(sum(lengths)))
        # The last video that the fullest process got went to what then was the emptiest.
        assert max(map(len, hands)) <= sum(lengths) / 4 + max(lengths)


def test_through_the_wrapper_that_checks(tmp_path, mmseg_scope):
    root = write_videos(tmp_path, dict(a=range(4), b=range(2)))
    (root / 'images/a/frame_0001.png').write_bytes(b'')
    dataset = CheckedDataset(video_config(root), bad_data='skip', test_mode=True)
    assert len(dataset) == 5 and list(VideoSampler(dataset)) == list(range(5))
    both = CheckedDataset(dict(type='ConcatDataset', datasets=[
        video_config(root, test_mode=True, data_prefix=dict(img_path='images/b', seg_map_path='labels/b'))] * 2))
    sampler = VideoSampler(both)
    assert list(sampler) == [0, 1, 2, 3] and sampler._videos() == [range(0, 2), range(2, 4)]


def test_a_data_set_without_videos(tmp_path, mmseg_scope):
    root = write_videos(tmp_path, dict(a=range(2)))
    config = video_config(root) | dict(type='BaseSegDataset')
    with pytest.raises(InputError, match='frame_0000.png is a frame of no video; give it a VideoSegDataset, or take'):
        len(VideoSampler(CheckedDataset(config)))
