"""The plot of latency by stage."""
import pytest
from matplotlib.colors import to_hex
from plotted import BARS, extents, overlap, overlapping

from mmseg_vittm.measure.plots.stages import stages_figure


def test_stages_are_stacked(style):
    figure = stages_figure(BARS, 'Measured.')
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ['ViTTM-S', 'half', 'ViT-B/32', 'SegFormer-B3']
    bars = [(round(bar.get_y() + bar.get_height() / 2), bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert [bar for bar in bars if bar[0] == 3] == [(3, 0, 1190), (3, 1190, 929), (3, 2119, pytest.approx(10.2))]
    assert [bar for bar in bars if bar[0] == 1] == [(1, 0, 100), (1, 100, 40)]
    said = [text.get_text() for text in axes.texts]
    assert said == ['32.3 ms', '11.0 + 12.3 + 9.00', '140 ms', '100 + 40.0', '513 ms', '215 + 78.0 + 220', '2129 ms',
                    '1190 + 929 + 10.2']
    legend, = figure.legends
    assert [text.get_text() for text in legend.texts] == ['backbone', 'decode head', 'after the head']
    assert len({(to_hex(patch.get_facecolor()), patch.get_hatch()) for patch in legend.legend_handles}) == 3
    assert len({patch.get_hatch() for patch in legend.legend_handles}) == 3  # not by colour alone
    assert len({bar.get_hatch() for bar in axes.patches if round(bar.get_y()) == 2}) == 3


def test_numbers_of_stages_keep_clear(style):
    figure = stages_figure(BARS, 'Measured.')
    figure.canvas.draw()
    axes, texts = figure.axes[0], figure.axes[0].texts
    boxes = extents(figure, texts)
    assert overlapping(texts, boxes) == []
    drawn = [bar.get_window_extent().extents for bar in axes.patches]
    assert not [text for text, box in zip(texts, boxes, strict=True) if any(overlap(box, bar) for bar in drawn)]
    assert all(box[0] > axes.get_window_extent().x0 and box[2] <= figure.bbox.width for box in boxes)
    assert all(any(abs(box[0] - bar[2]) < 12 for bar in drawn) for box in boxes)  # right behind the bars


def test_both_in_one_graph(style):
    figure = stages_figure([('compiled', dict(network=30.0, post=2.0)), ('eager', BARS[0][1])], 'Measured.')
    assert '30.0 + 2.00' in [text.get_text() for text in figure.axes[0].texts]
    assert [text.get_text() for text in figure.legends[0].texts] == [
        'backbone', 'decode head', 'both in one graph', 'after the head']


@pytest.mark.parametrize('longest', [4420.0, 4700.0, 90.0, 9.3])
def test_ticks_of_stages_are_not_cut_off(style, longest):
    figure = stages_figure([('ViT-B/16', dict(backbone=longest))], 'Measured.')
    figure.canvas.draw()
    labels = [label for label in figure.axes[0].get_xticklabels() if label.get_text()]
    assert len(labels) > 2
    assert all(box[2] <= figure.bbox.width for box in extents(figure, labels))
