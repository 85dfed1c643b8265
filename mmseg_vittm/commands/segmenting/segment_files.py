"""Segmenting files: images, folders and videos to overlays and label maps."""
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from mmengine.logging import MMLogger
from PIL import Image
from rich.progress import Progress
from torch import nn

from ...errors import InputError, OutputError, shown
from ...inference.large.grid import check_model, grid_of
from ...inference.prediction import Prediction
from ...inference.predictor import Predictor
from ...outputs import refuse_existing
from ..progress import bar_columns, open_console
from .by_windows import goes_by_windows, may_go_whole
from .large_image import segment_large
from .media import is_video, list_media
from .results import Results
from .videos import VideoReader, VideoWriter, require_av

MOST_NAMED = 20  # of the inputs that cannot be segmented


@dataclass
class Plan:
    """What is to be segmented and where results go: all checked that can be without a model.

    Attributes:
        files: The images and videos.
        problems: Inputs that cannot be segmented, with the reason.
        results: Where results go.
        opacity: Weight of the labels' colours in overlays, 0 to 1.
        keep_going: Segment the other files where one cannot be segmented.
        tile: Side of the tiles that images which go by windows are cut into; None is the size of training.
        overlap: Pixels that neighbouring tiles share; None is an eighth of their side.
        by_windows: See `segment_files`.
    """
    files: list[Path]
    problems: dict[Path, InputError | OutputError]
    results: Results
    opacity: float
    keep_going: bool
    tile: int | None = None
    overlap: int | None = None
    by_windows: str = 'auto'


def plan_files(path: str, out: str, opacity: float = 0.5, overwrite: bool = False, keep_going: bool = False,
               others: Iterable[str | Path] = (), by_windows: str = 'auto', tile: int | None = None,
               overlap: int | None = None) -> Plan:
    """Checks what `segment_files` is asked for; writes nothing.

    Args:
        path: See `segment_files`, as for those that follow.
        out: See there.
        opacity: See there.
        overwrite: See there.
        keep_going: See there.
        others: Further files that are read, which no result may replace, such as the checkpoint.
        by_windows: See there, as for those that follow.
        tile: See there.
        overlap: See there.

    Raises:
        InputError: An argument is wrong, an input no regular file, a result there already, or in an input's place.
        OutputError: Results cannot be written.
    """
    if not 0 <= opacity <= 1:
        raise InputError(f'opacity must be from 0 to 1, got {opacity}')
    if tile is not None and tile < 1 or overlap is not None and overlap < 0:
        raise InputError(f'tile must be 1 or more and overlap 0 or more pixels, got {tile} and {overlap}')
    results = Results(out, overwrite)
    files, problems = list_media(path)
    for file in files:
        try:
            if not is_video(file) and goes_by_windows(file, by_windows):
                results.by_windows.add(file)
        except InputError as error:  # of a raster that cannot be read without rasterio
            problems[file] = error
    files = [file for file in files if file not in problems]
    if any(map(is_video, files)):
        require_av()
    results.refuse_inputs([*files, *problems], others)
    for file in files:
        try:
            results.claim(file)
        except OutputError as error:  # such as too long a name
            problems[file] = error
    if problems and not keep_going:
        raise _one_of(problems)
    files = [file for file in files if file not in problems]
    refuse_existing(chain.from_iterable(map(results.existing, files)), overwrite)
    return Plan(files, problems, results, opacity, keep_going, tile, overlap, by_windows)


def _one_of(problems: dict[Path, InputError | OutputError]) -> InputError | OutputError:
    """Returns the error of the first of some inputs, which names the others too."""
    first, *others = problems
    if not others:
        return problems[first]
    more = f' and {len(others) - MOST_NAMED} more' if len(others) > MOST_NAMED else ''
    return InputError(f'{problems[first]}; nor can be segmented: {", ".join(map(str, others[:MOST_NAMED]))}{more}; '
                      'keep_going=True segments the rest')


def segment_files(model: nn.Module, path: str, out: str, opacity: float = 0.5, overwrite: bool = False,
                  keep_going: bool = False, by_windows: str = 'auto', tile: int | None = None,
                  overlap: int | None = None) -> None:
    """Segments an image, a video, or the images and videos of a folder, with a progress bar.

    Args:
        model: A segmentor of `mmseg_vittm.load_model`.
        path: The file or folder.
        out: The folder that gets `overlays/` and `labels/`, named after the inputs; see `Results`.
        opacity: Weight of the labels' colours in overlays, 0 to 1.
        overwrite: Replace results of an earlier run.
        keep_going: Segment the other files where one cannot be segmented, before the error that lists such files.
        by_windows: Which images are read by windows, at their own resolution, their labels written as GeoTIFF:
            `'auto'` looks at their headers, see `by_windows.goes_by_windows`; `'always'`, `'never'`.
        tile: Of such an image and a model that sees images whole, the side of the tiles that it is cut into; None is
            the size that the model was trained at.
        overlap: Pixels that neighbouring tiles share, whose logits are averaged; None is an eighth of their side.

    Raises:
        InputError: An input cannot be segmented, a result is there already, or in an input's place; nothing is lost.
        OutputError: A result cannot be written.
    """
    segment_planned(model, plan_files(path, out, opacity, overwrite, keep_going, (), by_windows, tile, overlap))


