"""`clip_collate`: clips, one after the other, as one batch of frames."""
import numpy as np
import pytest
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner
from mmseg.models import SegDataPreProcessor
from tiny_videos import SIZE, frame_of, video_config, write_videos

from mmseg_vittm.datasets import clip_collate
from mmseg_vittm.errors import InputError


def test_clips_become_one_batch(make):
    dataset = make(dict(a=range(4), b=range(3)), clip_length=3)
    batch = clip_collate([dataset[1], dataset[4]])
    samples = batch['data_samples']
    assert [(one.video, one.frame_number, one.clip_position) for one in samples] == [
        ('a', 1, 0), ('a', 2, 1), ('a', 3, 2), ('b', 0, 0), ('b', 1, 1), ('b', 2, 2)]
    assert len(batch['inputs']) == 6
    for sample, image in zip(samples, batch['inputs'], strict=True):
        assert np.array_equal(image.numpy()[::-1].transpose(1, 2, 0), frame_of(sample.video, sample.frame_number)[0])
    done = SegDataPreProcessor(size=SIZE)(batch, training=True)
    assert done['inputs'].shape == (6, 3, *SIZE) and len(done['data_samples']) == 6
    assert [one.clip_position for one in done['data_samples']] == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize('workers', [0, 1])
def test_in_a_dataloader(tmp_path, mmseg_scope, workers):
    assert FUNCTIONS.get('clip_collate') is clip_collate
    root = write_videos(tmp_path, dict(a=range(5)))
    loader = Runner.build_dataloader(dict(
        dataset=video_config(root, clip_length=2), batch_size=3, num_workers=workers,
        sampler=dict(type='DefaultSampler', shuffle=False), collate_fn=dict(type='clip_collate')))
    batches = [[one.frame_number for one in batch['data_samples']] for batch in loader]
    assert batches == [[0, 1, 1, 2, 2, 3], [3, 4, 3, 4]]


def test_what_is_no_clip(make):
    frame = make(dict(a=range(4)), clip_length=2, test_mode=True)[0]
    with pytest.raises(InputError, match='takes clips, lists of frames, got a dict; give the dataloader a VideoSeg'):
        clip_collate([frame])
    clips = [make(dict(a=range(4)), clip_length=length)[0] for length in (2, 3)]
    with pytest.raises(InputError, match=r'clips of \[2, 3\] frames in one batch; give all datasets the same'):
        clip_collate(clips)
