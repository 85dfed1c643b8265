"""Tools run inside the test's own process, without seconds of imports."""
import runpy
import sys
from collections import OrderedDict

import pytest
from mmseg.visualization import SegLocalVisualizer
from tiny_models import ROOT


def run_inside(monkeypatch, name: str, *arguments) -> None:
    """Runs a tool to its end, with a visualizer of its own: mmengine keeps the first of a process."""
    monkeypatch.setattr(SegLocalVisualizer, '_instance_dict', OrderedDict())
    monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
    runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')


def error_inside(monkeypatch, capsys, name: str, *arguments) -> str:
    """The one line that a tool ends with when its input is wrong, or argparse's usage and error."""
    with pytest.raises(SystemExit) as stop:
        run_inside(monkeypatch, name, *arguments)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    return said if said.startswith('usage') else next(line for line in said.splitlines() if line.startswith('error: '))
