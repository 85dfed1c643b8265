"""The plot of mIoU against speed of a laboratory's rows."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ...visualization import style
from ...visualization.style import BLUE, GREEN, GREY, ORANGE, PINK, RED
from ..plots.labels import label_points
from .margins import front

HEIGHT = 4.6  # inches
FEW, MORE = 12, 0.16  # names that fit into it, inches for each further one
LOOKS = {'ViT': (BLUE, 's'), 'ViTTM': (RED, 'o')}
OTHERS = ((GREEN, '^'), (PINK, 'D'), (ORANGE, 'v'))  # of further families, in turn
SUBS = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0])  # numbers on the axis of speed, of every decade
NARROW = 2.5  # of a range of speeds, whose numbers stand as on a linear axis
FRONT = 'front'  # what the line is called that names may cross


@dataclass(frozen=True)
class Spot:
    """A row in the plot.

    Attributes:
        name: What it is called.
        family: What its colour and marker say.
        fps: Its speed, images per second.
        mious: mIoU of each seed, in percent.
        is_front: Whether it is of the plain ViTs that others are measured against.
    """
    name: str
    family: str
    fps: float
    mious: tuple[float, ...]
    is_front: bool = False

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return sum(self.mious) / len(self.mious)


def pareto_figure(spots: Sequence[Spot], notes: Sequence[str], title: str | None = None) -> Figure:
    """Draws mIoU against speed: every seed, the mean, and the front of the plain ViTs.

    Between two ViTs the front is straight in the logarithm of the speed, as margins are computed.

    Args:
        spots: The rows.
        notes: Footnotes, such as how speed was measured.
        title: The title.

    Returns:
        The figure; make and save it in `house_style`.

    Raises:
        InputError: adjustText is not installed.
    """
    figure = style.new_figure(HEIGHT + MORE * max(len(spots) - FEW, 0))
    axes, looks = figure.subplots(), looks_of([spot.family for spot in spots])
    axes.set_xscale('log')
    along = front([(spot.fps, spot.mean) for spot in spots if spot.is_front])
    if along:
        axes.plot(*zip(*along, strict=True), color=LOOKS['ViT'][0], lw=1.0, alpha=0.6, zorder=1, gid=FRONT)
    for number, spot in enumerate(spots):
        colour, marker = looks[spot.family]
        axes.plot([spot.fps] * 2, [min(spot.mious), max(spot.mious)], color=colour, lw=1.0, zorder=2,
                  gid=f'spread-{number}')
        axes.plot([spot.fps] * len(spot.mious), spot.mious, '.', ms=4, color=colour, zorder=2, gid=f'seeds-{number}')
        axes.plot(spot.fps, spot.mean, marker, ms=7, mec=colour, mfc='white', mew=1.4, zorder=3, gid=f'mean-{number}')
    _speed_axis(axes, [spot.fps for spot in spots])
    axes.set(xlabel='FPS (images per second)', ylabel='mIoU (%)')
    axes.margins(y=0.12)
    axes.grid()
    style.add_legend(figure, [_legend(looks, bool(along))], title)
    style.add_notes(figure, notes)
    label_points(axes, [(spot.fps, spot.mean, spot.name) for spot in spots], without=(FRONT, ))
    return figure


def looks_of(families: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Returns a colour and a marker per family."""
    others = [family for family in dict.fromkeys(families) if family not in LOOKS]
    found = {family: look for family, look in LOOKS.items() if family in families}
    return found | {family: OTHERS[number % len(OTHERS)] for number, family in enumerate(others)}


def _speed_axis(axes: Axes, speeds: Sequence[float]) -> None:
    """Gives the axis room for names at both ends, and plain numbers."""
    room = (max(speeds) / min(speeds)) ** 0.15 * 1.12
    axes.set_xlim(min(speeds) / room, max(speeds) * room)
    few = max(speeds) < NARROW * min(speeds)
    axes.xaxis.set_major_locator(MaxNLocator(6) if few else LogLocator(subs=SUBS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))


def _legend(looks: dict[str, tuple[str, str]], has_front: bool) -> list[Line2D]:
    handles = [Line2D([], [], ls='', marker=marker, ms=6, mfc='white', mec=colour, mew=1.2, label=f'{family}, mean')
               for family, (colour, marker) in looks.items()]
    handles.append(Line2D([], [], color=GREY, lw=1.0, marker='.', ms=5, label='seeds'))
    if has_front:
        handles.append(Line2D([], [], color=LOOKS['ViT'][0], lw=1.0, alpha=0.6, label='front of the plain ViTs'))
    return handles
