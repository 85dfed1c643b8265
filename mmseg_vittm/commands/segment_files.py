"""Segmenting files: images, folders and videos to overlays and label maps."""
from pathlib import Path

import cv2
import numpy as np
from mmengine.logging import MMLogger
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn

from ..errors import InputError
from ..inference.predictor import Predictor
from .media import VIDEOS, Writer, list_media, read_frames


def segment_files(model: nn.Module, path: str, out: str, opacity: float = 0.5, overwrite: bool = False,
                  keep_going: bool = False) -> None:
    """Segments an image, a video, or the images and videos of a folder, with a progress bar.

    Args:
        model: A segmentor of `mmseg_vittm.load_model`.
        path: The file or folder.
        out: The folder that gets `overlays/` and `labels/`, named after the inputs.
        opacity: Weight of the labels' colours in overlays, 0 to 1.
        overwrite: Replace files of an earlier run.
        keep_going: Segment the other files where one cannot be segmented, before the error that lists such files.

    Raises:
        InputError: An input cannot be segmented, or an output is there already; nothing is lost.
    """
    if not 0 <= opacity <= 1:
        raise InputError(f'opacity must be from 0 to 1, got {opacity}')
    files = list_media(path)
    stems = [file.stem for file in files]
    names = {file: file.stem if stems.count(file.stem) == 1 else file.name for file in files}
    images = [file for file in files if file.suffix.lower() not in VIDEOS]
    videos = [file for file in files if file.suffix.lower() in VIDEOS]
    writer, predictor = Writer(out, opacity, overwrite), Predictor(model)
    logger, failed = MMLogger.get_current_instance(), []
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), 'ETA',
               TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task('Segmenting', total=len(files))
        on_error = 'return' if keep_going else 'raise'
        for file, result in zip(images, predictor(iter(images), on_error) if images else (), strict=True):
            if isinstance(result, InputError):
                logger.error(str(result))
                failed.append(file)
            else:
                writer.image(names[file], result)
            progress.advance(task)
        for file in videos:
            overlay = writer.claim(writer.overlays / f'{names[file]}.mp4')
            try:
                _segment_video(predictor, file, overlay, writer.labels / names[file], writer, progress)
            except InputError as error:
                if not keep_going:
                    raise
                logger.error(str(error))
                failed.append(file)
            progress.advance(task)
    logger.info(f'Overlays: {writer.overlays}, labels: {writer.labels}')
    if failed:
        raise InputError(f'{len(failed)} of {len(files)} inputs failed, see above: {", ".join(map(str, failed))}')


def _segment_video(predictor: Predictor, file: Path, overlay: Path, labels: Path, writer: Writer,
                   progress: Progress) -> None:
    """Writes a video's overlay with its frame rate, and a label map per frame in a folder of their own."""
    video = cv2.VideoCapture(str(file))
    rate = video.get(cv2.CAP_PROP_FPS) or 25.0
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    video.release()
    sink, number = None, 0
    task = progress.add_task(overlay.stem, total=count if count > 0 else None)
    try:
        for number, result in enumerate(predictor(read_frames(file), 'return'), 1):
            if isinstance(result, InputError):
                raise InputError(f'{file}: frame {number}: {result}')
            if sink is None:
                size = result.image.shape[1], result.image.shape[0]
                sink = cv2.VideoWriter(str(overlay), cv2.VideoWriter_fourcc(*'mp4v'), rate, size)
            sink.write(np.ascontiguousarray(result.overlay(writer.opacity)[..., ::-1]))
            writer.label(labels / f'{number - 1:06d}.png', result.labels)
            progress.advance(task)
    finally:
        progress.remove_task(task)
        if sink is not None:
            sink.release()
    if number < count:  # some kinds of file only estimate it
        MMLogger.get_current_instance().warning(f'{file}: {number} frames could be read where its header has {count}; '
                                                'it may be truncated')