def segment_planned(model: nn.Module, plan: Plan) -> None:
    """Segments what a plan says; see `segment_files`.

    Raises:
        InputError: An input cannot be segmented.
        OutputError: A result cannot be written.
    """
    predictor, results, failed = Predictor(model), plan.results, []
    refused = _refused(model, plan)
    logger = MMLogger.get_current_instance()

    def fail(file: Path, error: InputError | OutputError) -> None:
        logger.error(str(error))
        failed.append(file)

    for file, error in [*plan.problems.items(), *refused.items()]:
        fail(file, error)
    images = [file for file in plan.files if not is_video(file) and file not in results.by_windows]
    with Progress(*bar_columns(), console=open_console()) as progress:
        task = progress.add_task('Segmenting', total=len(plan.files))
        on_error = 'return' if plan.keep_going else 'raise'
        for file, result in zip(images, predictor(iter(images), on_error) if images else (), strict=True):
            if isinstance(result, InputError):
                fail(file, result)
            else:
                results.write_image(file, result, plan.opacity)
            progress.advance(task)
        progress.advance(task, len(refused))
        for file in (file for file in plan.files if is_video(file) or file in results.by_windows - refused.keys()):
            segment = _segment_video if is_video(file) else _segment_large
            try:
                segment(predictor, file, plan, progress)
            except InputError as error:
                if not plan.keep_going:
                    raise
                fail(file, error)
            progress.advance(task)
    if len(failed) < len(plan.files) + len(plan.problems):
        logger.info(f'Overlays: {results.overlays}, labels: {results.labels}')
    if failed:
        raise InputError(f'{len(failed)} of {len(plan.files) + len(plan.problems)} inputs failed, see above: '
                         f'{", ".join(map(str, failed))}')


def _refused(model: nn.Module, plan: Plan) -> dict[Path, InputError]:
    """Returns the images that a model cannot segment by windows, with the reason; small colours go the usual way then.

    Raises:
        InputError: There are such, and the others are not to go on without them; or `tile` or `overlap` is wrong.
    """
    results = plan.results
    if not results.by_windows:
        return {}
    try:
        check_model(model)
    except InputError as error:
        for file in [file for file in results.by_windows if plan.by_windows == 'auto' and may_go_whole(file)]:
            results.by_windows.remove(file)
            results.claim(file)
            refuse_existing(results.existing(file), results.overwrite)
        refused = {file: InputError(f'{file}: {error}') for file in plan.files if file in results.by_windows}
        if refused and not plan.keep_going:
            raise _one_of(refused) from error
        return refused
    grid_of(model, (1, 1), None if plan.tile is None else (plan.tile, ) * 2, plan.overlap)  # whether they are right
    return {}


def _segment_large(predictor: Predictor, file: Path, plan: Plan, progress: Progress) -> None:
    """Writes the labels of an image that goes by windows as a GeoTIFF, and its overlay."""
    task = progress.add_task(f'{shown(file.name)}, windows', total=None)
    try:
        segment_large(predictor, file, plan.results, plan.opacity, plan.tile, plan.overlap,
                      lambda done, total: progress.update(task, completed=done, total=total))
    finally:
        progress.remove_task(task)


def _segment_video(predictor: Predictor, file: Path, plan: Plan, progress: Progress) -> None:
    """Writes a video's overlay, its frames shown when the video's are, and a label map per frame in a folder."""
    if predictor.takes_bands:
        raise InputError(f'{file}: a video has frames of 8-bit colours, and this model reads images by LoadBands; give '
                         'images, or a model whose test_pipeline begins with LoadImageFromFile')
    with VideoReader(file) as reader:
        task = progress.add_task(shown(file.name), total=reader.count or None)
        try:
            found = _predictions(predictor, reader)
            first = next(found)  # before anything is written
            with plan.results.video(file) as (overlay, labels), \
                    VideoWriter(overlay, reader.rate, reader.base) as writer:
                for number, result in enumerate(chain([first], found)):
                    writer.write(result.overlay(plan.opacity), reader.time_of(number))
                    Image.fromarray(result.labels).save(labels / f'{number:06d}.png')
                    progress.advance(task)
        finally:
            progress.remove_task(task)
        if reader.is_short:
            MMLogger.get_current_instance().warning(f'{file}: {reader.number} frames could be read where its header '
                                                    f'has {reader.count}; it may be truncated')


def _predictions(predictor: Predictor, reader: VideoReader) -> Iterator[Prediction]:
    for number, result in enumerate(predictor(reader.frames(), 'return'), 1):
        if isinstance(result, InputError):
            raise InputError(f'{reader.file}: frame {number}: {result}')
        yield result
