"""tools/evaluate.py on a checkpoint of tools/train.py: its files, and what it does with wrong inputs."""
import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from limited import tree
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, MODELS
from PIL import Image
from tiny_models import ROOT
from tool_inside import error_inside, run_inside
from tool_runs import environment, free_port, logged, write_config

from mmseg_vittm.commands.evaluating.results import FILES


@pytest.fixture(scope='module')
def evaluated(trained, tmp_path_factory):
    """A folder of results, and what the terminal had of them."""
    folder = tmp_path_factory.mktemp('evaluated')
    done = subprocess.run([sys.executable, str(ROOT / 'tools' / 'evaluate.py'), str(trained.config),
                           str(trained.checkpoint), '-o', str(folder / 'out'), '--worst', '3'],
                          capture_output=True, text=True, timeout=300, cwd=folder, env=environment())
    assert done.returncode == 0, done.stderr[-3000:]
    assert {path.name for path in folder.iterdir()} == {'out'}, 'no work dir, no logs'
    return folder / 'out', done.stdout


def test_every_file_is_there(evaluated):
    folder, _ = evaluated
    assert {path.name for path in folder.iterdir()} == set(FILES)
    for name in ('confusion.png', 'reliability.png', 'worst.jpg'):
        assert min(Image.open(folder / name).size) > 300


def test_scores_are_those_of_the_training(trained, evaluated):
    summary = json.loads((evaluated[0] / 'scores.json').read_text())
    training = [entry for entry in logged(trained.work_dir) if 'mIoU' in entry][-1]
    for name in ('aAcc', 'mIoU', 'mAcc'):
        assert summary[name] == pytest.approx(training[name], abs=0.006)
    assert summary['images'] == 4 and summary['split'] == 'test' and summary['left_out'] == 0
    assert summary['checkpoint'] == str(trained.checkpoint) and summary['config'] == str(trained.config)
    assert 0 < summary['mBIoU'] <= 100 and 0 < summary['ECE'] <= 100 and summary['versions']['torch']


