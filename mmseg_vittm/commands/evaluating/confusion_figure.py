"""The picture of a confusion matrix."""
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ...errors import printable
from ...evaluation.confusion import divide, most_confused
from ...visualization import style
from ...visualization.style import BLUE, FAINT, GREY, INK, RED, SMALL

NUMBERED = 32  # up to so many classes have their names and numbers in the matrix
CELL, AROUND = 0.36, 2.2  # inches: of a class with a number, and of names
MANY = 6.4  # inches, of the matrix of many classes
LISTED = 34  # pairs beside that
SHOWN = 0.005  # the least share that gets a number
LONGEST = 22  # characters of a name


def confusion_figure(matrix: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """Draws a confusion matrix, a row per true class: the shares of what its pixels were taken for.

    Right pixels are blue, wrong ones red, by the root of their share, so that small ones are seen. Up to 32 classes
    have names and numbers in percent; of more, the pairs that cost the most pixels are listed beside it.

    Args:
        matrix: Pixels, a row per true class, (classes, classes).
        classes: Names.
        title: The title.

    Returns:
        The figure; make and save it in `house_style`.
    """
    names = [_short(printable(name)) for name in classes]
    count = len(names)
    if count <= NUMBERED:
        side = max(CELL * count, 1.2)
        figure = style.new_figure(side + AROUND, side + AROUND)
        _draw(figure.subplots(), matrix, names)
    else:
        figure = style.new_figure(MANY + 0.7, MANY + 5.2)
        left, right = figure.subplots(1, 2, width_ratios=(MANY, 4.6))
        _draw(left, matrix, None)
        _list(right, matrix, names)
    figure.suptitle(printable(title), x=0.01, ha='left', color=INK)
    return figure


def _draw(axes: Axes, matrix: np.ndarray, names: list[str] | None) -> None:
    shares = divide(matrix, np.broadcast_to(matrix.sum(1, keepdims=True), matrix.shape))
    axes.imshow(_colours(shares), interpolation='nearest', aspect='equal')
    axes.set(xlabel='taken for', ylabel='truth')
    axes.xaxis.set_label_position('top')
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[['top', 'right']].set_visible(True)
    if names is None:
        numbers = range(0, len(matrix), 10 if len(matrix) <= 100 else 20)
        axes.set(xlabel='taken for (number of the class)', ylabel='truth (number of the class)', xticks=numbers,
                 yticks=numbers)
        return
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which='minor', color='white', lw=0.8)
    axes.tick_params(which='minor', length=0)
    for row, column in zip(*np.nonzero(np.nan_to_num(shares) >= SHOWN), strict=True):
        share = shares[row, column]
        axes.text(column, row, f'{100 * share:.0f}', ha='center', va='center', fontsize=SMALL - 0.5,
                  color='white' if share > 0.45 else INK, fontweight='bold' if row == column else 'normal')
    for row in np.flatnonzero(np.isnan(shares).all(1)):
        axes.text(len(names) / 2 - 0.5, row, 'not in the data', ha='center', va='center', color=GREY)


def _colours(shares: np.ndarray) -> np.ndarray:
    """Returns the cells' colours, (classes, classes, 3); rows of classes that do not occur are grey."""
    strength = np.sqrt(np.nan_to_num(shares))[..., None]
    right = np.eye(len(shares), dtype=bool)[..., None]
    colour = np.where(right, to_rgb(BLUE), to_rgb(RED))
    picture = 1 - strength * (1 - colour)
    picture[np.isnan(shares)] = to_rgb(FAINT)
    return picture


def _list(axes: Axes, matrix: np.ndarray, names: list[str]) -> None:
    axes.set_axis_off()
    axes.set(xticks=(), yticks=())
    pairs = most_confused(matrix, LISTED)
    wrong = max(int(matrix.sum() - np.trace(matrix)), 1)
    axes.text(0, 1, 'What costs the most pixels', transform=axes.transAxes, va='top', fontweight='bold')
    columns = (('truth', 0), ('taken for', 0.42), ('of it', 0.92), ('of wrong', 1.08))
    rows = [[f'{names[pair.truth]} ({pair.truth})', f'{names[pair.prediction]} ({pair.prediction})',
             f'{100 * pair.share:.0f}%', f'{100 * pair.pixels / wrong:.1f}%'] for pair in pairs]
    for number, row in enumerate([[name for name, _ in columns], *rows]):
        for text, (_, left) in zip(row, columns, strict=True):
            axes.text(left, 0.965 - number * 0.0275, text, transform=axes.transAxes, va='top', fontsize=SMALL - 0.5,
                      ha='right' if left > 0.5 else 'left', color=INK if number else GREY)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f'{name[:LONGEST - 1]}…'
