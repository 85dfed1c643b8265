"""Segmenting files: images, folders and videos to overlays and label maps."""
from collections.abc import Iterator
from pathlib import Path

import cv2
import mmcv
import numpy as np
from mmengine.logging import MMLogger
from mmseg.apis import inference_model
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn

from ..errors import InputError
from ..pictures import add_legend, overlay

IMAGES = {'.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp'}
VIDEOS = {'.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v'}


def list_media(path: str) -> list[Path]:
    """Returns the file, or the images and videos of the folder, sorted.

    Raises:
        InputError: It does not exist, is of no known kind, or the folder has none.
    """
    root = Path(path)
    if root.is_dir():
        files = sorted(file for file in root.iterdir() if file.suffix.lower() in IMAGES | VIDEOS)
        if not files:
            raise InputError(f'{root}: no images or videos in this folder ({", ".join(sorted(IMAGES | VIDEOS))})')
        return files
    if not root.is_file():
        raise InputError(f'{root}: no such file or folder')
    if root.suffix.lower() not in IMAGES | VIDEOS:
        raise InputError(f'{root}: not an image or a video by its ending; known are '
                         f'{", ".join(sorted(IMAGES | VIDEOS))}')
    return [root]


def read_image(path: Path) -> np.ndarray:
    """Returns an image as the training pipeline reads it, (H, W, 3) uint8 BGR.

    Raises:
        InputError: It cannot be decoded.
    """
    try:
        image = mmcv.imread(str(path), flag='color')
    except Exception as error:  # OpenCV raises its own on an empty file
        raise InputError(f'{path}: cannot be read as an image ({type(error).__name__})') from error
    if image is None:
        raise InputError(f'{path}: cannot be read as an image; it is empty or damaged')
    return image


def read_frames(path: Path) -> Iterator[np.ndarray]:
    """Yields a video's frames, (H, W, 3) uint8 BGR."""
    video = cv2.VideoCapture(str(path))
    try:
        while True:
            there, frame = video.read()
            if not there:
                return
            yield frame
    finally:
        video.release()


class Writer:
    """Writes overlays and labels, never over what is there.

    Args:
        model: Has `dataset_meta` with `classes` and `palette`.
        out: The folder that gets `overlays/` and `labels/`.
        opacity: Weight of the labels' colours in overlays, 0 to 1.
        overwrite: Replace files that are there.
    """

    def __init__(self, model: nn.Module, out: str, opacity: float, overwrite: bool):
        self.classes, self.palette = model.dataset_meta['classes'], model.dataset_meta['palette']
        self.overlays, self.labels = Path(out) / 'overlays', Path(out) / 'labels'
        self.opacity, self.overwrite = opacity, overwrite

    def claim(self, path: Path) -> Path:
        """Makes a path's folder and returns the path.

        Raises:
            InputError: The file is there, and overwriting was not asked for.
        """
        if path.exists() and not self.overwrite:
            raise InputError(f'{path} is there already; give another -o DIR, or --overwrite')
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def picture(self, frame: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns the overlay (H, W, 3) uint8 RGB of labels (H, W) on a BGR frame."""
        return overlay(frame[..., ::-1], labels, self.palette, self.opacity)

    def image(self, name: str, frame: np.ndarray, labels: np.ndarray) -> None:
        """Writes an image's overlay, with a legend of the classes seen, and its labels."""
        picture = add_legend(self.picture(frame, labels), labels, self.classes, self.palette)
        Image.fromarray(picture).save(self.claim(self.overlays / f'{name}.png'))
        self.label(self.labels / f'{name}.png', labels)

    def label(self, path: Path, labels: np.ndarray) -> None:
        """Writes labels (H, W) as a PNG of class indices, 16-bit where there are more than 256 classes."""
        kind = np.uint8 if len(self.classes) <= 256 else np.uint16
        Image.fromarray(labels.astype(kind)).save(self.claim(path))


def predict(model: nn.Module, frame: np.ndarray) -> np.ndarray:
    """Returns the labels (H, W) of a frame (H, W, 3) uint8 BGR."""
    return inference_model(model, frame).pred_sem_seg.data[0].cpu().numpy()


def segment_files(model: nn.Module, path: str, out: str, opacity: float = 0.5, overwrite: bool = False) -> None:
    """Segments an image, a video, or the images and videos of a folder, with a progress bar.

    Args:
        model: A segmentor of `loading.load_model`.
        path: The file or folder.
        out: The folder that gets `overlays/` and `labels/`, named after the inputs.
        opacity: Weight of the labels' colours in overlays, 0 to 1.
        overwrite: Replace files of an earlier run.

    Raises:
        InputError: An input cannot be read, or an output is there already; nothing is lost.
    """
    if not 0 <= opacity <= 1:
        raise InputError(f'opacity must be from 0 to 1, got {opacity}')
    files = list_media(path)
    stems = [file.stem for file in files]
    writer = Writer(model, out, opacity, overwrite)
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), 'ETA',
               TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task('Segmenting', total=len(files))
        for file in files:
            name = file.stem if stems.count(file.stem) == 1 else file.name
            if file.suffix.lower() in VIDEOS:
                _segment_video(model, file, name, writer, progress)
            else:
                frame = read_image(file)
                writer.image(name, frame, predict(model, frame))
            progress.advance(task)
    MMLogger.get_current_instance().info(f'Overlays: {writer.overlays}, labels: {writer.labels}')


def _segment_video(model: nn.Module, file: Path, name: str, writer: Writer, progress: Progress) -> None:
    """Writes a video's overlay as overlays/NAME.mp4, with its frame rate, and a label map per frame in labels/NAME/."""
    video = cv2.VideoCapture(str(file))
    rate = video.get(cv2.CAP_PROP_FPS) or 25.0
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    video.release()
    path = writer.claim(writer.overlays / f'{name}.mp4')
    sink = None
    task = progress.add_task(name, total=count if count > 0 else None)
    for number, frame in enumerate(read_frames(file)):
        labels = predict(model, frame)
        if sink is None:
            size = frame.shape[1], frame.shape[0]
            sink = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), rate, size)
        sink.write(np.ascontiguousarray(writer.picture(frame, labels)[..., ::-1]))
        writer.label(writer.labels / name / f'{number:06d}.png', labels)
        progress.advance(task)
    if sink is None:
        raise InputError(f'{file}: no frame could be read from this video')
    sink.release()
    progress.remove_task(task)
