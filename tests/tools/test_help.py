"""What every tool says of itself."""
import pytest
from tiny_models import ROOT
from tool_inside import run_inside


@pytest.mark.parametrize('tool', sorted(path.name for path in (ROOT / 'tools').glob('*.py')))
def test_help(tool, monkeypatch, capsys):
    try:
        run_inside(monkeypatch, tool, '--help')  # torchrun's own returns
    except SystemExit as stop:
        assert not stop.code
    assert 'usage' in capsys.readouterr().out
