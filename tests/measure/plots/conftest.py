"""Fixtures of the plots' tests."""
import pytest

from mmseg_vittm.visualization.style import house_style


@pytest.fixture
def style():
    """The style that `draw_plots` draws under."""
    with house_style():
        yield
