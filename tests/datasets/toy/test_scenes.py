"""ToyScenes: what lands on disk, that it is the same every time, and that nothing half-drawn or foreign is touched."""
import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS
from PIL import Image
from toy_baseline import regression_miou

import mmseg_vittm.datasets.toy.scenes as toy_scenes
from mmseg_vittm import ToyScenes
from mmseg_vittm.datasets.toy.canvas import CLASSES
from mmseg_vittm.datasets.toy.drawing import draw_scene
from mmseg_vittm.errors import DataError, InputError, OutputError

SMALL = dict(num_train=6, num_val=3, image_size=48, seed=3)


def files_under(root: Path) -> dict[str, bytes]:
    """Every file under a folder with its content."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob('*')) if path.is_file()}


def draw_small(root: Path, **changes) -> ToyScenes:
    """A small set at `root`."""
    return ToyScenes(data_root=str(root), draw=True, **{**SMALL, **changes})


def test_layout_and_types(tmp_path):
    dataset = draw_small(tmp_path / 'toy')
    names = sorted(files_under(tmp_path / 'toy'))
    assert len(names) == 2 * (6 + 3) + 1 and len(dataset) == 6
    assert 'images/validation/Toy_val_00000003.jpg' in names
    assert 'annotations/training/Toy_train_00000006.png' in names
    with Image.open(tmp_path / 'toy/images/training/Toy_train_00000001.jpg') as image:
        assert (image.format, image.mode, image.size) == ('JPEG', 'RGB', (48, 48))
    with Image.open(tmp_path / 'toy/annotations/training/Toy_train_00000001.png') as label:
        assert (label.format, label.mode, label.size) == ('PNG', 'L', (48, 48))
    assert os.listdir(tmp_path) == ['toy']


def test_built_from_a_config(tmp_path):
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(dict(
            type='ToyScenes', data_root=str(tmp_path / 'toy'), draw=True, pipeline=pipeline, test_mode=True, **SMALL,
            data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation')))
    sample = dataset[0]
    label = sample['data_samples'].gt_sem_seg.data
    assert sample['inputs'].shape == (3, 48, 48) and len(dataset) == 3
    assert set(label.unique().tolist()) <= {*range(len(CLASSES)), 255}
    assert dataset.metainfo['classes'] == CLASSES
    palette = {tuple(colour) for colour in dataset.metainfo['palette']}
    assert len(palette) == len(CLASSES) >= 12


def test_lazy_draws_when_first_read(tmp_path):
    dataset = draw_small(tmp_path / 'toy', lazy_init=True)
    assert not (tmp_path / 'toy').exists()
    dataset.full_init()
    assert len(dataset) == 6


def test_same_seed_same_scene():
    first, second = (draw_scene(np.random.default_rng([0, 1, 2]), 64) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    other = draw_scene(np.random.default_rng([0, 1, 3]), 64)
    assert not np.array_equal(first[0], other[0])
    assert first[0].dtype == first[1].dtype == np.uint8
    assert first[0].shape == (64, 64, 3) and first[1].shape == (64, 64)


def test_larger_set_begins_with_the_smaller(tmp_path):
    draw_small(tmp_path / 'small')
    draw_small(tmp_path / 'large', num_train=8, num_val=4)
    small, large = files_under(tmp_path / 'small'), files_under(tmp_path / 'large')
    assert all(large[name] == content for name, content in small.items() if name != toy_scenes.RECORD)


def test_every_class_is_in_the_validation_split():
    seen = np.zeros(len(CLASSES) + 1, int)
    for index in range(40):
        _, label = draw_scene(np.random.default_rng([0, 1, index]), 128)
        seen += np.bincount(label.ravel(), minlength=len(seen)) > 50
    assert seen.min() >= 8, dict(zip(('unlabelled', *CLASSES), seen.tolist(), strict=True))


def test_failure_leaves_nothing_and_the_next_run_succeeds(tmp_path, monkeypatch):
    def failing(rng, size, calls=[]):  # noqa: B006 (counts the calls)
        calls.append(0)
        if len(calls) > 4:
            raise OSError('disk full')
        return draw_scene(rng, size)

    with monkeypatch.context() as patch:
        patch.setattr(toy_scenes, 'draw_scene', failing)
        with pytest.raises(OutputError, match='toy: cannot be written .*disk full'):
            draw_small(tmp_path / 'toy')
    assert os.listdir(tmp_path) == []
    assert len(draw_small(tmp_path / 'toy')) == 6


def test_processes_racing_end_with_one_set(tmp_path):
    context = multiprocessing.get_context('fork')
    arguments = dict(args=(str(tmp_path / 'toy'),), kwargs=SMALL | dict(draw=True))
    racers = [context.Process(target=toy_scenes.prepare, **arguments) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0, 0, 0]
    assert os.listdir(tmp_path) == ['toy']
    assert len(draw_small(tmp_path / 'toy')) == 6


def test_losing_the_race_uses_the_winner(tmp_path, monkeypatch):
    root, calls = tmp_path / 'toy', []

    def overtaken(rng, size):
        if not calls:
            calls.append(0)
            draw_small(root)
        return draw_scene(rng, size)

    monkeypatch.setattr(toy_scenes, 'draw_scene', overtaken)
    assert len(draw_small(root)) == 6
    assert os.listdir(tmp_path) == ['toy']


def test_drawn_once(tmp_path, monkeypatch):
    draw_small(tmp_path / 'toy')
    monkeypatch.setattr(toy_scenes, 'draw_scene', None)
    assert len(draw_small(tmp_path / 'toy')) == 6


@pytest.mark.parametrize('changes', [dict(seed=4), dict(num_train=7), dict(image_size=64)])
def test_other_parameters_are_an_error(tmp_path, changes):
    draw_small(tmp_path / 'toy')
    before = files_under(tmp_path)
    (name, value), = changes.items()
    message = f'toy holds other toy scenes: {name} is {SMALL[name]} there, {value} was asked'
    with pytest.raises(ValueError, match=message):
        draw_small(tmp_path / 'toy', **changes)
    assert files_under(tmp_path) == before


def test_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos/me.jpg').write_bytes(b'mine')
    with pytest.raises(InputError, match='photos exists but is no set of toy scenes.*Choose another data_root'):
        draw_small(tmp_path / 'photos')
    assert files_under(tmp_path) == {'photos/me.jpg': b'mine'}


def test_missing_and_empty_files_are_an_error(tmp_path):
    draw_small(tmp_path / 'toy')
    (tmp_path / 'toy/images/training/Toy_train_00000002.jpg').unlink()
    (tmp_path / 'toy/annotations/validation/Toy_val_00000001.png').write_bytes(b'')
    with pytest.raises(InputError, match='2 of the 18 files of .* the first is .*train_00000002'):
        draw_small(tmp_path / 'toy')


@pytest.mark.parametrize('record', ['', '[]', '{"seed": 3}'])
def test_unreadable_record_is_an_error(tmp_path, record):
    draw_small(tmp_path / 'toy')
    (tmp_path / 'toy' / toy_scenes.RECORD).write_text(record)
    with pytest.raises(InputError, match='toy_scenes.json is missing or unreadable'):
        draw_small(tmp_path / 'toy')


def test_empty_folder_and_link_are_filled(tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'toy').symlink_to(tmp_path / 'disk')
    assert len(draw_small(tmp_path / 'toy')) == 6
    assert json.loads((tmp_path / 'disk' / toy_scenes.RECORD).read_text())['seed'] == 3


@pytest.mark.parametrize(('name', 'value'), [('num_train', 0), ('num_val', 2.5), ('image_size', 16), ('seed', -1)])
def test_impossible_parameters(tmp_path, name, value):
    with pytest.raises(ValueError, match=f'{name} must be an integer of at least .*, got {value}'):
        draw_small(tmp_path / 'toy', **{name: value})
    assert os.listdir(tmp_path) == []


def test_colour_and_position_do_not_solve_it(tmp_path):
    draw_small(tmp_path / 'toy', num_train=40, num_val=20, image_size=64)
    assert 8 < regression_miou(tmp_path / 'toy') < 35


def test_baseline_names_the_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='images/training'):
        regression_miou(tmp_path)


@pytest.mark.parametrize('empty', [False, True])
def test_drawn_unasked_only_where_expected(tmp_path, monkeypatch, empty):
    if empty:
        (tmp_path / 'toy').mkdir()
    before = os.listdir(tmp_path)
    with pytest.raises(DataError, match='toy: .*drawn unasked only into data/toy_scenes; correct data_root.*draw=True'):
        ToyScenes(data_root=str(tmp_path / 'toy'), **SMALL)
    assert os.listdir(tmp_path) == before and not [*tmp_path.glob('toy/*')]
    monkeypatch.chdir(tmp_path)
    for root in ('data/toy_scenes', str(tmp_path / 'data' / 'toy_scenes')):
        assert len(ToyScenes(data_root=root, **SMALL)) == 6
