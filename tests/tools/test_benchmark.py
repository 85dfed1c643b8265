"""tools/benchmark.py."""
import json
from pathlib import Path

import pytest
import torch
from measuring import KEYS, ade_config, ade_folder, sliding_config
from tiny_models import ROOT
from tool_inside import error_inside, run_inside
from tool_runs import run_tool

from mmseg_vittm.inference.fast import optimize
from mmseg_vittm.measure.segmentors import build_segmentor


@pytest.fixture
def config(tmp_path) -> Path:
    return sliding_config(tmp_path)


def test_the_tool(config, tmp_path, monkeypatch, capsys):
    path = tmp_path / 'results.json'
    done = run_tool('benchmark.py', config, ROOT / 'configs' / 'segmenter_vit_t_toy.py', '--images', '2', '--warmup',
                    '1', '--repeat', '2', '--batch-size', '2', '--json', path, '--image-size', '64', '85')
    first, second = json.loads(path.read_text())
    assert set(first) >= KEYS and set(second) >= KEYS
    assert first['config'] == str(config) and first['ratio_to_first'] == 1 and second['ratio_to_first'] > 0
    assert (first['windows_per_image'], second['windows_per_image']) == (2, 1)
    assert (first['images'], first['batch_size'], first['device'], first['dtype']) == (2, 2, 'cpu', 'fp32')
    assert sum(first['stages_ms'].values()) == pytest.approx(first['latency_ms_median'], rel=0.5)
    assert 'ETA' in done.stdout and 'segmenter_vit_t_toy' in done.stdout and '64 x 85' in done.stdout
    assert str(path) in error_inside(monkeypatch, capsys, 'benchmark.py', config, '--json', path)
    assert str(tmp_path) in error_inside(monkeypatch, capsys, 'benchmark.py', config, '--json', tmp_path, '--overwrite')


def test_it_warns_where_speed_depends_on_the_image(tmp_path, capsys, monkeypatch):
    algm, plain = (ROOT / 'configs' / name for name in ('rivals/segmenter_algm_t_toy.py', 'segmenter_vit_t_toy.py'))
    run_inside(monkeypatch, 'benchmark.py', algm, plain, '--images', '1', '--warmup', '0', '--image-size', '32', '32',
               '--json', tmp_path / 'results.json')
    said = ''.join(capsys.readouterr().out.split())  # as wide as the terminal
    assert f'{algm}:howfastitisdependsonitsweights' in said and f'{plain}:howfast' not in said
    assert [row['varies_with_image'] for row in json.loads((tmp_path / 'results.json').read_text())] == [True, False]


def test_other_options(tmp_path, capsys, monkeypatch):
    """Throughput in bfloat16, and real images with a checkpoint, in one process."""
    folder = ade_folder(tmp_path)
    cfg = ade_config(tmp_path, folder)
    cfg.dump(tmp_path / 'real.py')
    torch.save(dict(state_dict=build_segmentor(cfg).state_dict(), meta={}), tmp_path / 'weights.pth')
    for name, arguments in (
            ('crops', ('--throughput', '--dtype', 'bf16', '--batch-size', '2')),
            ('real', ('--data-root', folder, '--checkpoint', tmp_path / 'weights.pth'))):
        path = tmp_path / f'{name}.json'
        run_inside(monkeypatch, 'benchmark.py', tmp_path / 'real.py', '--images', 3, '--warmup', 0, '--json', path,
                   *arguments)
        (row, ) = json.loads(path.read_text())
        assert row['source'] == name and row['images'] == 3
        if name == 'crops':
            assert (row['dtype'], row['batch_size'], row['image_size']) == ('bf16', 2, [64, 64])
            assert 'random crops of 64 x 64' in capsys.readouterr().out
        else:
            assert row['checkpoint'] == str(tmp_path / 'weights.pth') and row['image_size'] == [64, 107]
            assert '1 images of' in capsys.readouterr().out


def test_ways_of_running(config, tmp_path, monkeypatch, capsys):
    """Stock, fast, and fast in bfloat16 and compiled, in one run: a row each, named apart."""
    monkeypatch.setattr('mmseg_vittm.measure.benchmark.building.optimize', lambda model, dtype, compile: optimize(
        model, dtype, compile and dict(backend='eager')))
    path = tmp_path / 'results.json'
    run_inside(monkeypatch, 'benchmark.py', config, '--images', 2, '--warmup', 0, '--image-size', 64, 85, '--json',
               path, '--segmentor', 'EncoderDecoder', 'SlideSegmentor', 'SlideSegmentor:bf16:compile')
    rows = json.loads(path.read_text())
    assert [(row['segmentor'], row['dtype'], row['compile']) for row in rows] == [
        ('EncoderDecoder', 'fp32', False), ('SlideSegmentor', 'fp32', False), ('SlideSegmentor', 'bf16', True)]
    assert [row['stages_ms']['backbone'] is None for row in rows] == [False, False, True]
    assert 0 < rows[2]['stages_ms']['network'] < rows[2]['latency_ms_median']
    assert len({row['gflops'] for row in rows}) == len({row['windows_per_image'] for row in rows}) == 1
    out = capsys.readouterr().out
    assert 'fp32 eager and bf16 compiled' in out and 'compiled: both under bb.' in out
    for text in ('SlideSegmentor:int8', 'SlideSegmentor:bf16:fp32', ':bf16'):
        assert f'--segmentor {text}' in error_inside(monkeypatch, capsys, 'benchmark.py', config, '--segmentor', text)


def test_errors_of_the_tool(config, tmp_path, monkeypatch, capsys):
    for arguments, words in ((('--checkpoint', 'a', 'b'), '2 files for 1 configs'),
                             (('--checkpoint', tmp_path / 'no.pth'), 'no.pth'), (('--dtype', 'tf32'), 'tf32'),
                             (('--device', 'nowhere'), 'error: --device nowhere: ')):
        if torch.cuda.is_available() and 'tf32' in arguments:
            continue
        assert words in error_inside(monkeypatch, capsys, 'benchmark.py', config, *arguments, '--images', '1')
    for arguments in (('--image-size', 9, 9, '--throughput'), ('--data-root', tmp_path, '--throughput'),
                      ('--images', 0), ('--warmup', -1)):
        assert 'usage' in error_inside(monkeypatch, capsys, 'benchmark.py', config, *arguments)
    (tmp_path / 'notes.txt').write_text('not a config')
    for name in ('notes.txt', 'none.py'):
        assert name in error_inside(monkeypatch, capsys, 'benchmark.py', tmp_path / name)
    assert 'no model' in error_inside(monkeypatch, capsys, 'benchmark.py',
                                      ROOT / 'configs' / '_base_' / 'default_runtime.py')
