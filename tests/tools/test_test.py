"""tools/test.py, and infer.py, on a checkpoint of tools/train.py."""
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from limited import tree, with_small_files
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmengine.structures import PixelData
from mmseg.datasets import BaseSegDataset
from mmseg.structures import SegDataSample
from PIL import Image
from tool_inside import error_inside, run_inside
from tool_runs import logged, logged_scores, write_config

from mmseg_vittm.commands.checked_outputs import check_test_outputs
from mmseg_vittm.datasets import ToyScenes
from mmseg_vittm.engine.hooks.label_hook import LabelHook
from mmseg_vittm.engine.hooks.picture_hook import PictureHook
from mmseg_vittm.errors import InputError, OutputError
from mmseg_vittm.inference.predictor import Predictor
from mmseg_vittm.weights.whole_model import load_model


def test_test_scores_writes_labels_and_pictures(trained, tmp_path, monkeypatch):
    weights = tmp_path / 'model.safetensors'
    run_inside(monkeypatch, 'convert_checkpoint.py', trained.checkpoint, weights)
    scores = []
    for checkpoint in (trained.checkpoint, weights):
        work = tmp_path / f'test_{checkpoint.suffix[1:]}'
        run_inside(monkeypatch, 'test.py', trained.config, checkpoint, '--work-dir', work, '--show-dir', work / 'show',
                   '--out', work / 'out')
        scores.append(logged_scores(work))
        stems = sorted(path.stem for path in (trained.data / 'images' / 'validation').iterdir())
        assert sorted(path.stem for path in (work / 'show').iterdir()) == stems
        labels = {path.stem: np.asarray(Image.open(path)) for path in (work / 'out').iterdir()}
        assert sorted(labels) == stems
        assert all(label.dtype == np.uint8 and label.min() >= 1 and label.max() <= 14 for label in labels.values())
    assert scores[0] == scores[1]
    training = [entry['mIoU'] for entry in logged(trained.work_dir) if 'mIoU' in entry]
    assert scores[0]['mIoU'] == training[-1]


def test_test_time_augmentation(trained, tmp_path, monkeypatch, log_lines):
    run_inside(monkeypatch, 'test.py', trained.config, trained.checkpoint, '--work-dir', tmp_path, '--tta')
    assert logged_scores(tmp_path)['mIoU'] >= 0
    assert any("type='SlideTTAModel'" in path.read_text() for path in tmp_path.glob('2*/vis_data/config.py'))


def test_without_a_tta_model_it_is_an_error(trained, tmp_path, monkeypatch, capsys):
    config = write_config(tmp_path, more='del tta_pipeline\n')
    said = error_inside(monkeypatch, capsys, 'test.py', config, trained.checkpoint, '--work-dir', tmp_path,
                        '--data-root', trained.data, '--tta')
    assert said.startswith(f'error: --tta: {config} has no')


def test_another_architecture_is_an_error(trained, tmp_path, monkeypatch, capsys):
    config = write_config(tmp_path, more="model['backbone'].update(read_write_head='cross')\n")
    for command in (('test.py', config, trained.checkpoint, '--work-dir', tmp_path, '--data-root', trained.data),
                    ('infer.py', config, trained.checkpoint, trained.data / 'images' / 'validation', '-o', tmp_path)):
        assert str(trained.checkpoint) in error_inside(monkeypatch, capsys, *command)


SUBFOLDERS = """
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(
    _delete_=True, type='BaseSegDataset', data_root={root!r}, reduce_zero_label=True, test_mode=True,
    img_suffix='.jpg', seg_map_suffix='.png', pipeline={{{{_base_.test_pipeline}}}},
    metainfo=dict(classes=[f'class {{n}}' for n in range(14)], palette=[[n, n, n] for n in range(14)]),
    data_prefix=dict(img_path='images', seg_map_path='labels')))
test_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU'], prefix=prefix) for prefix in ('one', 'other')]
"""


