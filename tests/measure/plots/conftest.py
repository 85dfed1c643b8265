"""Fixtures of the plots' tests."""
import pytest
from mmengine.logging import MMLogger

from mmseg_vittm.visualization.style import house_style


@pytest.fixture
def style():
    """The style that `draw_plots` draws under."""
    with house_style():
        yield


@pytest.fixture
def log(monkeypatch) -> list[str]:
    """What is logged."""
    said = []
    for level in ('info', 'warning'):
        monkeypatch.setattr(MMLogger.get_current_instance(), level, said.append)
    return said
