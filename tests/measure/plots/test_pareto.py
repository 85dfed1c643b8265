"""The plot of speed against mIoU."""
import sys

import pytest
from matplotlib.text import Text
from plotted import CROWD, extents, overlap, overlapping, texts_of

from mmseg_vittm.errors import InputError
from mmseg_vittm.measure.plots.pareto import FAMILY_LOOKS, pareto_figure
from mmseg_vittm.measure.plots.points import Point
from mmseg_vittm.visualization.style import GREY


def labels_of(figure, names) -> list[Text]:
    return [text for text in figure.axes[0].texts if text.get_text() in names]


@pytest.mark.parametrize('dpi', [72, 200, 300])
def test_names_of_crowded_points_keep_clear(style, dpi):
    figure = pareto_figure(CROWD, 'predict', 'Measured.')
    figure.dpi = dpi
    figure.canvas.draw()
    axes, labels = figure.axes[0], labels_of(figure, [point.name for point in CROWD])
    assert [label.get_text() for label in labels] == [point.name for point in CROWD]
    boxes, radius, pixel = extents(figure, labels), 3.5 * dpi / 72, dpi / 72
    assert overlapping(labels, boxes) == []
    frame = axes.get_window_extent().extents
    for point, box in zip(CROWD, boxes, strict=True):
        assert frame[0] <= box[0] + pixel and frame[1] <= box[1] + pixel, point
        assert box[2] <= frame[2] + pixel and box[3] <= frame[3] + pixel, point
    for point in CROWD:
        x, y = axes.transData.transform((point.fps, point.miou))
        low, high = (axes.transData.transform((fps, 0))[0] for fps in point.fps_iqr or [point.fps] * 2)
        for label, box in zip(labels, boxes, strict=True):
            assert not overlap(box, (x - radius, y - radius, x + radius, y + radius)), (point, label)
            assert not overlap(box, (low, y, high, y)), (point, label)

    for point, label in zip(CROWD, labels, strict=True):  # so crowded that names simply above their points collide
        label.set_position((point.fps, point.miou + 0.1))
    assert len(overlapping(labels, extents(figure, labels))) > 5


def test_the_same_places_every_time(style):
    twice = [Point('one', 'ViT', 1, 40), Point('two', 'ViT', 1, 40), Point('three', 'ViT', 1, 40)]  # drawn from a seed
    for points in (CROWD, twice):
        first, second = (labels_of(pareto_figure(points, 'predict', 'Measured.'), [one.name for one in points])
                         for _ in range(2))
        assert [label.get_position() for label in first] == [label.get_position() for label in second]


def test_without_adjust_text(style, monkeypatch):
    monkeypatch.setitem(sys.modules, 'adjustText', None)
    with pytest.raises(InputError, match=r"adjustText.*not installed: pip install 'mmseg-vittm\[plots\]'"):
        pareto_figure(CROWD, 'predict', 'Measured.')


def test_published_and_measured_are_told_apart(style):
    figure = pareto_figure(CROWD, 'predict', 'Measured on a machine.', 'A title')
    drawn = {line.get_gid(): line for line in figure.axes[0].lines}
    for number, point in enumerate(CROWD):
        line = drawn[f'point-{number}']
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (point.fps, point.miou)
        assert line.get_markerfacecolor() == ('white' if point.publisher else line.get_markeredgecolor())
        if point.family in FAMILY_LOOKS:
            assert (line.get_markeredgecolor(), line.get_marker()) == FAMILY_LOOKS[point.family]
        assert (f'quartiles-{number}' in drawn) == (point.fps_iqr is not None)
    assert list(drawn['quartiles-2'].get_xdata()) == [90, 110]
    assert [(x, y) for x, y in drawn['pareto-front'].get_xydata()] == [
        (61.2, 48.06), (62, 45.6), (103, 45.58), (105, 45.4)]

    legend, = figure.legends
    handles = {text.get_text(): line for text, line in zip(legend.texts, legend.legend_handles, strict=True)}
    families = ['ViTTM', 'ViT', 'SegFormer', 'SegNeXt', 'other']
    assert len({handles[name].get_marker() for name in families}) == 5  # not by colour alone
    fills = {name: line.get_markerfacecolor() for name, line in handles.items()}
    assert fills['mIoU: published'] == 'white' and fills['mIoU: measured'] == GREY
    assert {'Pareto front', 'quartiles of the speed'} <= set(handles)
    assert {'A title', 'FPS (images per second)'} <= set(texts_of(figure))
    assert figure.get_supxlabel().replace('\n', ' ') == (
        "Measured on a machine. Published mIoU: MMSegmentation's model zoo; SegFormer paper; SegNeXt paper; "
        'ViTTM paper, Table 6.')


@pytest.mark.parametrize('point, absent', [
    (Point('a', 'ViT', 1, 40), 'ublished'), (Point('a', 'ViT', 1, 40, 'paper'), 'mIoU: measured')])
def test_one_point_and_a_legend_of_what_is_there(point, absent, style):
    figure = pareto_figure([point], 'throughput', 'Told.')
    assert not [text for text in texts_of(figure) if absent in text]
    assert 'quartiles of the speed' not in texts_of(figure)
    assert figure.axes[0].get_xlabel() == 'crops per second'


def test_more_families_than_looks(style):
    points = [Point(f'{name}-B', name, 1 + number, 40) for number, name in enumerate('ABCDEFGHIJKLMNOPQRST')]
    figure = pareto_figure(points, 'predict', 'Measured.')
    looks = {(line.get_markeredgecolor(), line.get_marker()) for line in figure.axes[0].lines
             if line.get_gid().startswith('point')}
    assert len(looks) == len(points)
    width = figure.bbox.width
    assert all(box[0] >= 0 and box[2] <= width for box in extents(figure, figure.legends))
