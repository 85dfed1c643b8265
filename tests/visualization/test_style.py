"""The one style of figures."""
import pytest

matplotlib = pytest.importorskip('matplotlib')

from mmseg_vittm.visualization import style  # noqa: E402  (needs matplotlib)


def make_files() -> dict[str, bytes]:
    with style.house_style():
        figure = style.new_figure(3)
        axes = figure.subplots()
        axes.plot([1, 2], [3, 4], label='Price: $5 & $6')
        axes.fill_between([1, 2], [3, 4], hatch='//')  # hatches have names of their own in an SVG
        style.add_legend(figure, [axes.lines], 'A title')
        style.add_notes(figure, ['A note.', 'Another ' * 30])
        return style.render_files(figure)


def test_the_same_files_whatever_matplotlib_is_set_to():
    first = make_files()
    with matplotlib.rc_context({'axes.facecolor': 'black', 'font.size': 20, 'svg.fonttype': 'path'}):
        before = dict(matplotlib.rcParams)
        assert make_files() == first
        assert dict(matplotlib.rcParams) == before
    assert set(first) == {'svg', 'png'} and first['png'].startswith(b'\x89PNG')
    text = first['svg'].decode()
    assert 'Price: $5 &amp; $6' in text and 'A title' in text and 'dc:date' not in text


def test_legends_are_read_row_by_row():
    figure = style.new_figure(3)
    handles = [matplotlib.lines.Line2D([], [], label=name) for name in 'abcdefg']
    legend = style.add_legend(figure, [handles[:5], handles[5:]], columns=4)
    figure.canvas.draw()
    places = {text.get_text(): text.get_window_extent().p0 for text in legend.texts if text.get_text().strip()}
    rows = [''.join(name for name in places if abs(places[name][1] - places[first][1]) < 3) for first in 'aef']
    assert rows == ['abcd', 'e', 'fg']
    assert places['a'][0] < places['b'][0] and abs(places['a'][0] - places['f'][0]) < 3


@pytest.mark.parametrize('length, columns', [(8, 4), (26, 3), (40, 2), (90, 1)])
def test_a_legend_is_no_wider_than_its_figure(length, columns):
    with style.house_style():
        figure = style.new_figure(3)
        handles = [matplotlib.lines.Line2D([], [], label=f'{number}' * length) for number in range(5)]
        legend = style.add_legend(figure, [handles])
        figure.canvas.draw()
    box = legend.get_window_extent()
    assert figure.legends == [legend] and (box.x1 <= figure.bbox.x1 or columns == 1)
    assert legend._ncols == columns
