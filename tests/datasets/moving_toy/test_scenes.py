"""MovingToyScenes: what lands on disk, that it is the same every time, and how it is read."""
import io
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS
from PIL import Image

import mmseg_vittm.datasets.moving_toy.files as files
from mmseg_vittm import ToyScenes
from mmseg_vittm.datasets.moving_toy.clips import draw_clip
from mmseg_vittm.datasets.moving_toy.scenes import MovingToyScenes
from mmseg_vittm.datasets.video.dataset import VideoSegDataset
from mmseg_vittm.errors import DataError, InputError, OutputError

SMALL = dict(num_train=3, num_val=2, num_frames=9, image_size=33, seed=3)
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
VALIDATION = dict(img_path='images/validation', seg_map_path='annotations/validation', region_path='hidden/validation')


def files_under(root: Path) -> dict[str, bytes]:
    """Every file under a folder with its content."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob('*')) if path.is_file()}


def draw_small(root: Path, **changes) -> MovingToyScenes:
    """A small set at `root`."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MovingToyScenes(data_root=str(root), draw=True, **{**SMALL, **changes})


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    """A small set on disk, for tests that only read it."""
    root = tmp_path_factory.mktemp('sets') / 'moving'
    draw_small(root)
    return root


def test_layout_and_types(small):
    names = sorted(files_under(small))
    assert len(names) == 3 * 9 * (3 + 2) + 1 and os.listdir(small.parent) == ['moving']
    for name in ('images/training/Moving_train_0001/000000.jpg', 'annotations/training/Moving_train_0003/000008.png',
                 'hidden/validation/Moving_val_0002/000004.png', files.RECORD):
        assert name in names
    for name, kind in (('images/training/Moving_train_0001/000000.jpg', ('JPEG', 'RGB')),
                       ('annotations/training/Moving_train_0001/000000.png', ('PNG', 'L')),
                       ('hidden/training/Moving_train_0001/000000.png', ('PNG', 'L'))):
        with Image.open(small / name) as image:
            assert (image.format, image.mode) == kind and image.size == (33, 33)
    record = json.loads((small / files.RECORD).read_text())
    assert record == dict(SMALL, drawing_version=files.MOVING_TOY_SCENES.version)


def test_files_are_the_clips(small):
    for split, (folder, clip) in enumerate((('training', 'Moving_train_0002'), ('validation', 'Moving_val_0002'))):
        for frame, (image, label, hidden) in enumerate(draw_clip((3, split, 1), 33, 9)):
            labels, regions = (np.asarray(Image.open(small / kind / folder / clip / f'{frame:06d}.png'))
                               for kind in ('annotations', 'hidden'))
            assert np.array_equal(labels, label) and np.array_equal(regions, hidden)
            saved = io.BytesIO()
            Image.fromarray(image).save(saved, 'JPEG', quality=92)
            assert (small / 'images' / folder / clip / f'{frame:06d}.jpg').read_bytes() == saved.getvalue()


def test_same_bytes_again_and_larger_sets_begin_with_smaller(small, tmp_path):
    draw_small(tmp_path / 'again')
    draw_small(tmp_path / 'larger', num_train=4)
    again, larger, first = (files_under(root) for root in (tmp_path / 'again', tmp_path / 'larger', small))
    assert again == first
    assert all(larger[name] == content for name, content in first.items() if name != files.RECORD)


def test_listed_frame_by_frame(small):
    dataset = draw_small(small)
    assert isinstance(dataset, VideoSegDataset) and len(dataset) == 27
    assert dataset.metainfo['classes'] == ToyScenes.METAINFO['classes']
    assert dataset.metainfo['palette'] == ToyScenes.METAINFO['palette']
    for number, (clip, frame) in enumerate(itertools.product(range(3), range(9))):
        sample, name = dataset.get_data_info(number), f'Moving_train_{clip + 1:04d}/{frame:06d}'
        assert sample['img_path'] == str(small / f'images/training/{name}.jpg')
        assert sample['seg_map_path'] == str(small / f'annotations/training/{name}.png')
        assert sample['region_path'] == str(small / f'hidden/training/{name}.png')
        assert (sample['video'], sample['frame_number']) == (name.split('/')[0], frame)


