"""Videos through `CheckedDataset`, and through the survey of `tools/check_dataset.py`."""
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from tiny_videos import CLASSES, LOAD, SIZE, save, video_config, write_videos

from mmseg_vittm.datasets import CheckedDataset
from mmseg_vittm.datasets.survey import survey
from mmseg_vittm.errors import DataError, InputError

pytestmark = pytest.mark.usefixtures('mmseg_scope')
NUMBERS = dict(a=range(4), b=range(3))


def test_clips_and_frames_pass_through(tmp_path):
    root = write_videos(tmp_path, NUMBERS, unlabelled=(('a', 1), ))
    dataset = CheckedDataset(video_config(root, clip_length=2, labels_optional=True), num_classes=3)
    assert len(dataset) == 7 and dataset.get_data_info(4)['video'] == 'b'
    labels = [frame['data_samples'].gt_sem_seg.data for frame in dataset[0]]
    assert (labels[0] != 255).any() and (labels[1] == 255).all()
    tested = CheckedDataset(video_config(root, test_mode=True, labels_optional=True), test_mode=True)
    assert [tested[number]['data_samples'].is_labelled for number in range(7)] == [True, False] + [True] * 5


def test_a_label_that_every_frame_must_have(tmp_path):
    root = write_videos(tmp_path, NUMBERS, unlabelled=(('a', 1), ('b', 2)))
    with pytest.raises(DataError, match='labels/a/frame_0001.png: no such file .and 1 others are missing.; add the anno'
                       'tation, set labels_optional=True, or take'):
        CheckedDataset(video_config(root, clip_length=2))


def test_classes_of_the_model_are_known_late(tmp_path):
    """A data set that knows no classes checks its labels by those of the model."""
    root = write_videos(tmp_path, NUMBERS)
    config = video_config(root, metainfo=None)
    assert CheckedDataset(config, num_classes=3)[0]
    with pytest.raises(DataError, match='above the 2 classes'):
        CheckedDataset(config, num_classes=2)[0]
    with pytest.raises(InputError, match='LoadAnnotations has reduce_zero_label=True, its dataset VideoSegDataset'):
        CheckedDataset(video_config(root, pipeline=[LOAD[0], LOAD[1] | dict(reduce_zero_label=True)]))


@pytest.mark.parametrize('workers', [0, 1])
def test_skipping_counts_bad_frames_not_clips(tmp_path, log_lines, workers):
    """One bad frame is in several clips, and passed over as one."""
    root = write_videos(tmp_path, dict(a=range(12)))
    (root / 'images/a/frame_0005.png').write_bytes(b'')
    loader = Runner.build_dataloader(dict(
        dataset=dict(type='CheckedDataset', bad_data='skip', max_skipped=1,
                     dataset=video_config(root, clip_length=3)),
        batch_size=1, num_workers=workers, sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='clip_collate')))
    for _ in range(2):
        begins = [batch['data_samples'][0].frame_number for batch in loader]
        assert begins == [0, 1, 2, 6, 6, 6, 6, 7, 8, 9, 9, 9]
    assert loader.dataset.skipped.nonzero().flatten().tolist() == [5]
    if not workers:
        assert len([line for line in log_lines.of('WARNING', 'ERROR') if line.startswith('Skipped (1 of')]) == 1


def test_testing_leaves_bad_frames_out(tmp_path):
    root = write_videos(tmp_path, NUMBERS)
    (root / 'labels/a/frame_0002.png').unlink()
    dataset = CheckedDataset(video_config(root, test_mode=True), bad_data='skip', test_mode=True)
    assert len(dataset) == 6 and [path[-16:] for path in dataset.left_out] == ['a/frame_0002.png']


def look(**dataloaders):
    cfg = Config({f'{name}_dataloader': dict(dataset=dataset) for name, dataset in dataloaders.items()})
    return survey(cfg, list(cfg), 3, 1, lambda *progress: None)


def test_a_survey_of_good_videos(tmp_path, log_lines):
    """Every frame once, whichever split has it; frames without labels count nowhere; short videos are no strays."""
    root = write_videos(tmp_path, NUMBERS | dict(short=[0]), unlabelled=(('a', 1), ))
    for video, number in (('a', 0), ('b', 2)):
        save(root / f'hidden/{video}/frame_{number:04d}.png', np.ones(SIZE, np.uint8))
    prefix = dict(img_path='images', seg_map_path='labels', region_path='hidden')
    train = video_config(root, clip_length=3, labels_optional=True, data_prefix=prefix,
                         clip_transforms=[dict(type='StillMotion')])
    found = look(train=train, val=train | dict(test_mode=True, clip_transforms=[]))
    assert not found.faults and found.files == 8 + 7 + 2 and found.classes == list(CLASSES)
    assert found.pixels['all'].sum() + found.ignored == 7 * SIZE[0] * SIZE[1] and found.ignored == 7 * 3
    assert found.pixels['train'].sum() == 6 * (SIZE[0] * SIZE[1] - 3)
    assert not look(train=train).faults


def test_a_survey_of_bad_videos(tmp_path):
    root = write_videos(tmp_path, NUMBERS)
    (root / 'images/a/frame_0001.png').write_bytes(b'')
    save(root / 'labels/b/frame_0001.png', np.full(SIZE, 7, np.uint8))
    save(root / 'labels/b/frame_0009.png', np.zeros(SIZE, np.uint8))
    save(root / 'hidden/a/frame_0000.png', np.ones((3, 4), np.uint8))
    prefix = dict(img_path='images', seg_map_path='labels', region_path='hidden')
    found = look(train=video_config(root, clip_length=3, data_prefix=prefix))
    faults = {fault.file.removeprefix(f'{root}/'): fault.problem for fault in found.faults}
    assert set(faults) == {'images/a/frame_0001.png', 'labels/b/frame_0001.png', 'labels/b/frame_0009.png',
                           'hidden/a/frame_0000.png'}
    assert 'empty' in faults['images/a/frame_0001.png'] and 'label 7' in faults['labels/b/frame_0001.png']
    assert 'a mask of shape 3 x 4, of an image of 11 x 14' in faults['hidden/a/frame_0000.png']
    (root / 'labels/a/frame_0002.png').unlink()
    assert any(fault.file.endswith('labels/a/frame_0002.png') and 'no such file' in fault.problem
               for fault in look(train=video_config(root)).faults)
    (root / 'images/a/frame.png').write_bytes((root / 'images/a/frame_0002.png').read_bytes())
    assert [fault.problem for fault in look(train=video_config(root)).faults] == ['no frame number in its name']