def test_the_table_of_classes(trained, evaluated):
    folder, said = evaluated
    summary = json.loads((folder / 'scores.json').read_text())
    with open(folder / 'classes.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 14
    for column, score in (('IoU', 'mIoU'), ('recall', 'mAcc'), ('boundary IoU', 'mBIoU')):
        assert np.mean([float(row[column]) for row in rows if row[column]]) == pytest.approx(summary[score], abs=0.01)
    labels = [np.asarray(Image.open(path)) for path in (trained.data / 'annotations' / 'validation').iterdir()]
    for number, row in enumerate(rows, 1):  # zero is void
        assert int(row['pixels']) == sum((one == number).sum() for one in labels)
        assert int(row['images']) == sum((one == number).any() for one in labels)
        assert row['class'] in said
    assert f'{summary["mIoU"]:.2f}' in said and 'scored: 4/4 images' in said and 'report.html' in said


def test_the_report_stands_alone(evaluated):
    page = (evaluated[0] / 'report.html').read_text()
    for word in ('What is wrong', 'Boundary IoU', 'Worst images', 'calibration error', 'taken for', 'onedl' if 'onedl'
                 in page else 'mmsegmentation'):
        assert word in page
    assert page.count('data:image/jpeg;base64,') == 3 and page.count('data:image/svg+xml;base64,') == 2
    assert 'src="http' not in page and '<link' not in page and 'href=' not in page


def scores_of(monkeypatch, out, *command) -> dict:
    run_inside(monkeypatch, 'evaluate.py', *command, '-o', out)
    return json.loads((out / 'scores.json').read_text())


def test_another_split_and_another_segmentor(trained, evaluated, tmp_path, monkeypatch):
    """MMSegmentation's own segmentor, whose logits say how sure it is, of the same images as validation has them."""
    first = json.loads((evaluated[0] / 'scores.json').read_text())
    second = scores_of(monkeypatch, tmp_path / 'out', trained.config, trained.checkpoint, '--split', 'val', '--worst',
                       '0', '--cfg-options', 'model.type=EncoderDecoder')
    assert second['split'] == 'val' and not (tmp_path / 'out' / 'worst.jpg').exists()
    for name in ('aAcc', 'mIoU', 'mAcc', 'mBIoU', 'ECE'):
        assert second[name] == pytest.approx(first[name], abs=0.02)


def test_nothing_is_replaced_unasked(trained, evaluated, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'out'
    shutil.copytree(evaluated[0], out)
    (out / 'notes.txt').write_text('mine')
    before = tree(out)
    command = (trained.config, trained.checkpoint, '-o', out)
    said = error_inside(monkeypatch, capsys, 'evaluate.py', *command)
    assert 'report.html' in said and 'there already' in said and '--overwrite' in said and tree(out) == before
    (out / 'scores.json').write_text('earlier')
    assert scores_of(monkeypatch, out, trained.config, trained.checkpoint, '--overwrite')['images'] == 4
    assert (out / 'notes.txt').read_text() == 'mine' and {path.name for path in out.iterdir()} == {*FILES, 'notes.txt'}


NO_VAL = 'val_dataloader = val_evaluator = val_cfg = None\n'
UNLABELLED = """
test_dataloader['dataset'].update(pipeline=[dict(type='LoadImageFromFile'), dict(type='PackSegInputs')])
"""


@pytest.mark.parametrize('more,options,words', [
    (NO_VAL, ['--split', 'val'], ['has no val_dataloader', '--split=test']),
    ('', ['--boundary', '0.7'], ['--boundary 0.7', 'share', 'up to 0.5']),
    ('', ['--boundary', 'nan'], ['--boundary nan']), ('', ['--worst', '-1'], ['--worst', '0 to 1000']),
    ('', ['--split', 'train'], ['--split', 'train']), ('', ['-o', ''], ['empty']),
    ('', ['-o', '{file}'], ['a file is where a folder would be']),
    ('', ['-o', '{data}/annotations/validation'], ['would write among the data']),
    ('', ['--data-root', '{file}'], ['is no set of toy scenes']),
    ('', ['--cfg-options', 'test_dataloader.dataset.type=Nothing'], ['Nothing']),
    (UNLABELLED, [], ['without its label; put LoadAnnotations']),
    ("test_evaluator = dict(type='IoUMetric', ignore_index=3)\n", [], ['labelled 255', 'void is 3']),
    ("model['decode_head'].update(num_classes=7)\n", [], ['iter_4.pth'])])
def test_wrong_inputs(trained, tmp_path, monkeypatch, capsys, more, options, words):
    config = write_config(tmp_path, more=more)
    (tmp_path / 'file').touch()
    options = [word.format(file=tmp_path / 'file', data=trained.data) for word in options]
    before = tree(tmp_path), tree(trained.data)
    command = [config, trained.checkpoint, '-o', tmp_path / 'out', '--data-root', trained.data, *options]
    said = error_inside(monkeypatch, capsys, 'evaluate.py', *command)
    assert all(word in said for word in words), said
    assert (tree(tmp_path), tree(trained.data)) == before


def test_wrong_files(trained, tmp_path, monkeypatch, capsys):
    nothing, broken = tmp_path / 'none.pth', tmp_path / 'broken.pth'
    broken.write_bytes(b'no checkpoint')
    classifier = ROOT / 'configs' / 'imagenet' / 'vittm_t_try.py'
    for config, checkpoint, word in ((trained.config, nothing, 'none.pth'), (trained.config, broken, 'broken.pth'),
                                     (classifier, trained.checkpoint, 'is a classifier'),
                                     (tmp_path / 'none.py', trained.checkpoint, 'no such config')):
        said = error_inside(monkeypatch, capsys, 'evaluate.py', config, checkpoint, '-o', tmp_path / 'out')
        assert word in said and not (tmp_path / 'out').exists()


def test_bad_images_are_left_out_where_that_is_asked_for(trained, tmp_path, monkeypatch):
    data = tmp_path / 'data'
    shutil.copytree(trained.data, data)
    image = sorted((data / 'images' / 'validation').iterdir())[1]
    image.write_bytes(image.read_bytes()[:50])
    config = write_config(tmp_path, more="test_dataloader['dataset'].update(draw=False, bad_data='skip')\n")
    found = scores_of(monkeypatch, tmp_path / 'out', config, trained.checkpoint, '--data-root', data)
    assert found['images'] == 3 and found['left_out'] == 1
    assert 'a smaller data set' in (tmp_path / 'out' / 'report.html').read_text()


def random_weights(config, path):
    """Saves a config's model as it begins."""
    cfg = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
        meta = dict(DATASETS.get(cfg.test_dataloader.dataset.type).METAINFO)
    meta |= cfg.test_dataloader.dataset.get('metainfo', {})
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=meta)), path)
    return path