@pytest.mark.parametrize('test_mode', [False, True])
def test_built_from_a_config(small, test_mode):
    options = dict(data_prefix=VALIDATION, test_mode=True) if test_mode else dict(clip_length=3, stride=2)
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(dict(type='MovingToyScenes', data_root=str(small), pipeline=PIPELINE, **SMALL,
                                      **options))
        frames = [dataset[2]] if test_mode else dataset[2]
    assert len(dataset) == (18 if test_mode else 27)
    assert [frame['data_samples'].frame_number for frame in frames] == ([2] if test_mode else [2, 4, 6])
    for frame in frames:
        label = frame['data_samples'].gt_sem_seg.data
        assert frame['inputs'].shape == (3, 33, 33) and set(label.unique().tolist()) <= {*range(14), 255}
        with Image.open(frame['data_samples'].region_path) as mask:
            assert set(np.unique(mask)) <= {0, 1}


def test_lazy_draws_when_first_read(tmp_path):
    dataset = draw_small(tmp_path / 'moving', lazy_init=True, num_train=1, num_val=1, num_frames=2)
    assert not (tmp_path / 'moving').exists()
    dataset.full_init()
    assert len(dataset) == 2


def test_failure_leaves_nothing_and_the_next_run_succeeds(tmp_path, monkeypatch):
    def failing(key, size, num_frames):
        yield from itertools.islice(draw_clip(key, size, num_frames), 4)
        raise OSError('disk full')

    with monkeypatch.context() as patch:
        patch.setattr(files, 'draw_clip', failing)
        with pytest.raises(OutputError, match='moving: cannot be written .*disk full'):
            draw_small(tmp_path / 'moving')
    assert os.listdir(tmp_path) == []
    assert len(draw_small(tmp_path / 'moving', num_train=1, num_val=1)) == 9


@pytest.mark.parametrize('changes', [dict(seed=4), dict(num_frames=8), dict(num_val=3), dict(image_size=64)])
def test_other_parameters_are_an_error(small, changes):
    (name, value), = changes.items()
    with pytest.raises(InputError, match=f'holds other moving toy scenes: {name} is {SMALL[name]} there, {value} was'):
        draw_small(small, **changes)


def test_still_toy_scenes_are_another_set(small, tmp_path):
    with pytest.raises(InputError, match='exists but is no set of toy scenes: its toy_scenes.json is missing'):
        ToyScenes(data_root=str(small))
    ToyScenes(data_root=str(tmp_path / 'toy'), draw=True, num_train=1, num_val=1, image_size=32)
    with pytest.raises(InputError, match='is no set of moving toy scenes: its moving_toy_scenes.json is missing'):
        draw_small(tmp_path / 'toy')


def test_missing_and_empty_files_are_an_error(tmp_path):
    few = dict(num_train=1, num_val=1, num_frames=3)
    draw_small(tmp_path / 'moving', **few)
    (tmp_path / 'moving/images/training/Moving_train_0001/000001.jpg').unlink()
    (tmp_path / 'moving/hidden/validation/Moving_val_0001/000002.png').write_bytes(b'')
    with pytest.raises(InputError, match='2 of the 18 files of .* the first is .*Moving_train_0001.000001.jpg'):
        draw_small(tmp_path / 'moving', **few)
    assert len(draw_small(tmp_path / 'moving', check_files=False, **few)) == 2


@pytest.mark.parametrize(('name', 'value'), [('num_train', 0), ('num_val', 2.5), ('num_frames', 1), ('image_size', 16),
                                             ('seed', -1)])
def test_impossible_parameters(tmp_path, name, value):
    with pytest.raises(InputError, match=f'{name} must be an integer of at least .*, got {value}'):
        draw_small(tmp_path / 'moving', **{name: value})
    assert os.listdir(tmp_path) == []


def test_drawn_unasked_only_where_expected(tmp_path, monkeypatch):
    few = dict(num_train=1, num_val=1, num_frames=2, image_size=32)
    message = 'moving toy scenes are drawn unasked only into data/moving_toy_scenes; correct data_root.*draw=True'
    with pytest.raises(DataError, match=message):
        MovingToyScenes(data_root=str(tmp_path / 'moving'), **few)
    assert os.listdir(tmp_path) == []
    monkeypatch.chdir(tmp_path)
    assert len(MovingToyScenes(**few)) == 2 and (tmp_path / 'data/moving_toy_scenes' / files.RECORD).is_file()
