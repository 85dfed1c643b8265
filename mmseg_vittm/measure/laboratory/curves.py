"""The plot of mIoU over the iterations of trainings."""
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...visualization import style
from ...visualization.style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, SKY

HEIGHT = 4.2  # inches
FEW, MORE = 8, 0.08  # names that fit into it, inches for each further one
COLOURS = (RED, BLUE, GREEN, ORANGE, PINK, SKY, BLACK)
MARKERS = ('o', '^', 's', 'D', 'v')  # of rows that share a colour, in turn


@dataclass(frozen=True)
class Curves:
    """The trainings of a row.

    Attributes:
        name: What the row is called.
        seeds: Of each seed, (iteration, mIoU in percent), by growing iterations.
        kin: Rows of one name share a colour.
        is_base: Whether it is what another row of its kin is compared with: a dashed line.
    """
    name: str
    seeds: tuple[tuple[tuple[int, float], ...], ...]
    kin: str = ''
    is_base: bool = False


def curves_figure(rows: Sequence[Curves], notes: Sequence[str], title: str | None = None) -> Figure:
    """Draws validation mIoU over iterations: every seed as a thin line, their mean as a thick one.

    Args:
        rows: The rows.
        notes: Footnotes.
        title: The title.

    Returns:
        The figure; make and save it in `house_style`.
    """
    figure = style.new_figure(HEIGHT + MORE * max(len(rows) - FEW, 0))
    axes, handles = figure.subplots(), []
    kin = list(dict.fromkeys(row.kin or row.name for row in rows))
    alike: Counter[tuple[str, str]] = Counter()
    for row in rows:
        look = dict(color=COLOURS[kin.index(row.kin or row.name) % len(COLOURS)], ls='--' if row.is_base else '-')
        turn = alike[look['color'], look['ls']]
        alike[look['color'], look['ls']] += 1
        for points in row.seeds:
            axes.plot(*zip(*points, strict=True), lw=0.6, alpha=0.5, **look)
        look |= dict(lw=1.6, marker=MARKERS[turn % len(MARKERS)], ms=3 + turn)
        axes.plot(*zip(*mean_curve(row.seeds), strict=True), **look)
        handles.append(Line2D([], [], label=row.name, **look))
    axes.set(xlabel='iterations', ylabel='validation mIoU (%)', xlim=(0, None))
    axes.grid()
    style.add_legend(figure, [handles], title)
    style.add_notes(figure, notes)
    return figure


def mean_curve(seeds: Sequence[Sequence[tuple[int, float]]]) -> list[tuple[int, float]]:
    """Returns the mean of several curves, at the iterations that all of them have."""
    found = [dict(points) for points in seeds]
    steps = sorted(set(found[0]).intersection(*found[1:]))
    return [(step, sum(points[step] for points in found) / len(found)) for step in steps]
