"""How often classes occur in a data set: as a table and as a picture."""
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import NullLocator
from rich.markup import escape
from rich.table import Table

from ..errors import printable
from ..visualization.style import BLUE, GREY, INK, RED, SMALL, house_style, new_figure, render_files

ROWS = 50  # classes in a column of the picture
BAR, NEVER = BLUE, RED
COLUMN_WIDTH, ROW_HEIGHT = 3.6, 0.15  # inches


def histogram_table(classes: Sequence[str], pixels: np.ndarray, images: Mapping[str, np.ndarray],
                    ignored: int) -> Table:
    """Returns a table of the classes, the most frequent first: pixels, their share, images that contain them.

    Args:
        classes: Names.
        pixels: Pixels of each class, over all files.
        images: Images that contain each class, by split.
        ignored: Pixels that are ignored.
    """
    table = Table(title='classes', caption='share: of labelled pixels; images: those that contain the class')
    table.add_column('class', overflow='fold')
    for name in ('pixels', 'share', *(f'images: {split}' for split in images)):
        table.add_column(name, justify='right')
    total = max(int(pixels.sum()), 1)
    for i in np.argsort(-pixels, kind='stable'):
        counts = [f'{count[i]:,}' for count in images.values()]
        share = f'{100 * pixels[i] / total:.3f}%' if pixels[i] else 'never seen'
        table.add_row(escape(classes[i]), f'{pixels[i]:,}', share, *counts, style=None if pixels[i] else 'bold')
    table.add_row('(ignored)', f'{ignored:,}', '', *[''] * len(images), style='dim')
    return table


def histogram_figure(classes: Sequence[str], pixels: np.ndarray, images: np.ndarray, title: str) -> Figure:
    """Draws the share of each class as a bar on a logarithmic scale, the most frequent first, in columns of 50.

    Args:
        classes: Names.
        pixels: Pixels of each class.
        images: Images that contain each class.
        title: The title.

    Returns:
        The figure; make and save it in `house_style`, as `histogram_files` does.
    """
    rows, columns = grid_of(len(classes))
    figure = new_figure(ROW_HEIGHT * rows + 1.05, COLUMN_WIDTH * columns + 0.1)
    draw_shares(figure, classes, pixels, images)
    figure.suptitle(printable(title), x=0.01, ha='left', color=INK)
    return figure


def grid_of(classes: int) -> tuple[int, int]:
    """Returns in how many rows and columns so many classes stand."""
    columns = math.ceil(classes / ROWS)
    return math.ceil(classes / columns), columns


def draw_shares(figure: FigureBase, classes: Sequence[str], pixels: np.ndarray, images: np.ndarray) -> None:
    """Draws the bars of `histogram_figure` into a figure, or a part of one."""
    order = np.argsort(-pixels, kind='stable')
    rows, columns = grid_of(len(classes))
    shares = 100 * pixels / max(int(pixels.sum()), 1)
    seen = shares[shares > 0]
    low = 10.0 ** math.floor(math.log10(seen.min())) if seen.size else 0.1
    ticks = [10.0 ** k for k in range(2, round(math.log10(low)) - 1, -1 if low > 1e-3 else -2)]
    panels = figure.subplots(1, columns, squeeze=False)[0]
    for number, axes in enumerate(panels):
        part = order[number * rows:(number + 1) * rows]
        axes.barh(range(len(part)), np.maximum(shares[part] - low, 0), 0.72, low, color=BAR, lw=0)
        axes.set(xscale='log', xlim=(low, 100 * 40), ylim=(rows - 0.4, -0.6),
                 xlabel='share of labelled pixels (%)')
        axes.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yticks(range(len(part)), [_short(classes[i]) for i in part], fontsize=SMALL - 1)
        axes.tick_params(axis='y', length=0)
        axes.grid(axis='x')
        for row, i in enumerate(part):
            text = f'{shares[i]:.2g}%, {images[i]:,} images' if pixels[i] else 'never seen'
            axes.text(max(shares[i], low) * 1.15, row, text, va='center', fontsize=SMALL - 2,
                      color=GREY if pixels[i] else NEVER)
            if not pixels[i]:
                axes.get_yticklabels()[row].set_color(NEVER)


def histogram_files(classes: Sequence[str], pixels: np.ndarray, images: np.ndarray, title: str) -> dict[str, bytes]:
    """Returns the picture of `histogram_figure` as files, by their ending: `svg` and `png`."""
    with house_style():
        return render_files(histogram_figure(classes, pixels, images, title))


def _short(name: str, length: int = 24) -> str:
    name = printable(name)
    return name if len(name) <= length else f'{name[:length - 1]}…'
