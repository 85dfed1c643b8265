"""The plot of latency by stage."""
import pytest
from matplotlib.colors import to_hex
from plotted import extents, overlapping

from mmseg_vittm.measure.plots.stages import stages_figure


BARS = [('SegFormer-B3', dict(backbone=1190.0, head=929.0, post=10.2)),
        ('ViTTM-S', dict(backbone=11, head=12.3, post=9)),
        ('ViT-B/32', dict(backbone=215.0, head=78.0, post=220.0)), ('half', dict(backbone=100.0, post=40.0))]


def test_stages_are_stacked(style):
    figure = stages_figure(BARS, 'Measured.')
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ['ViTTM-S', 'half', 'ViT-B/32', 'SegFormer-B3']
    bars = [(round(bar.get_y() + bar.get_height() / 2), bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert [bar for bar in bars if bar[0] == 3] == [(3, 0, 1190), (3, 1190, 929), (3, 2119, pytest.approx(10.2))]
    assert [bar for bar in bars if bar[0] == 1] == [(1, 0, 100), (1, 100, 40)]
    said = [text.get_text() for text in axes.texts]
    assert {'1190', '929', '10.2', '2129 ms', '11.0', '12.3', '9.00', '32.3 ms', '513 ms', '140 ms'} <= set(said)
    assert len(said) == 11 + 4
    legend, = figure.legends
    assert [text.get_text() for text in legend.texts] == ['backbone', 'decode head', 'after the head']
    assert len({(to_hex(patch.get_facecolor()), patch.get_hatch()) for patch in legend.legend_handles}) == 3
    assert len({patch.get_hatch() for patch in legend.legend_handles}) == 3  # not by colour alone
    assert len({bar.get_hatch() for bar in axes.patches if round(bar.get_y()) == 2}) == 3


def test_numbers_of_stages_keep_clear(style):
    figure = stages_figure(BARS, 'Measured.')
    figure.canvas.draw()
    axes, unit = figure.axes[0], figure.dpi / 72
    texts = axes.texts
    boxes = extents(figure, texts)
    assert overlapping(texts, boxes) == []
    segments = [bar.get_window_extent().extents for bar in axes.patches]
    for text, box in zip(texts, boxes, strict=True):
        assert axes.get_window_extent().x0 - unit <= box[0] and box[2] <= figure.bbox.width, text
        touched = [bar for bar in segments if boxes_overlap(box, bar)]
        assert len(touched) < 2 and all(bar[0] <= box[0] and box[2] <= bar[2] for bar in touched), text
    above = [text.get_text() for text, box in zip(texts, boxes, strict=True)
             if not any(boxes_overlap(box, bar) for bar in segments) and 'ms' not in text.get_text()]
    assert {'10.2', '12.3', '9.00'} <= set(above) and '1190' not in above


@pytest.mark.parametrize('longest', [4420.0, 4700.0, 90.0, 9.3])
def test_ticks_of_stages_are_not_cut_off(style, longest):
    figure = stages_figure([('ViT-B/16', dict(backbone=longest))], 'Measured.')
    figure.canvas.draw()
    labels = [label for label in figure.axes[0].get_xticklabels() if label.get_text()]
    assert len(labels) > 2
    assert all(box[2] <= figure.bbox.width for box in extents(figure, labels))