def test_eight_bands_of_16_bits(tmp_path, monkeypatch):
    """Pictures are of what the network was given, whoever has read it."""
    pytest.importorskip('rasterio', reason='rasterio is not installed: the extra geo')
    from spectral_tiles import write_spectral_config
    config = write_spectral_config(tmp_path, 8, 'uint16', 1)
    found = scores_of(monkeypatch, tmp_path / 'out', config, random_weights(config, tmp_path / 'x.pth'))
    assert found['images'] == 16 and found['ECE'] > 0
    sheet = np.asarray(Image.open(tmp_path / 'out' / 'worst.jpg')).astype(int)
    tile = sheet[-90:-20, 10:100]  # of the last input, in colour and with contrast
    assert tile.std() > 20 and np.ptp(tile, axis=-1).mean() > 10


ONE_CHANNEL = """
model['decode_head'] = dict(
    _delete_=True, type='FCNHead', in_channels=96, channels=96, num_convs=0, concat_input=False, num_classes=2,
    out_channels=1, threshold=0.4, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))
model['auxiliary_head'] = None
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(
    _delete_=True, type='BaseSegDataset', data_root={root!r}, img_suffix='.jpg', seg_map_suffix='.png', test_mode=True,
    data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'), pipeline=pipeline,
    metainfo=dict(classes=['ground', 'object'], palette=[[0, 0, 0], [255, 0, 0]])))
"""


def test_a_head_of_one_channel(trained, tmp_path, monkeypatch):
    """Two classes told apart by a threshold."""
    data = tmp_path / 'data'
    shutil.copytree(trained.data, data)
    for path in (data / 'annotations' / 'validation').iterdir():
        Image.fromarray((np.asarray(Image.open(path)) > 4).astype(np.uint8)).save(path)
    config = write_config(tmp_path, more=ONE_CHANNEL.format(root=str(data)))
    found = scores_of(monkeypatch, tmp_path / 'out', config, random_weights(config, tmp_path / 'x.pth'))
    assert found['images'] == 4 and 0 < found['ECE'] < 100 and 0 < found['aAcc'] < 100
    assert (tmp_path / 'out' / 'classes.csv').read_text().count('\n') == 3


@pytest.mark.slow
def test_two_processes_score_as_one(trained, evaluated, tmp_path):
    """Of three images, so that one of them is dealt out twice."""
    config = write_config(tmp_path, more="test_dataloader['dataset'].update(indices=3)\n")
    found = {}
    for count in (1, 2):
        out = tmp_path / str(count)
        command = [sys.executable, '-m', 'torch.distributed.run', f'--nproc_per_node={count}',
                   f'--master_port={free_port()}', str(ROOT / 'tools' / 'evaluate.py'), str(config),
                   str(trained.checkpoint), '-o', str(out), '--data-root', str(trained.data), '--launcher', 'pytorch']
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, env=environment())
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count('report.html') == 1
        found[count] = json.loads((out / 'scores.json').read_text())
        assert (out / 'classes.csv').read_text() == (tmp_path / '1' / 'classes.csv').read_text()
    assert found[2].pop('processes') == 2 and found[1].pop('processes') == 1
    assert found[1] == found[2] and found[1]['images'] == 3
