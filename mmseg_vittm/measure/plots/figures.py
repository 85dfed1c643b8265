"""Plots of benchmark results: speed against mIoU, and latency by stage.

`plot_data` reads what they show, `plot_labels` places the names; here are the two figures and their files.
"""
import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from mmengine.logging import MMLogger

from ...errors import InputError
from .data import (
    SPEED_UNITS,
    Point,
    describe_conditions,
    display_name,
    make_points,
    pareto_front,
    parse_mious,
    read_measurements,
    read_metafiles,
)
from .labels import Place, nearest_in_box, place_labels

WIDTH, MARGIN, GAP = 6.8, 0.08, 0.1  # inches
DPI = 200
SMALL, NORMAL, LARGE = 8, 9, 10  # points
LEADER = 9  # points between label and marker from which on a line joins them
INK, GREY, FAINT = '#1a1a1a', '#595959', '#e4e4e4'
STYLE = {
    'font.family': 'sans-serif', 'font.sans-serif': ['DejaVu Sans', 'Arial', 'Helvetica'], 'font.size': SMALL,
    'axes.labelsize': NORMAL, 'axes.edgecolor': GREY, 'axes.labelcolor': INK, 'axes.linewidth': 0.8,
    'xtick.labelsize': SMALL, 'ytick.labelsize': SMALL, 'xtick.color': GREY, 'ytick.color': GREY,
    'xtick.labelcolor': INK, 'ytick.labelcolor': INK, 'text.color': INK, 'text.parse_math': False,
    'axes.axisbelow': True, 'axes.spines.top': False, 'axes.spines.right': False, 'grid.color': FAINT,
    'hatch.linewidth': 0.6, 'svg.fonttype': 'none', 'svg.hashsalt': 'mmseg_vittm',
}
# Colours are Okabe-Ito's. Families that have no look of their own take the rest in turn; 5 colours by 4 markers.
FAMILY_LOOKS = {'ViTTM': ('#d55e00', 'o'), 'ViT': ('#0072b2', 's'), 'SegFormer': ('#009e73', '^'),
                'SegNeXt': ('#cc79a7', 'D')}
OTHER_COLOURS, OTHER_MARKERS = ('#000000', '#e69f00', '#56b4e9', '#009e73', '#0072b2'), ('v', 'P', 'X', 'p')
# Key in the records -> name, colour, hatch.
STAGE_LOOKS = {'backbone': ('backbone', '#0072b2', ''), 'head': ('decode head', '#e69f00', '////'),
          'network': ('both in one graph', '#009e73', '\\\\\\\\'), 'post': ('after the head', '#a6a6a6', '....')}


def _inches(figure: Figure, artist: Text | Legend) -> Place:
    """Width and height of a text or legend."""
    extent = artist.get_window_extent(figure.canvas.get_renderer())
    return extent.width / figure.dpi, extent.height / figure.dpi


def _wrapped(figure: Figure, text: str, size: float, width: float) -> Text:
    """Adds a text broken into lines of at most a width in inches."""
    artist = figure.text(0, 0, text, fontsize=size, linespacing=1.3)
    for columns in range(160, 20, -4):
        artist.set_text(textwrap.fill(text, columns))
        if _inches(figure, artist)[0] <= width:
            break
    return artist


def _new_figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, WIDTH), dpi=DPI, facecolor='white')
    FigureCanvasAgg(figure)
    return figure, figure.add_axes((0.2, 0.2, 0.6, 0.6))