@pytest.fixture(scope='module')
def subfolders(trained, tmp_path_factory):
    """A config of four images in folders of their own, two of which share their names, and its data."""
    folder = tmp_path_factory.mktemp('subfolders')
    images = sorted((trained.data / 'images' / 'validation').iterdir())
    for image, name in zip(images, ('a/x', 'b/x', 'b/c/x', 'y'), strict=True):
        label = trained.data / 'annotations' / 'validation' / f'{image.stem}.png'
        for source, target in ((image, f'images/{name}.jpg'), (label, f'labels/{name}.png')):
            target = folder / 'data' / target
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return write_config(folder, more=SUBFOLDERS.format(root=str(folder / 'data'))), folder / 'data'


def test_images_of_one_name_keep_their_folders(trained, subfolders, tmp_path, monkeypatch, capsys):
    config, data = subfolders
    out, show = tmp_path / 'out', tmp_path / 'show'
    command = ('test.py', config, trained.checkpoint, '--work-dir', tmp_path / 'work', '--out', out, '--show-dir', show)
    run_inside(monkeypatch, *command)
    names = {'a/x.png', 'b/x.png', 'b/c/x.png', 'y.png'}
    for folder in (out, show):
        assert {path.relative_to(folder).as_posix() for path in folder.rglob('*.*')} == names
    model = load_model(Config.fromfile(config), str(trained.checkpoint), 'cpu')
    for name in names:
        found = np.asarray(Image.open(out / name))
        expected = Predictor(model)(data / 'images' / name.replace('.png', '.jpg')).labels + 1
        assert (found == expected).mean() > 0.999

    before = tree(tmp_path)
    assert '--overwrite' in (said := error_inside(monkeypatch, capsys, *command)) and 'there already' in said
    assert tree(tmp_path) == before
    shutil.rmtree(show)
    (out / 'y.png').write_bytes(b'earlier')
    run_inside(monkeypatch, *command, '--overwrite')
    assert np.asarray(Image.open(out / 'y.png')).min() >= 1


def test_outputs_are_checked_first(trained, subfolders, tmp_path, monkeypatch, capsys):
    config, data = subfolders
    (tmp_path / 'file').touch()
    (tmp_path / 'through').symlink_to(data / 'labels')
    (tmp_path / 'linked').mkdir()
    (tmp_path / 'dead').symlink_to('nowhere')
    (tmp_path / 'linked' / 'y.png').symlink_to(data / 'labels' / 'y.png')
    before = tree(tmp_path), tree(data)
    for options, word in (
            (['--out', data / 'labels'], 'among the data'), (['--show-dir', data / 'images' / 'new'], 'among the data'),
            (['--out', tmp_path / 'through'], 'among the data'), (['--out', tmp_path / 'linked'], 'is an input'),
            (['--out', tmp_path / 'file'], 'a file is where a folder would be'), (['--out', ''], 'is empty'),
            (['--show-dir', tmp_path / 'file' / 'below'], 'a file is where'), (['--out', '/dev/null'], '/dev/null'),
            (['--out', tmp_path / ('o' * 300)], 'shorter name'),
            (['--work-dir', tmp_path / 'dead'], 'dead: cannot be written'),
            (['--work-dir', tmp_path / 'file'], 'a file is where'),
            (['--out', tmp_path / 'out', '--cfg-options', 'test_dataloader.dataset.type=Nothing'], 'Nothing'),
            (['--out', tmp_path / 'one', '--show-dir', tmp_path / 'one' / '..' / 'one'], 'folders of their own')):
        said = error_inside(monkeypatch, capsys, 'test.py', config, trained.checkpoint, '--work-dir',
                            tmp_path / 'work', '--overwrite', *options)
        assert said.startswith('error: ') and word in said, (options, said)
        assert (tree(tmp_path), tree(data)) == before, options


