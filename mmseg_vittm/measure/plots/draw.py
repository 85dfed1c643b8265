"""Plots of benchmark results, from the benchmark's files to SVG and PNG files."""
from collections.abc import Sequence
from pathlib import Path

from ...errors import printable
from ...outputs import claim_folder, write_whole
from ...stack import MMLogger
from ...visualization.style import house_style, render_files
from .measurements import describe_conditions, note_on_marks, read_measurements
from .metafiles import display_name, read_metafiles
from .pareto import pareto_figure
from .points import make_points, parse_mious
from .stages import stages_figure

NAMES = [f'{name}.{ending}' for name in ('pareto', 'stages') for ending in ('png', 'svg')]


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
        OutputError: A file cannot be written.
    """
    folder, logger = Path(out), MMLogger.get_current_instance()
    claim_folder(folder, NAMES, overwrite)
    title = title and printable(title)
    measurements, metadata = read_measurements(files), read_metafiles(metafiles)
    protocol = measurements[0].conditions['protocol']
    points = make_points(measurements, metadata, parse_mious(mious, [one.stem for one in measurements]))
    conditions = describe_conditions(measurements, metadata)
    bars = [(display_name(one.stem, metadata) + one.variant, one.stages) for one in measurements if one.stages]
    without = [one.stem for one in measurements if not one.stages]
    with house_style():
        drawn = {'pareto': render_files(pareto_figure(
            points, protocol, conditions + note_on_marks([point.name for point in points]), title))}
        if bars:
            drawn['stages'] = render_files(stages_figure(
                bars, conditions + note_on_marks([name for name, _ in bars]), title))
    if without:
        logger.info(f'{"Not in the stage plot" if bars else "No stage plot"}, for want of latencies by stage '
                    f'({protocol}): {", ".join(without)}')
    contents = {folder / f'{name}.{ending}': content for name, by_ending in drawn.items()
                for ending, content in by_ending.items()}
    for path, content in contents.items():
        write_whole(path, content)
    stale = [str(folder / name) for name in NAMES if (folder / name).exists() and folder / name not in contents]
    if stale:
        logger.warning(f'{", ".join(stale)}: of an earlier run, not drawn again')
    logger.info(f'Plots: {", ".join(map(str, contents))}')
    return list(contents)