def _lay_out(figure: Figure, axes: Axes, height: float, legends: Sequence[Sequence], notes: Sequence[str],
             title: str | None) -> None:
    """Stacks title, legends, axes and footnotes, and makes the figure as high as they are.

    Args:
        figure: The figure.
        axes: Its axes, complete but for labels inside them.
        height: Their height in inches, without ticks and the label below.
        legends: The handles of each row of the legend.
        notes: The footnotes, a paragraph each.
        title: The title.
    """
    figure.canvas.draw()
    outer, inner = axes.get_tightbbox(), axes.get_window_extent()
    left, below = (inner.x0 - outer.x0) / figure.dpi, (inner.y0 - outer.y0) / figure.dpi
    above = []
    if title:
        above.append(_wrapped(figure, title, LARGE, WIDTH - left - 2 * MARGIN))
    for handles in filter(None, legends):
        for columns in range(len(handles), 0, -1):
            legend = figure.legend(handles=handles, ncols=columns, frameon=False, borderaxespad=0, borderpad=0,
                                   loc='upper left', columnspacing=1.4, handletextpad=0.5)
            if columns == 1 or _inches(figure, legend)[0] <= WIDTH - left - 2 * MARGIN:
                above.append(legend)
                break
            legend.remove()
    footnotes = [_wrapped(figure, note, SMALL, WIDTH - 2 * MARGIN) for note in notes]
    heights = [_inches(figure, artist)[1] for artist in (*above, *footnotes)]
    total = sum(heights) + len(heights) * 0.7 * GAP + 2 * MARGIN + height + below + GAP
    figure.set_size_inches(WIDTH, total)
    left += MARGIN
    axes.set_position((left / WIDTH, (total - MARGIN - sum(heights[:len(above)]) - 0.7 * GAP * len(above) - height)
                       / total, 1 - (left + MARGIN) / WIDTH, height / total))
    top = total - MARGIN
    for artist, size in zip(above, heights, strict=False):
        if isinstance(artist, Legend):
            artist.set_bbox_to_anchor((left / WIDTH, top / total))
        else:
            artist.set(x=left / WIDTH, y=top / total, va='top')
        top -= size + 0.7 * GAP
    top -= height + below + GAP
    for artist, size in zip(footnotes, heights[len(above):], strict=True):
        artist.set(x=MARGIN / WIDTH, y=top / total, va='top', color=GREY)
        top -= size + 0.7 * GAP


def _looks(points: Sequence[Point]) -> dict[str, tuple[str, str]]:
    """A colour and a marker per family."""
    looks = {family: look for family, look in FAMILY_LOOKS.items() if any(point.family == family for point in points)}
    for number, family in enumerate(sorted({point.family for point in points} - set(looks))):
        looks[family] = (OTHER_COLOURS[number % len(OTHER_COLOURS)], OTHER_MARKERS[number % len(OTHER_MARKERS)])
    return looks


def _pareto_legend(points: Sequence[Point], looks: dict[str, tuple[str, str]]) -> list[list[Line2D]]:
    """Handles of the legend's two rows: families, and what the fill and the lines mean."""
    def handle(label: str, colour: str, marker: str, fill: str) -> Line2D:
        return Line2D([], [], ls='', marker=marker, ms=6, mfc=fill, mec=colour, mew=1.2, label=label)

    meanings = [handle(f'mIoU: {word}', GREY, 'o', fill) for word, fill, known in (
        ('published', 'white', any(point.publisher for point in points)),
        ('measured', GREY, any(not point.publisher for point in points))) if known]
    meanings.append(Line2D([], [], color=GREY, lw=0.8, label='Pareto front'))
    if any(point.fps_iqr for point in points):
        meanings.append(Line2D([], [], ls='', marker='_', ms=9, mew=1.8, color=GREY, label='quartiles of the speed'))
    return [[handle(family, *look, look[0]) for family, look in looks.items()], meanings]


def pareto_figure(points: Sequence[Point], protocol: str, conditions: str, title: str | None = None) -> Figure:
    """Draws speed against mIoU.

    Args:
        points: The configs.
        protocol: Key of `SPEED_UNITS`.
        conditions: The footnote on how speeds were measured.
        title: The title.

    Returns:
        The figure; draw and save it under `STYLE`, as `draw_plots` does.
    """
    figure, axes = _new_figure()
    looks = _looks(points)
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
    axes.margins(0.1, 0.12)
    axes.set(xlim=(max(axes.get_xlim()[0], 0), None), ylim=(max(axes.get_ylim()[0], 0), None))
    axes.grid(lw=0.6)
    publishers = sorted({point.publisher for point in points if point.publisher})
    notes = [conditions] + ([f'Published mIoU: {"; ".join(publishers)}.'] if publishers else [])
    _lay_out(figure, axes, 3.5, _pareto_legend(points, looks), notes, title)
    _label_points(figure, axes, points, front)
    return figure


