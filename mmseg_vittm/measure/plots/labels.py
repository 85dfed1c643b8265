"""Names of the points of a plot, kept clear of each other."""
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from ...errors import InputError
from ...visualization import style
from ...visualization.style import GREY

LEADER = 4  # points between a name and its point from which on a line joins them


def find_adjust_text() -> Callable:
    """Returns what finds the places of names.

    Raises:
        InputError: adjustText is not installed.
    """
    try:
        from adjustText import adjust_text
    except ImportError as error:
        raise InputError("the names in the plot are placed by adjustText, which is not installed: pip install "
                         "'mmseg-vittm[plots]'") from error
    return adjust_text


def label_points(axes: Axes, points: Sequence[tuple[float, float, str]], without: Sequence[str] = ()) -> None:
    """Writes names beside points, those far off with a line to the point; the figure is laid out by then.

    adjustText finds the places. It stops after a number of steps, not of seconds, and draws from a seed of its own, so
    that the same points have the same picture.

    Args:
        axes: Where the points are drawn.
        points: Place and name of each, in data coordinates.
        without: What lines are called (`gid`) that names may cross.

    Raises:
        InputError: adjustText is not installed.
    """
    adjust_text = find_adjust_text()
    axes.figure.draw_without_rendering()  # lays the figure out
    axes.figure.set_layout_engine('none')  # from here on nothing moves but names
    texts = [axes.text(x, y, name, ha='center', va='center', fontsize=style.SMALL, zorder=5,
                       in_layout=False) for x, y, name in points]
    to_data = axes.transData.inverted()
    drawn = [line.get_window_extent().transformed(to_data) for line in axes.lines if line.get_gid() not in without]
    _, leaders = adjust_text(texts, objects=drawn, ax=axes, iter_lim=500, force_text=(0.5, 0.5),
                             force_static=(0.2, 0.4), expand=(1.04, 1.3), min_arrow_len=LEADER * axes.figure.dpi / 72,
                             arrowprops=dict(arrowstyle='-', lw=0.6, color=GREY, shrinkB=4, zorder=4))
    for leader in leaders:
        leader.set_in_layout(False)
