"""Images and videos: which files are, what is in a video, and what is written of them."""
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..errors import InputError
from ..inference.prediction import Prediction
from ..outputs import refuse_existing

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


def read_frames(file: Path) -> Iterator[np.ndarray]:
    """Yields a video's frames, (H, W, 3) uint8 BGR.

    Raises:
        InputError: There are none.
    """
    video, number = cv2.VideoCapture(str(file)), 0
    try:
        while (read := video.read())[0]:
            number += 1
            yield read[1]
    finally:
        video.release()
    if number == 0:
        raise InputError(f'{file}: no frame could be read from this video')


class Writer:
    """Writes overlays and labels, never over what is there.

    Args:
        out: The folder that gets `overlays/` and `labels/`.
        opacity: Weight of the labels' colours in overlays, 0 to 1.
        overwrite: Replace files that are there.
    """

    def __init__(self, out: str, opacity: float, overwrite: bool):
        self.overlays, self.labels = Path(out) / 'overlays', Path(out) / 'labels'
        self.opacity, self.overwrite = opacity, overwrite

    def claim(self, path: Path) -> Path:
        """Makes a path's folder and returns the path.

        Raises:
            InputError: The file is there, and `overwrite` is False.
        """
        refuse_existing([path], self.overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def image(self, name: str, prediction: Prediction) -> None:
        """Writes an image's overlay, with a legend of the classes seen, and its labels."""
        picture = prediction.overlay(self.opacity, legend=True)
        Image.fromarray(picture).save(self.claim(self.overlays / f'{name}.png'))
        self.label(self.labels / f'{name}.png', prediction.labels)

    def label(self, path: Path, labels: np.ndarray) -> None:
        """Writes labels (H, W) as a PNG of class indices, 16-bit where there are more than 256 classes."""
        Image.fromarray(labels).save(self.claim(path))
