"""The reliability plot: how often a segmentor is right, by how sure it says it is."""
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...errors import printable
from ...evaluation.calibration import Reliability, calibration_error
from ...visualization import style
from ...visualization.style import BLUE, GREY

HEIGHT, WIDTH = 5.2, 4.4  # inches
GAP = '#f2c4a5'


def reliability_figure(counts: Reliability, title: str) -> Figure:
    """Draws the accuracy over the confidence by bin, how far that is from being the same, and the share of pixels.

    Args:
        counts: Pixels by confidence.
        title: The title.

    Returns:
        The figure; make and save it in `house_style`.
    """
    figure = style.new_figure(HEIGHT, WIDTH)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    bins = len(counts.pixels)
    width, centres = 100 / bins, 100 * (np.arange(bins) + 0.5) / bins
    accuracy, said = (100 * np.nan_to_num(values) for values in (counts.accuracy, counts.mean_confidence))
    there = counts.pixels > 0
    above.bar(centres[there], accuracy[there], width * 0.94, color=BLUE, lw=0)
    above.bar(centres[there], (said - accuracy)[there], width * 0.94, accuracy[there], facecolor=GAP,
              hatch='////', edgecolor='white', lw=0)
    above.plot([0, 100], [0, 100], color=GREY, lw=0.9, ls='--')
    above.set(xlim=(0, 100), ylim=(0, 100), ylabel='right (% of the pixels)')
    above.grid(axis='y')
    share = 100 * counts.pixels / max(counts.pixels.sum(), 1)
    below.bar(centres, share, width * 0.94, color=GREY, lw=0)
    below.set(xlabel='confidence (%)', ylabel='pixels (%)', ylim=(0, max(share.max() * 1.15, 1)))
    below.grid(axis='y')
    style.add_legend(figure, [[Patch(color=BLUE, lw=0, label='right'),
                               Patch(facecolor=GAP, hatch='////', edgecolor='white', lw=0, label='gap to what it says'),
                               Line2D([], [], color=GREY, lw=0.9, ls='--', label='calibrated')]],
                     f'{printable(title)}: ECE {100 * calibration_error(counts):.2f}%', columns=3)
    return figure
