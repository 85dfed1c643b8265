"""tools/complexity.py --ttm."""
import json

from tiny_models import ROOT
from tool_inside import error_inside, run_inside


def test_the_tool_rebuilds_the_slides(tmp_path, monkeypatch, capsys):
    path, plot = tmp_path / 'new' / 'ttm.json', tmp_path / 'new' / 'ttm.svg'
    run_inside(monkeypatch, 'complexity.py', '--ttm', '--json', path, '--plot', plot)
    records = json.loads(path.read_text())
    said = capsys.readouterr().out
    assert 'TTM-Mixer, N = 3136' in said and 'Other readings' in said and '29.695' in said
    growth = [record for record in records if record['table'] == 'ttm growth']
    assert len(growth) == 5 and all(len(one['steps']) == len(one['gflops']) for one in growth)
    assert {record['table'] for record in records} == {'ttm', 'ttm growth'}
    assert b'causal attention' in plot.read_bytes()
    assert str(path) in error_inside(monkeypatch, capsys, 'complexity.py', '--ttm', '--json', path)
    before = plot.read_bytes()
    assert str(plot) in error_inside(monkeypatch, capsys, 'complexity.py', '--ttm', '--plot', plot)
    assert plot.read_bytes() == before


def test_bad_input(tmp_path, monkeypatch, capsys):
    toy, plot = ROOT / 'configs' / 'segmenter_vit_t_toy.py', tmp_path / 'plot.svg'
    for arguments in ((toy, '--ttm'), ('--ttm', '--paper', 8), ('--ttm', '--size', 9, 9), ('--ttm', '--latency'),
                      ('--ttm', '--device', 'cpu'), ('--ttm', '--data-root', 'x'), (toy, '--plot', plot),
                      ('--paper', 8, '--plot', plot), ('--plot', plot), ('--ttm', '--plot', plot, '--json', plot)):
        assert 'usage' in error_inside(monkeypatch, capsys, 'complexity.py', *arguments)
    for other in ('x.pdf', ''):
        said = error_inside(monkeypatch, capsys, 'complexity.py', '--ttm', '--plot', other)
        assert 'a plot ends in .png or .svg' in said
    assert list(tmp_path.iterdir()) == []