class NarrowSet(BaseSegDataset):
    """A user's own data set, whose files no config names."""
    METAINFO = ToyScenes.METAINFO

    def __init__(self, root: str, pipeline: list):
        super().__init__(data_root=root, data_prefix=dict(img_path='images/validation',
                                                          seg_map_path='annotations/validation'),
                         img_suffix='.jpg', seg_map_suffix='.png', pipeline=pipeline, reduce_zero_label=True,
                         test_mode=True)


def test_data_of_ones_own_class_is_not_written_over(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(DATASETS.module_dict, 'NarrowSet', NarrowSet)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained.data, 'own')
    config = write_config(tmp_path, more="\ntest_dataloader = dict(num_workers=0, persistent_workers=False, "
                          "dataset=dict(_delete_=True, type='NarrowSet', root='own', pipeline=pipeline))\n")
    command = ('test.py', config, trained.checkpoint, '--work-dir', 'work')
    before = tree(tmp_path / 'own')
    for options, said in ((['--out', 'own/annotations/validation', '--overwrite'], 'among the data'),
                          (['--show-dir', 'own/annotations/validation'], 'among the data'),
                          (['--out', 'a', '--show-dir', 'a'], 'of their own')):
        assert said in error_inside(monkeypatch, capsys, *command, *options)
        assert tree(tmp_path / 'own') == before
    os.makedirs('out')
    name = min(os.listdir('own/annotations/validation'))
    Path('out', name).write_bytes(b'mine')
    said = error_inside(monkeypatch, capsys, *command, '--out', 'out')
    assert 'there already' in said and '--overwrite' in said and os.listdir('out') == [name]
    assert Path('out', name).read_bytes() == b'mine'
    run_inside(monkeypatch, *command, '--out', 'out', '--overwrite')
    assert len(os.listdir('out')) == 4 and tree(tmp_path / 'own') == before


def test_toy_scenes_where_they_are_by_default_are_data_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config(dict(default_scope='mmseg', train_dataloader=dict(dataset=dict(type='ToyScenes')),
                      test_dataloader=dict(dataset=dict(type='ToyScenes', num_val=3))))
    with pytest.raises(InputError, match='among the data'):
        check_test_outputs(cfg, dict(out='data/toy_scenes/annotations/training'), overwrite=True)
    assert list(tmp_path.iterdir()) == []


class Scoring:
    """What hooks see of a test of some classes."""

    def __init__(self, classes: int):
        metainfo = dict(classes=['c'] * classes, palette=[[n % 256] * 3 for n in range(classes)])
        self.test_dataloader = SimpleNamespace(dataset=SimpleNamespace(metainfo=metainfo))


def test_a_full_disk_leaves_nothing(trained, tmp_path):
    image = next((trained.data / 'images' / 'validation').iterdir())
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 9, (1, 64, 64)))
    sample = SegDataSample(metainfo=dict(img_path=str(image)), pred_sem_seg=PixelData(data=labels))
    for name, kind, option in (('out', LabelHook, 'out'), ('show', PictureHook, 'show_dir')):
        hook = kind(**{option: str(tmp_path / name)})
        error = with_small_files(500, hook.after_test_iter, Scoring(9), 0, None, [sample])
        assert isinstance(error, OutputError) and 'make room' in str(error) and not (tmp_path / name).exists()
        hook.after_test_iter(Scoring(9), 0, None, [sample])


def test_labels_beyond_8_bits(tmp_path):
    for reduced, classes, kind in ((False, 256, np.uint8), (True, 256, np.uint16), (False, 300, np.uint16)):
        labels = torch.tensor([[[0, classes - 1]]])
        sample = SegDataSample(metainfo=dict(img_path='/a/x.jpg', reduce_zero_label=reduced),
                               pred_sem_seg=PixelData(data=labels))
        LabelHook(str(tmp_path / str(classes) / str(reduced))).after_test_iter(Scoring(classes), 0, None, [sample])
        written = np.asarray(Image.open(tmp_path / str(classes) / str(reduced) / 'a' / 'x.jpg.png'))
        assert written.dtype == kind and written.tolist() == [[int(reduced), classes - 1 + reduced]]
