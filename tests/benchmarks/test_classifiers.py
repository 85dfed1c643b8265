"""benchmarks/classifiers.py: what it writes, on models made small."""
import json
import runpy

import timm
from tiny_models import ROOT
from tool_inside import error_inside, run_inside

SCRIPT = ROOT / 'benchmarks' / 'classifiers.py'


def test_records_and_table(tmp_path, monkeypatch, capsys):
    create = timm.create_model
    monkeypatch.setattr(timm, 'create_model', lambda name: create(name, embed_dim=48, depth=1, num_heads=3))
    path = tmp_path / 'results.json'
    run_inside(monkeypatch, '../benchmarks/classifiers.py', '--batch-size', 2, '--rounds', 2, '--json', path)
    assert 'vittm_large_patch28_224' in capsys.readouterr().out
    records = json.loads(path.read_text())
    assert [record['model'] for record in records][:5] == timm.list_models('vittm*') and len(records) == 7
    timed = [record for record in records if 'images_per_s' in record]
    assert len(timed) == 4 and all('base' in record['model'] and record['images_per_s'] > 0 for record in timed)
    assert records[0]['gflops'] > 0 and records[0]['params_m'] > 0
    assert str(path) in error_inside(monkeypatch, capsys, '../benchmarks/classifiers.py', '--json', path)


def test_turns():
    seen = []
    models = {name: lambda images, name=name: seen.append(name) for name in 'abc'}
    seconds = runpy.run_path(str(SCRIPT))['in_turns'](models, 1, 4)
    assert {name: len(times) for name, times in seconds.items()} == dict(a=4, b=4, c=4)
    assert len(seen) == 15 and all(set(seen[i:i + 3]) == set('abc') for i in range(0, 15, 3))
