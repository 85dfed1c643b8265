"""The plot of latency by stage."""
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ...visualization import style
from ...visualization.style import BLUE, GREEN, GREY, ORANGE

# Key in the records -> name, colour, hatch.
STAGE_LOOKS = {'backbone': ('backbone', BLUE, ''), 'head': ('decode head', ORANGE, '////'),
               'network': ('both in one graph', GREEN, '\\\\\\\\'), 'post': ('after the head', '#a6a6a6', '....')}
ROW, AROUND = 0.36, 1.3  # inches: of a bar, and of all that stands above and below the bars
ON_WHITE = dict(bbox=dict(facecolor='white', edgecolor='none', pad=0))  # over the grid


def stages_figure(bars: Sequence[tuple[str, dict[str, float]]], conditions: str, title: str | None = None) -> Figure:
    """Draws latency by stage as stacked bars, the fastest config on top, each with its sum and the parts behind it.

    Args:
        bars: A name and milliseconds of `benchmark.stages.STAGES` per config.
        conditions: The footnote on how they were measured.
        title: The title.

    Returns:
        The figure; make and save it in `house_style`, as `draw_plots` does.
    """
    figure = style.new_figure(ROW * len(bars) + AROUND)
    axes = figure.subplots()
    bars = sorted(bars, key=lambda bar: (sum(bar[1].values()), bar[0]))
    for row, (_, stages) in enumerate(bars):
        left = 0.0
        for key, (_, colour, hatch) in STAGE_LOOKS.items():
            if stages.get(key):
                axes.barh(row, stages[key], 0.62, left, facecolor=colour, hatch=hatch, edgecolor='white', lw=0)
                left += stages[key]
        parts = ' + '.join(_milliseconds(stages[key]) for key in STAGE_LOOKS if stages.get(key))
        axes.annotate(f'{_milliseconds(left)} ms', (left, row), (4, 0.5), textcoords='offset points', va='bottom',
                      fontweight='bold', **ON_WHITE)
        axes.annotate(parts, (left, row), (4, -0.5), textcoords='offset points', va='top', color=GREY, **ON_WHITE)
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.set(xlim=(0, left), ylim=(len(bars) - 0.5, -0.5), xlabel='median latency (ms)')
    axes.tick_params(axis='y', length=0)
    axes.grid(axis='x')
    style.add_legend(figure, [[Patch(facecolor=colour, hatch=hatch, edgecolor='white', lw=0, label=name)
                               for key, (name, colour, hatch) in STAGE_LOOKS.items()
                               if any(stages.get(key) for _, stages in bars)]], title)
    style.add_notes(figure, [f'{conditions} Times are per batch: the median, by what each stage took of all time.'])
    return figure


def _milliseconds(value: float) -> str:
    return f'{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}'
