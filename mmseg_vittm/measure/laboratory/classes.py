"""The plot of the IoU of every class."""
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ...visualization import style
from ...visualization.style import BLACK, BLUE, GREEN, INK, ORANGE, PINK, RED, SKY

HEIGHT = 3.6  # inches
COLOURS = (BLUE, RED, GREEN, ORANGE, PINK, SKY, BLACK)
GROUP = 0.8  # of the room between two classes that bars take


def classes_figure(classes: Sequence[str], rows: Sequence[tuple[str, Sequence[dict[str, float | None]]]],
                   notes: Sequence[str], title: str | None = None) -> Figure:
    """Draws bars of the mean IoU over seeds, per class and row, with a dot for every seed.

    Args:
        classes: Names of the classes.
        rows: Of each row its name and, per seed, the IoU by class in percent; None where the class does not occur.
        notes: Footnotes.
        title: The title.

    Returns:
        The figure; make and save it in `house_style`.
    """
    figure = style.new_figure(HEIGHT)
    axes, width = figure.subplots(), GROUP / len(rows)
    for number, (_, seeds) in enumerate(rows):
        places = np.arange(len(classes)) + (number + 0.5) * width - GROUP / 2
        values = np.array([[np.nan if seed.get(name) is None else seed[name] for name in classes] for seed in seeds])
        there = ~np.isnan(values).any(axis=0)  # others have no bar
        axes.bar(places[there], values[:, there].mean(axis=0), width * 0.92, color=COLOURS[number % len(COLOURS)])
        for seed in values:
            axes.plot(places, seed, '.', ms=2.5, color=INK, zorder=3)
    axes.set_xticks(range(len(classes)), classes, rotation=35, ha='right', rotation_mode='anchor')
    axes.tick_params(axis='x', length=0)
    axes.set(ylabel='IoU (%)', xlim=(-0.5, len(classes) - 0.5))
    axes.grid(axis='y')
    style.add_legend(figure, [[Patch(color=COLOURS[number % len(COLOURS)], label=name)
                               for number, (name, _) in enumerate(rows)]], title)
    style.add_notes(figure, notes)
    return figure
