"""The plot of what a step costs against how long the video is."""
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...errors import InputError
from ...outputs import claim_file, write_whole
from ...visualization import style
from ...visualization.style import BLACK, BLUE, GREEN, ORANGE, RED, house_style, render_files
from ..complexity.ttm_growth import Growth, growth_note

HEIGHT = 4.0  # inches
COLOURS = (RED, ORANGE, BLUE, GREEN, BLACK)
MARKERS = ('o', 's', '^', 'D', 'v')
ENDINGS = ('png', 'svg')


def claim_plot(path: str, overwrite: bool) -> Path:
    """Checks that a plot can be written, before anything is counted.

    Raises:
        InputError: It is neither a PNG nor an SVG file, or is there already, and `overwrite` is False.
        OutputError: It cannot be written.
    """
    if Path(path).suffix.lower().removeprefix('.') not in ENDINGS:
        raise InputError(f'{path}: a plot ends in {" or ".join(f".{ending}" for ending in ENDINGS)}; give such a name')
    return claim_file(path, overwrite)


def write_costs(path: Path, growths: Sequence[Growth]) -> None:
    """Writes the plot, in the format of the file's ending."""
    with house_style():
        files = render_files(costs_figure(growths))
    write_whole(path, files[path.suffix.lower().removeprefix('.')])


def costs_figure(growths: Sequence[Growth]) -> Figure:
    """Draws GFLOPs per step over the number of steps, both logarithmic: solid lines where the cost grows, else dashed.

    Args:
        growths: What the models' steps cost.

    Returns:
        The figure; make and save it in `house_style`.
    """
    figure = style.new_figure(HEIGHT)
    axes, handles = figure.subplots(), []
    for number, one in enumerate(growths):
        look = dict(color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)], ms=4, lw=1.6,
                    ls='-' if one.grows else (0, (5, 1.5)))
        axes.plot(one.steps, one.gflops, markevery=((number + number // 3) % 3, 3), clip_on=False, **look)
        handles.append(Line2D([], [], label=one.name, **look))
    axes.set(xscale='log', yscale='log', xlabel='step of the video', ylabel='GFLOPs of the step',
             xlim=(1, max(one.steps[-1] for one in growths)))
    axes.grid()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f'{value:,.6g}')
    axes.minorticks_off()
    rows = [[handle for handle, one in zip(handles, growths, strict=True) if one.grows == grows]
            for grows in (False, True)]
    style.add_legend(figure, [row for row in rows if row], columns=3)
    style.add_notes(figure, [growth_note()])
    return figure
