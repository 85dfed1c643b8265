"""The plot of speed against mIoU."""
import sys

import pytest
from matplotlib.text import Text
from plotted import extents, overlapping, texts_of

from mmseg_vittm.errors import InputError
from mmseg_vittm.measure.plots.pareto import FAMILY_LOOKS, pareto_figure
from mmseg_vittm.measure.plots.points import Point
from mmseg_vittm.visualization.style import GREY


# Two clouds, with speeds or mIoUs nearly or quite the same, one long name and one wide bar.
CROWD = [
    Point('ViT-B/16', 'ViT', 61.0, 45.65, 'ViTTM paper, Table 6', (58, 63)),
    Point('ViT-B/16, fine-tuned at 384', 'ViT', 61.2, 48.06, 'ViTTM paper, Table 6', (60, 62)),
    Point('ViTTM-B(64, 64)', 'ViTTM', 104, 45.17, 'ViTTM paper, Table 6', (90, 110)),
    Point('ViTTM-B(49, 196)', 'ViTTM', 101, 45.2, None, (99, 103)),
    Point('SegFormer-B2', 'SegFormer', 62.0, 45.6, 'SegFormer paper', (61, 63)),
    Point('SegFormer-B2, 256 wide', 'SegFormer', 103, 45.58, "MMSegmentation's model zoo"),
    Point('SegFormer-B3', 'SegFormer', 60, 45.7, 'SegFormer paper'),
    Point('SegNeXt-B', 'SegNeXt', 102, 45.3, 'SegNeXt paper'),
    Point('SegNeXt-S', 'SegNeXt', 105, 45.4, 'SegNeXt paper'),
    Point('ViT-B/32', 'ViT', 104, 45.35), Point('a_config_with_quite_a_long_stem_ade20k', 'other', 63, 45.4)]


def labels_of(figure, names) -> list[Text]:
    return [text for text in figure.axes[0].texts if text.get_text() in names]


@pytest.mark.parametrize('dpi', [72, 200, 300])
def test_labels_of_crowded_points_keep_clear(style, dpi):
    figure = pareto_figure(CROWD, 'predict', 'Measured.')
    figure.dpi = dpi
    figure.canvas.draw()
    axes, labels = figure.axes[0], labels_of(figure, [point.name for point in CROWD])
    assert [label.get_text() for label in labels] == [point.name for point in CROWD]
    boxes, radius = extents(figure, labels), 3.5 * dpi / 72
    assert overlapping(labels, boxes) == []
    frame = axes.get_window_extent().extents
    for point, box in zip(CROWD, boxes, strict=True):
        assert frame[0] <= box[0] and frame[1] <= box[1] and box[2] <= frame[2] and box[3] <= frame[3], point
    for point in CROWD:
        x, y = axes.transData.transform((point.fps, point.miou))
        for label, box in zip(labels, boxes, strict=True):
            assert not boxes_overlap(box, (x - radius, y - radius, x + radius, y + radius)), (point, label)
            if point.fps_iqr:
                bar = [axes.transData.transform((fps, point.miou)) for fps in point.fps_iqr]
                assert not line_crosses_box(*bar, box), (point, label)

    for label in labels:  # so crowded that labels simply above their points collide
        label.set_position((0, 10))
    assert len(overlapping(labels, extents(figure, labels))) > 5


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

    families, meanings = figure.legends
    assert [text.get_text() for text in families.texts] == ['ViTTM', 'ViT', 'SegFormer', 'SegNeXt', 'other']
    assert len({line.get_marker() for line in families.legend_handles}) == 5  # not by colour alone
    fills = {text.get_text(): line.get_markerfacecolor()
             for text, line in zip(meanings.texts, meanings.legend_handles, strict=True)}
    assert fills['mIoU: published'] == 'white' and fills['mIoU: measured'] == GREY
    assert {'Pareto front', 'quartiles of the speed'} <= set(fills)
    said = [text.replace('\n', ' ') for text in texts_of(figure)]
    assert {'A title', 'Measured on a machine.', 'FPS (images per second)'} <= set(said)
    assert ("Published mIoU: MMSegmentation's model zoo; SegFormer paper; SegNeXt paper; ViTTM paper, Table 6." in said)


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
