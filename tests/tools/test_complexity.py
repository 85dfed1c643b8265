"""tools/complexity.py."""
import json

from tiny_models import ROOT
from tool_inside import error_inside
from tool_runs import run_tool, write_config

KEYS = {'table', 'row', 'params_m', 'gflops', 'gflops_paper', 'latency_ms', 'latency_ms_paper', 'top1_paper'}


def test_the_tool_rebuilds_a_table(tmp_path, monkeypatch, capsys):
    path = tmp_path / 'new' / 'table.json'
    done = run_tool('complexity.py', '--paper', '5', '--json', path)
    records = json.loads(path.read_text())
    assert len(records) == 33 and all(set(record) >= KEYS for record in records)
    assert [record['latency_ms'] for record in records] == [None] * 33
    assert {record['table'] for record in records} == {5}
    assert 'ViTTM-B(64, 64)' in done.stdout and '126.5' in done.stdout and "fewer than the paper's" in done.stdout
    assert all(done.stdout.count(title) == 1 for title in ("Rev-ViT-B's 86 M", "LookupViT's 90 M"))
    assert str(path) in error_inside(monkeypatch, capsys, 'complexity.py', '--paper', '8', '--json', path)


def test_the_tool_counts_a_config(tmp_path):
    config, path = write_config(tmp_path), tmp_path / 'counts.json'
    done = run_tool('complexity.py', config, '--json', path)
    backbone, segmentor = json.loads(path.read_text())
    assert (backbone['part'], segmentor['part']) == ('backbone', 'segmentor')
    assert backbone['image_size'] == [64, 64]
    for key in ('params_m', 'gflops', 'gflops_fvcore', 'activations_m'):
        assert 0 < backbone[key] < segmentor[key]
    assert not backbone['varies_with_image'] and 'depends on the image' not in done.stdout
    assert 'backbone.encoder.blocks.*.read_head' in done.stdout and 'auxiliary_head' not in done.stdout
    run_tool('complexity.py', config, '--size', '128', '64', '--json', path, '--overwrite')
    wider = json.loads(path.read_text())[0]
    assert wider['params_m'] == backbone['params_m'] and wider['image_size'] == [128, 64]
    assert wider['gflops'] > 1.9 * backbone['gflops']


def test_what_depends_on_the_image_is_said(tmp_path):
    path = tmp_path / 'counts.json'
    done = run_tool('complexity.py', ROOT / 'configs' / 'rivals' / 'segmenter_algm_t_toy.py', '--json', path)
    assert 'depends on the image' in done.stdout
    assert [record['varies_with_image'] for record in json.loads(path.read_text())] == [True, True]


def test_bad_input(tmp_path, monkeypatch, capsys):
    assert str(tmp_path) in error_inside(monkeypatch, capsys, 'complexity.py', tmp_path / 'none.py')
    assert "config '': no" in error_inside(monkeypatch, capsys, 'complexity.py', '')
    runtime = ROOT / 'configs' / '_base_' / 'default_runtime.py'
    assert 'no model' in error_inside(monkeypatch, capsys, 'complexity.py', runtime)
    toy = ROOT / 'configs' / 'segmenter_vit_t_toy.py'
    for arguments in ((), ('--paper', 6), (toy, '--latency'), (toy, '--batch-size', 3),
                      ('--paper', 8, '--device', 'cpu'), ('--paper', 8, '--size', 9, 9)):
        assert 'usage' in error_inside(monkeypatch, capsys, 'complexity.py', *arguments)
