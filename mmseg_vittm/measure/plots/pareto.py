"""The plot of speed against mIoU."""
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...visualization import style
from ...visualization.style import BLACK, BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY
from .labels import label_points
from .measurements import SPEED_UNITS
from .points import Point, pareto_front

HEIGHT = 5.0  # inches
# Families that have no look of their own take the rest in turn; 5 colours by 4 markers.
FAMILY_LOOKS = {'ViTTM': (RED, 'o'), 'ViT': (BLUE, 's'), 'SegFormer': (GREEN, '^'), 'SegNeXt': (PINK, 'D')}
OTHER_COLOURS, OTHER_MARKERS = (BLACK, ORANGE, SKY, GREEN, BLUE), ('v', 'P', 'X', 'p')


def pareto_figure(points: Sequence[Point], protocol: str, conditions: str, title: str | None = None) -> Figure:
    """Draws speed against mIoU.

    Args:
        points: The configs.
        protocol: Key of `SPEED_UNITS`.
        conditions: The footnote on how speeds were measured.
        title: The title.

    Returns:
        The figure; make and save it in `house_style`, as `draw_plots` does.

    Raises:
        InputError: adjustText is not installed.
    """
    figure = style.new_figure(HEIGHT)
    axes, looks = figure.subplots(), _looks(points)
    front = [(points[i].fps, points[i].miou) for i in pareto_front([(point.fps, point.miou) for point in points])]
    axes.plot(*zip(*front, strict=True), color=GREY, lw=0.8, zorder=1, gid='pareto-front')
    for number, point in enumerate(points):
        colour, marker = looks[point.family]
        if point.fps_iqr:
            axes.plot(point.fps_iqr, [point.miou] * 2, color=colour, lw=1.6, solid_capstyle='butt', zorder=2,
                      gid=f'quartiles-{number}')
        axes.plot(point.fps, point.miou, marker, ms=7, mec=colour, mfc='white' if point.publisher else colour, mew=1.4,
                  zorder=3, gid=f'point-{number}')
    axes.set(xlabel=f'FPS ({SPEED_UNITS[protocol]})' if protocol == 'predict' else SPEED_UNITS[protocol],
             ylabel='mIoU on ADE20K (%)')
    axes.margins(0.2, 0.12)  # room for names
    axes.set(xlim=(max(axes.get_xlim()[0], 0), None), ylim=(max(axes.get_ylim()[0], 0), None))
    axes.grid()
    publishers = sorted({point.publisher for point in points if point.publisher})
    style.add_legend(figure, _legend(points, looks), title)
    style.add_notes(figure, [conditions] + [f'Published mIoU: {"; ".join(publishers)}.'] * bool(publishers))
    label_points(axes, [(point.fps, point.miou, point.name) for point in points], without=('pareto-front', ))
    return figure


def _looks(points: Sequence[Point]) -> dict[str, tuple[str, str]]:
    """A colour and a marker per family."""
    looks = {family: look for family, look in FAMILY_LOOKS.items() if any(point.family == family for point in points)}
    for number, family in enumerate(sorted({point.family for point in points} - set(looks))):
        looks[family] = (OTHER_COLOURS[number % len(OTHER_COLOURS)], OTHER_MARKERS[number % len(OTHER_MARKERS)])
    return looks


def _legend(points: Sequence[Point], looks: dict[str, tuple[str, str]]) -> list[list[Line2D]]:
    """Handles of the legend's rows: families, and what the fill and the lines mean."""
    def handle(label: str, colour: str, marker: str, fill: str) -> Line2D:
        return Line2D([], [], ls='', marker=marker, ms=6, mfc=fill, mec=colour, mew=1.2, label=label)

    meanings = [handle(f'mIoU: {word}', GREY, 'o', fill) for word, fill, known in (
        ('published', 'white', any(point.publisher for point in points)),
        ('measured', GREY, any(not point.publisher for point in points))) if known]
    meanings.append(Line2D([], [], color=GREY, lw=0.8, label='Pareto front'))
    if any(point.fps_iqr for point in points):
        meanings.append(Line2D([], [], ls='', marker='_', ms=9, mew=1.8, color=GREY, label='quartiles of the speed'))
    return [[handle(family, *look, look[0]) for family, look in looks.items()], meanings]
