"""What every tool says of itself."""
import pytest
from tiny_models import ROOT
from tool_inside import run_inside


@pytest.mark.parametrize('tool', sorted(path.name for path in (ROOT / 'tools').glob('*.py')))
def test_help(tool, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        run_inside(monkeypatch, tool, '--help')
    assert not stop.value.code and 'usage' in capsys.readouterr().out
