"""Tiny videos on disk: PNGs of known pixels."""
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ('sky', 'road', 'tree')
SIZE = (11, 14)


def frame_of(video: str, number: int, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """The image, (H, W, 3), and the label, (H, W), of a frame; the same at every call."""
    rng = np.random.default_rng([number, *video.encode()])
    label = rng.integers(0, len(CLASSES), size, dtype=np.uint8)
    label[0, :3] = 255
    return rng.integers(0, 256, (*size, 3), dtype=np.uint8), label


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_videos(root: Path, numbers: Mapping[str, list[int]], name: str = '{video}/frame_{number:04d}',
                 unlabelled: tuple[tuple[str, int], ...] = (), size: tuple[int, int] = SIZE) -> Path:
    """Writes `images/NAME.png` and `labels/NAME.png` of frames, given by video; returns the folder."""
    for video, frames in numbers.items():
        for number in frames:
            image, label = frame_of(video, number, size)
            file = name.format(video=video, number=number) + '.png'
            save(root / 'images' / file, image)
            if (video, number) not in unlabelled:
                save(root / 'labels' / file, label)
    return root


LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]


def video_config(root: Path, **changes) -> dict:
    """The config of a `VideoSegDataset` of what `write_videos` wrote."""
    return dict(type='VideoSegDataset', data_root=str(root), img_suffix='.png',
                data_prefix=dict(img_path='images', seg_map_path='labels'), metainfo=dict(classes=CLASSES),
                pipeline=[*LOAD, dict(type='PackSegInputs')]) | changes
