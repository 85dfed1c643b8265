"""benchmarks/videos.py and video_strip.py: what segments videos, scored, timed and shown."""
import json
import re

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from PIL import Image
from tiny_models import ROOT
from tool_inside import error_inside, run_inside

SCRIPT, STRIP = ROOT / 'benchmarks' / 'videos.py', ROOT / 'benchmarks' / 'video_strip.py'
SMALL = dict(image_size=48, num_frames=12, num_train=1, num_val=1, draw=True)
CONFIG = """_base_ = '{base}'
crop_size = (48, 48)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(arch=dict(embed_dims=48, num_layers=2, num_heads=3, mlp_ratio=2.0), img_size=crop_size,
                  process_patch_size=16, memory_patch_size=8),
    decode_head=dict(in_channels=96, channels=96){temporal})
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict({small}))
"""
TEMPORAL = ', temporal=dict(in_channels=(48, 48), pool=(1, 2), embed_dims=32, num_memory_tokens=6)'
PLAN = dict(data=[dict(name='toy', title='Toy'), dict(name='lost', title='Lost', root='toy', lost=0.5)],
            seeds=[0, 1], rows=[
    dict(name='frame', title='by frames'), dict(name='frame', title='smooth', smoothing=0.5),
    dict(name='ttm', title='a machine')])


@pytest.fixture
def files(tmp_path):
    """Configs, checkpoints of random weights, and a plan."""
    small = ', '.join(f'{name}={value}' for name, value in SMALL.items())
    for name, temporal in (('frame', ''), ('ttm', TEMPORAL)):
        config = tmp_path / f'tiny_{name}.py'
        config.write_text(CONFIG.format(base=ROOT / 'configs' / 'video' / f'toy_{name}.py', small=small,
                                        temporal=temporal))
        for seed in (0, 1):
            torch.manual_seed(seed)
            with DefaultScope.overwrite_default_scope('mmseg'):
                model = MODELS.build(Config.fromfile(config).model)
            torch.manual_seed(seed)
            torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=0.3)
            folder = tmp_path / 'runs' / config.stem / f'seed{seed}'
            folder.mkdir(parents=True)
            for iteration in (20, 100):  # the last is taken, not the first by name
                torch.save(dict(state_dict=model.state_dict() if iteration == 100 else {}, meta={}),
                           folder / f'iter_{iteration}.pth')
    for entry in PLAN['data']:
        entry['config'] = str(tmp_path / 'tiny_{}.py')
    (tmp_path / 'plan.yaml').write_text(yaml.safe_dump(PLAN))
    return tmp_path


def test_scores_times_and_pictures(files, monkeypatch, capsys):
    command = (SCRIPT, files / 'plan.yaml', '--data-root', f'toy={files / "data"}', '--runs', files / 'runs',
               '-o', files / 'out', '--device', 'cpu')
    run_inside(monkeypatch, *command)
    found = json.loads((files / 'out' / 'results.json').read_text())['data']
    rows, lost = found['toy'], found['lost']
    assert [row['title'] for row in rows] == ['by frames', 'smooth', 'a machine']
    frame, smooth, machine = rows
    assert all(len(scores) == 2 for row in rows for scores in row['scores'].values())
    assert {'mIoU', 'mIoU_hidden', 'mVC8', 'flips'} <= set(frame['scores'])
    assert frame['scores'] == machine['scores']  # which is not trained: the per-frame model, to the bit
    assert frame['scores'] != smooth['scores'] and frame['ratio'] == 1 and machine['ms'] > 0
    assert all(one['scores'] != other['scores'] for one, other in zip(rows, lost, strict=True))
    table = (files / 'out' / 'table.md').read_text()
    assert '| by frames |' in table and f'{frame["ms"]:.1f}' in table
    assert '<svg' in (files / 'out' / 'toy.svg').read_text()
    assert 'there already' in error_inside(monkeypatch, capsys, *command)
    run_inside(monkeypatch, *command, '--keep-scores')
    again = json.loads((files / 'out' / 'results.json').read_text())['data']['toy']
    assert [row['scores'] for row in again] == [row['scores'] for row in rows]
    assert [row['ms'] for row in again] != [row['ms'] for row in rows]


def test_a_checkpoint_that_is_missing_is_named(files, monkeypatch, capsys):
    for path in (files / 'runs' / 'tiny_ttm' / 'seed1').iterdir():
        path.unlink()
    error = error_inside(monkeypatch, capsys, SCRIPT, files / 'plan.yaml', '--data-root', f'toy={files / "data"}',
                         '--runs', files / 'runs', '-o', files / 'out', '--device', 'cpu')
    assert 'seed1: has no checkpoint; train' in error
    error = error_inside(monkeypatch, capsys, SCRIPT, files / 'plan.yaml', '--data-root', f'toy={files / "data"}',
                         '--runs', files / 'runs', '-o', files / 'out', '--device', 'cpu', '--keep-scores')
    assert 'results.json: is not there' in error
    assert not (files / 'out' / 'results.json').exists()


def test_a_strip(files, monkeypatch, capsys):
    models = [f'{name}={files / f"tiny_{name}.py"}={files / "runs" / f"tiny_{name}" / "seed0" / "iter_100.pth"}'
              for name in ('frame', 'ttm')]
    command = (STRIP, *models, '--data-root', files / 'data', '-o', files / 'strip.png', '--frames', 4)
    run_inside(monkeypatch, *command)
    said = capsys.readouterr().out
    shares = re.findall(r'(\w+): (\d+)% of the hidden pixels', said)
    assert [name for name, _ in shares] == ['frame', 'ttm'] and len({share for _, share in shares}) == 1
    picture = np.asarray(Image.open(files / 'strip.png'))
    assert picture.shape[0] > 4 * 128 and picture.shape[1] > 4 * 128
    assert (picture == (255, 0, 255)).all(axis=2).any()  # an outline
    assert 'there already' in error_inside(monkeypatch, capsys, *command)
    assert 'give NAME=CONFIG=CHECKPOINT' in error_inside(monkeypatch, capsys, STRIP, 'x', '--data-root', files, '-o',
                                                         files / 'other.png')


def test_the_plan_names_configs_that_are_there():
    plan = yaml.safe_load((ROOT / 'benchmarks' / 'videos' / 'plan.yaml').read_text())
    assert len({entry['name'] for entry in plan['data']}) == len(plan['data']) >= 3
    for entry in plan['data']:
        assert all((ROOT / entry['config'].format(row['name'])).is_file() for row in plan['rows'])
