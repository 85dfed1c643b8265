"""The pictures of a laboratory: what is drawn is what was given."""
import numpy as np
import pytest
from matplotlib.colors import to_hex

from mmseg_vittm.measure.laboratory.classes import classes_figure
from mmseg_vittm.measure.laboratory.curves import Curves, curves_figure, mean_curve
from mmseg_vittm.measure.laboratory.pareto import FRONT, Spot, pareto_figure
from mmseg_vittm.visualization.style import house_style, render_files

SPOTS = [Spot('ViT/16', 'ViT', 20.0, (50.0, 52.0), True), Spot('ViT/32', 'ViT', 60.0, (44.0, 42.0), True),
         Spot('ViT/8', 'ViT', 4.0, (49.0, 51.0), True),  # slower than ViT/16, and worse
         Spot('ViTTM(32/8)', 'ViTTM', 40.0, (49.0, 50.0))]


def lines(axes) -> dict[str, tuple[list, list]]:
    return {line.get_gid(): tuple(np.round(line.get_data(), 6).tolist()) for line in axes.lines if line.get_gid()}


def test_the_pareto_plot_shows_seeds_means_and_the_front():
    with house_style():
        figure = pareto_figure(SPOTS, ['how it was measured'], 'title')
        files = render_files(figure)
    drawn = lines(figure.axes[0])
    assert drawn[FRONT] == ([20.0, 60.0], [51.0, 43.0])
    assert drawn['mean-3'] == ([40.0], [49.5]) and drawn['seeds-3'] == ([40.0, 40.0], [49.0, 50.0])
    assert drawn['spread-1'] == ([60.0, 60.0], [42.0, 44.0])
    text = files['svg'].decode()
    assert all(name in text for name in ('ViT/16', 'ViTTM(32/8)', 'how it was measured', 'front of the plain ViTs'))
    assert files['png'].startswith(b'\x89PNG')


def test_names_in_the_pareto_plot_do_not_overlap():
    near = [Spot(f'ViTTM({name})', 'ViTTM', 30.0 + number / 2, (50.0 + number / 10,))
            for number, name in enumerate(('32/8', '32/16', '16/8', '16/16'))]
    with house_style():
        figure = pareto_figure([*SPOTS, *near], [])
        figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    assert len(boxes) == 8
    assert not any(one.overlaps(other) for number, one in enumerate(boxes) for other in boxes[:number])


def test_curves_show_every_seed_and_their_mean():
    warm = Curves('warm', (((500, 30.0), (1000, 40.0)), ((500, 32.0),)), 'vit')
    random = Curves('random', (((500, 20.0), (1000, 30.0)),), 'vit', True)
    with house_style():
        axes = curves_figure([warm, random], ['note']).axes[0]
    assert [line.get_xydata().tolist() for line in axes.lines] == [
        [[500, 30], [1000, 40]], [[500, 32]], [[500, 31]], [[500, 20], [1000, 30]], [[500, 20], [1000, 30]]]
    assert len({to_hex(line.get_color()) for line in axes.lines}) == 1  # kin
    assert {line.get_linestyle() for line in axes.lines[:3]} == {'-'} and axes.lines[4].get_linestyle() == '--'


def test_many_curves_are_told_apart():
    points = ((500, 20.0), (1000, 40.0))
    rows = [Curves(f'model {number}', (points, )) for number in range(10)]
    rows += [Curves('warm', (points, ), 'model 0'), Curves('taught', (points, ), 'model 0')]
    with house_style():
        figure = curves_figure(rows, [])
    legend = {(to_hex(line.get_color()), line.get_marker()): line.get_label() for line in figure.legends[0].get_lines()}
    drawn = [(to_hex(line.get_color()), line.get_marker()) for line in figure.axes[0].lines[1::2]]
    assert [legend[look] for look in drawn] == [row.name for row in rows]


def test_the_mean_is_over_what_all_curves_have():
    assert mean_curve([[(1, 1.0), (2, 4.0), (3, 9.0)], [(2, 6.0), (3, 1.0), (4, 0.0)]]) == [(2, 5.0), (3, 5.0)]


def test_bars_are_means_of_classes():
    rows = [('a', [dict(sky=80.0, pole=10.0, bus=None), dict(sky=90.0, pole=20.0, bus=None)]),
            ('b', [dict(sky=70.0, pole=0.0, bus=5.0)])]
    with house_style():
        axes = classes_figure(['sky', 'pole', 'bus'], rows, []).axes[0]
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([85.0, 15.0, 70.0, 0.0, 5.0])
    assert [label.get_text() for label in axes.get_xticklabels()] == ['sky', 'pole', 'bus']
    places = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches]
    assert places == pytest.approx([-0.2, 0.8, 0.2, 1.2, 2.2])