def _label_points(figure: Figure, axes: Axes, points: Sequence[Point], front: Sequence[Place]) -> None:
    """Writes the names beside the points, those far off with a line to the point."""
    scale = 72 / figure.dpi  # pixels to points

    def on_page(fps: float, miou: float) -> Place:
        x, y = axes.transData.transform((fps, miou)) * scale
        return float(x), float(y)

    anchors = [on_page(point.fps, point.miou) for point in points]
    texts = [axes.annotate(point.name, (point.fps, point.miou), (0, 0), textcoords='offset points', ha='center',
                           va='center', fontsize=SMALL, zorder=5) for point in points]
    sizes = [tuple(72 * side for side in _inches(figure, text)) for text in texts]
    corners = [on_page(*place) for place in front]
    bars = [(on_page(point.fps_iqr[0], point.miou), on_page(point.fps_iqr[1], point.miou))
            for point in points if point.fps_iqr]
    frame = axes.get_window_extent()
    bounds = (frame.x0 * scale + 2, frame.y0 * scale + 2, frame.x1 * scale - 2, frame.y1 * scale - 2)
    boxes = place_labels(anchors, sizes, bounds, list(zip(corners, corners[1:], strict=False)), bars)
    for point, text, (x, y), box in zip(points, texts, anchors, boxes, strict=True):
        text.set_position(((box[0] + box[2]) / 2 - x, (box[1] + box[3]) / 2 - y))
        end = nearest_in_box((x, y), box)
        if math.dist(end, (x, y)) > LEADER:
            axes.annotate('', (point.fps, point.miou), (end[0] - x, end[1] - y), textcoords='offset points', zorder=4,
                          arrowprops=dict(arrowstyle='-', lw=0.6, color=GREY, shrinkA=0, shrinkB=4))


def _milliseconds(value: float) -> str:
    return f'{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}'


def stages_figure(bars: Sequence[tuple[str, dict[str, float]]], conditions: str, title: str | None = None) -> Figure:
    """Draws latency by stage as stacked bars, the fastest config on top.

    Args:
        bars: A name and milliseconds of `stages.STAGES` per config.
        conditions: The footnote on how they were measured.
        title: The title.

    Returns:
        The figure; draw and save it under `STYLE`, as `draw_plots` does.
    """
    figure, axes = _new_figure()
    bars = sorted(bars, key=lambda bar: (sum(bar[1].values()), bar[0]))
    totals = [sum(stages.values()) for _, stages in bars]
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.set_ylim(len(bars) - 0.6, -0.75)
    axes.set_xlim(0, totals[-1])
    axes.tick_params(axis='y', length=0)
    axes.set_xlabel('median latency (ms)')
    axes.grid(axis='x', lw=0.6)
    handles = [Patch(facecolor=colour, hatch=hatch, edgecolor='white', lw=0, label=name)
               for key, (name, colour, hatch) in STAGE_LOOKS.items() if any(key in stages for _, stages in bars)]
    notes = [f'{conditions} Times are per batch: the median, by what each stage took of all time.']
    _lay_out(figure, axes, 0.4 * (len(bars) + 0.35), [handles], notes, title)

    width = 72 * axes.get_window_extent().width / figure.dpi  # points
    texts = [axes.text(0, row, f'{_milliseconds(total)} ms', va='center', fontweight='bold')
             for row, total in enumerate(totals)]
    limit = max(total / (1 - (72 * _inches(figure, text)[0] + 8) / width)
                for total, text in zip(totals, texts, strict=True))  # bars leave room for their totals
    axes.set_xlim(0, limit)
    ticks = [tick for tick in axes.get_xticks() if tick <= limit * (1 - 16 / width)]  # a label there would be cut off
    axes.set_xticks(ticks, labels=[f'{tick:g}' for tick in ticks])
    for row, (text, total, (_, stages)) in enumerate(zip(texts, totals, bars, strict=True)):
        text.set_x(total + 4 * limit / width)
        _draw_bar(figure, axes, row, stages, limit / width)
    return figure


