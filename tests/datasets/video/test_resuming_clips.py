"""Training on clips: a resumed run sees the clips, and draws the augmentations, of an uninterrupted one."""
import shutil

import pytest
from forked_runs import assert_same_state, recorded, train, write_random_config
from tiny_videos import write_videos
from tool_runs import logged

HALF = ('--cfg-options', 'train_cfg.max_iters=4')
WORKER = ('--cfg-options', 'train_dataloader.num_workers=1', 'train_dataloader.persistent_workers=True')
# Of every kind: strides, frames without label, motion, disturbances, augmentation; videos tested whole.
CLIPS = """
videos = dict(
    type='VideoSegDataset', data_root={root!r}, img_suffix='.png', labels_optional=True,
    data_prefix=dict(img_path='images', seg_map_path='labels'),
    metainfo=dict(classes=[f'class {{i}}' for i in range(14)]))
train_dataloader.update(
    batch_size=2, collate_fn=dict(type='clip_collate'),
    dataset=dict(_delete_=True, **videos, clip_length=3, stride=[1, 2], clip_transforms=[
        dict(type='StillMotion', prob=0.5), dict(type='DisturbFrames', flicker=0.5, noise=0.5, hide=0.5)],
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')] + pipeline[2:]))
total_batch_size = 2
val_dataloader.update(
    sampler=dict(_delete_=True, type='VideoSampler'),
    dataset=dict(_delete_=True, **videos, test_mode=True, pipeline=[
        dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))
val_evaluator = dict(_delete_=True, type='VideoMetric', windows=(2, 3))
test_dataloader, test_evaluator = val_dataloader, val_evaluator
train_cfg = dict(max_iters=8, val_interval=4)
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('runs')
    write_videos(folder / 'videos', dict(a=range(9), b=range(5), c=range(2)), size=(64, 72),
                 unlabelled=(('a', 1), ('b', 0)))
    return write_random_config(folder, CLIPS.format(root=str(folder / 'videos')))


@pytest.fixture(scope='module')
def whole(config):
    """The work dir of an uninterrupted run without data workers."""
    train(config, config.parent / 'whole')
    return config.parent / 'whole'


@pytest.mark.parametrize('options', [(), WORKER], ids=['no workers', 'one worker'])
def test_same_bits(config, whole, tmp_path, options):
    train(config, tmp_path / 'half', *HALF)
    shutil.rmtree(tmp_path / 'half' / 'pictures', ignore_errors=True)
    done = train(config, tmp_path / 'half', '--resume', *options)
    assert len(recorded(whole)) == 8 and recorded(tmp_path / 'half') == recorded(whole), done.output()[-2000:]
    assert_same_state(tmp_path / 'half' / 'iter_8.pth', whole / 'iter_8.pth')
    assert len(set(recorded(whole).values())) == 8


def test_scores_are_logged(whole):
    scores = [entry for entry in logged(whole) if 'mIoU' in entry]
    assert len(scores) == 2 and all({'mVC2', 'mVC3', 'flips', 'aAcc', 'mAcc'} <= set(entry) for entry in scores)


@pytest.mark.slow
def test_validation_on_more_processes_than_videos(config, whole, tmp_path):
    """The scores of two and of four processes, of which one has no frame, are those of one."""
    scores = {}
    for processes in (1, 2, 4):  # resumed at its end, a run validates
        work = shutil.copytree(whole, tmp_path / str(processes))
        (work / 'iter_8.pth').unlink()
        train(config, work, '--resume', *HALF, 'total_batch_size=4', processes=processes)
        scores[processes] = [{name: value for name, value in entry.items() if name not in ('data_time', 'time')}
                             for entry in logged(work) if 'mIoU' in entry]
    assert scores[1] == scores[2] == scores[4] and len(scores[1]) == 1
