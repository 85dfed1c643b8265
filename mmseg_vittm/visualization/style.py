"""The one style of all figures: sizes, colours, matplotlib's settings, and files that are the same at every drawing."""
import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib.style
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

WIDTH = 6.8  # inches
DPI = 200
SMALL, NORMAL, LARGE = 8, 9, 10  # points
LINE, TITLE_LINE = 108, 80  # characters: what the width takes of small and of large letters
INK, GREY, FAINT = '#1a1a1a', '#595959', '#e4e4e4'
# Okabe-Ito's colours, which colour-blind people tell apart.
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PINK = (
    '#000000', '#e69f00', '#56b4e9', '#009e73', '#0072b2', '#d55e00', '#cc79a7')
STYLE = {
    'font.family': 'sans-serif', 'font.sans-serif': ['DejaVu Sans', 'Arial', 'Helvetica'], 'font.size': SMALL,
    'axes.labelsize': NORMAL, 'axes.edgecolor': GREY, 'axes.labelcolor': INK, 'axes.linewidth': 0.8,
    'xtick.labelsize': SMALL, 'ytick.labelsize': SMALL, 'xtick.color': GREY, 'ytick.color': GREY,
    'xtick.labelcolor': INK, 'ytick.labelcolor': INK, 'text.color': INK, 'text.parse_math': False,
    'axes.axisbelow': True, 'axes.spines.top': False, 'axes.spines.right': False, 'grid.color': FAINT,
    'grid.linewidth': 0.6, 'hatch.linewidth': 0.6, 'legend.frameon': False, 'legend.title_fontsize': LARGE,
    'figure.constrained_layout.h_pad': 0.06, 'figure.constrained_layout.w_pad': 0.08,
    'svg.fonttype': 'none', 'svg.hashsalt': 'mmseg_vittm',
}


@contextmanager
def house_style() -> Iterator[None]:
    """A context in which figures are made, drawn and saved in this style, whatever matplotlib is set to."""
    with matplotlib.style.context(['default', STYLE]):
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Returns an empty figure of a size in inches, whose parts keep clear of each other."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor='white', layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def add_legend(figure: Figure, rows: Sequence[Sequence[Artist]], title: str | None = None, columns: int = 4) -> Legend:
    """Sets a legend above everything else, under the figure's title.

    Args:
        figure: The figure.
        rows: Artists with labels, by row; a row of more than `columns` goes on in the next.
        title: The title.
        columns: Entries side by side; fewer where they would be wider than the figure.
    """
    columns = min(columns, max(map(len, rows)))
    lines = [row[first:first + columns] for row in rows for first in range(0, len(row), columns)]
    blank = Line2D([], [], ls='', label=' ')
    handles = [line[column] if column < len(line) else blank for column in range(columns) for line in lines]
    legend = figure.legend(handles=handles, ncols=columns, title=title and textwrap.fill(title, TITLE_LINE),
                           loc='outside upper left', alignment='left', columnspacing=1.4, handletextpad=0.5)
    if columns > 1 and legend.get_window_extent().width > figure.bbox.width:
        legend.remove()
        return add_legend(figure, rows, title, columns - 1)
    return legend


def add_notes(figure: Figure, notes: Sequence[str]) -> None:
    """Writes footnotes below everything else, a paragraph each."""
    text = '\n'.join(textwrap.fill(note, LINE) for note in notes)
    figure.supxlabel(text, x=0.012, ha='left', fontsize=SMALL, color=GREY, linespacing=1.4)


def render_files(figure: Figure) -> dict[str, bytes]:
    """Returns the figure as files, by their ending, without dates."""
    files = {}
    for ending, metadata in (('svg', {'Date': None}), ('png', {'Software': None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=ending, dpi=DPI, metadata=metadata)
        files[ending] = buffer.getvalue()
    return files