def _draw_bar(figure: Figure, axes: Axes, row: int, stages: dict[str, float], unit: float) -> None:
    """Draws a config's bar, with milliseconds in its segments or above short ones; `unit` is a point in ms."""
    left, free = 0.0, 0.0
    for key, (_, colour, hatch) in STAGE_LOOKS.items():
        value = stages.get(key, 0.0)
        if not value:
            continue
        axes.barh(row, value, 0.56, left, facecolor=colour, hatch=hatch if value > 6 * unit else '', edgecolor='white',
                  lw=0)
        centre = left + value / 2
        text = axes.text(centre, row, _milliseconds(value), ha='center', va='center', zorder=4,
                         color='white' if key == 'backbone' else INK)
        needed = 72 * _inches(figure, text)[0] * unit
        if needed + 6 * unit <= value:
            if hatch:
                text.set_bbox(dict(facecolor=colour, edgecolor='none', boxstyle='square,pad=0.15'))
        else:
            x = max(centre, free + needed / 2)
            text.set(x=x, y=row - 0.34, va='bottom', color=INK)
            axes.plot([centre, x], [row - 0.28, row - 0.36], color=INK, lw=0.6)
            free = x + needed / 2 + 5 * unit
        left += value


def render_files(figure: Figure) -> dict[str, bytes]:
    """The figure as files, by their ending, without dates."""
    files = {}
    for ending, metadata in (('svg', {'Date': None}), ('png', {'Software': None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=ending, dpi=DPI, metadata=metadata)
        files[ending] = buffer.getvalue()
    return files


def draw_plots(files: Sequence[str], out: str, metafiles: Sequence[str | Path], mious: Sequence[str] = (),
               title: str | None = None, overwrite: bool = False) -> list[Path]:
    """Draws `pareto` and, where stages were measured, `stages`, each as SVG and PNG.

    Args:
        files: JSON files of the benchmark.
        out: The folder to write to.
        metafiles: The metafiles that know the configs' backbones and published mIoUs.
        mious: Measured mIoUs, as CONFIG_STEM=VALUE.
        title: The title of both figures.
        overwrite: Replace files of an earlier run.

    Returns:
        The files written.

    Raises:
        InputError: An input is wrong, or an output is there already; then nothing is written.
    """
    folder, logger = Path(out), MMLogger.get_current_instance()
    if folder.exists() and not folder.is_dir():
        raise InputError(f'{folder}: is a file; give -o a folder')
    there = [path for name in ('pareto', 'stages') for path in sorted(folder.glob(f'{name}.[ps][nv]g'))]
    if there and not overwrite:
        raise InputError(f'{", ".join(map(str, there))}: there already; give another folder or --overwrite')
    measurements, metadata = read_measurements(files), read_metafiles(metafiles)
    values = parse_mious(mious, [one.stem for one in measurements])
    conditions = describe_conditions(measurements, metadata)
    bars = [(display_name(one.stem, metadata) + one.variant, one.stages) for one in measurements if one.stages]
    without = [one.stem for one in measurements if not one.stages]
    with matplotlib.style.context(['default', STYLE]):
        protocol = measurements[0].conditions['protocol']
        points = make_points(measurements, metadata, values)
        drawn = {'pareto': render_files(pareto_figure(points, protocol, conditions, title))}
        if bars:
            drawn['stages'] = render_files(stages_figure(bars, conditions, title))
    if without:
        logger.info(f'{"Not in the stage plot" if bars else "No stage plot"}, for want of latencies by stage '
                    f'({protocol}): {", ".join(without)}')
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, contents in drawn.items():
            for ending, content in contents.items():
                written.append(folder / f'{name}.{ending}')
                written[-1].write_bytes(content)
    except OSError as error:
        raise InputError(f'{folder}: cannot be written to ({error}); give another folder') from error
    stale = [str(path) for path in there if path not in written]
    if stale:
        logger.warning(f'{", ".join(stale)}: of an earlier run, not drawn again')
    logger.info(f'Plots: {", ".join(map(str, written))}')
    return written
