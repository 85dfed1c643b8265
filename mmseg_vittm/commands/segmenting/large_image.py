"""A large image segmented by windows into a GeoTIFF of labels and an overlay that can be looked at."""
from collections.abc import Callable
from pathlib import Path

from mmengine.logging import MMLogger
from PIL import Image

from ...inference.large.blocks import LargeImage, overhead
from ...inference.large.grid import grid_of
from ...inference.large.source import open_source, read_steps
from ...inference.large.thumbnail import Thumbnail
from ...inference.prediction import Prediction
from ...inference.predictor import Predictor
from .label_raster import new_label_raster, unlabelled
from .results import Results


def segment_large(predictor: Predictor, file: Path, results: Results, opacity: float, tile: int | None,
                  overlap: int | None, progress: Callable[[int, int], None]) -> None:
    """Segments an image by windows, at its own resolution, in memory that does not grow with it.

    Args:
        predictor: Has the model, and its classes.
        file: The image.
        results: Where results go.
        opacity: Weight of the labels' colours in the overlay, 0 to 1.
        tile: Side of the tiles of a model that sees images whole; None is the size that it was trained at.
        overlap: Pixels that neighbouring tiles share; None is an eighth of their side.
        progress: Is called after every window with the number done and that of all.

    Raises:
        InputError: The image cannot be read, or is none that the model takes; nothing is written then.
        OutputError: A result cannot be written; nothing of it is left.
    """
    model, classes, palette = predictor.model, predictor.classes, predictor.palette
    reader, left_out = read_steps(model)
    with open_source(file, model, reader) as source:
        grid = grid_of(model, source.size, None if tile is None else (tile, tile), overlap)
        image = LargeImage(model, source, grid, unlabelled(len(classes)))
        thumbnail = Thumbnail(source.size, image.unlabelled)
        _say(file, image, left_out)
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            progress(done, image.total)

        blocks = image.blocks(step, thumbnail.see)
        first = next(blocks)  # before anything is written
        with results.large(file) as (overlay, labels):
            with new_label_raster(labels, source.raster, classes, palette) as raster:
                while first is not None:
                    raster.write(*first)
                    thumbnail.label(*first)
                    first = next(blocks, None)
            shown = Prediction(str(file), thumbnail.image(), thumbnail.labels, classes, palette)
            Image.fromarray(shown.overlay(opacity, legend=True)).save(overlay)
    if image.skipped:
        MMLogger.get_current_instance().info(f'{file}: {image.skipped} of {image.total} windows have no data')


def _say(file: Path, image: LargeImage, left_out: list[str]) -> None:
    """Logs how an image is segmented."""
    (height, width), crop = image.grid.size, image.grid.crop
    more = overhead(image)
    MMLogger.get_current_instance().info(
        f'{file}: {width} x {height} pixels by {image.total} windows of {crop[1]} x {crop[0]}, at its own resolution'
        + f' ({", ".join(left_out)} of test_pipeline left out)' * bool(left_out)
        + f', in {len(image.strips)} strips, {100 * more:.1f}% of the windows twice' * (len(image.strips) > 1))
