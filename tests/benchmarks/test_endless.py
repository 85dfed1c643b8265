"""benchmarks/endless.py: time and memory of a stream that does not end."""
import json

from tiny_models import ROOT
from tool_inside import error_inside, run_inside

SCRIPT = ROOT / 'benchmarks' / 'endless.py'


def test_the_figure_and_its_numbers(tmp_path, monkeypatch, capsys):
    command = (SCRIPT, '-o', tmp_path / 'out', '--frames', 212, '--size', 32, '--device', 'cpu')
    run_inside(monkeypatch, *command)
    record = json.loads((tmp_path / 'out' / 'endless.json').read_text())
    assert record['frames'] == 212 and record['config'] == 'toy_ttm.py' and record['size'] == 32
    assert record['last_ms'] > 0 and abs(record['last_over_first'] - record['last_ms'] / record['first_ms']) < 0.01
    assert record['growth_mib'] >= record['resident_mib_at_end'] - record['resident_mib_at_frame_10'] - 0.11
    assert '<svg' in (tmp_path / 'out' / 'endless.svg').read_text()
    assert 'there already' in error_inside(monkeypatch, capsys, *command)
