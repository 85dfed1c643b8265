"""What tests of inference need: a tiny model whose labels vary, and videos."""
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from tool_runs import write_config


def random_model(folder: Path) -> torch.nn.Module:
    """The tiny model with random weights, which do not give one label to all pixels."""
    cfg = Config.fromfile(write_config(folder))
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model).eval()
    for weight in model.parameters():
        weight.data += 0.3 * torch.randn_like(weight)
    model.cfg = cfg
    model.dataset_meta = dict(classes=[f'class {n}' for n in range(14)],
                              palette=[[10 * n, 255 - 10 * n, n] for n in range(14)])
    return model


def make_video(path: Path, count: int = 5, size: tuple[int, int] = (64, 96), rate: object = 10, noise: bool = False,
               times: list[int] | None = None, codec: str = 'libx264', **options) -> Path:
    """Writes a video: each frame brighter than the one before, its upper left quarter red, or noise.

    Args:
        path: The file.
        count: Number of frames.
        size: Height and width.
        rate: Frames a second.
        noise: Whether the frames are noise.
        times: When frames are shown, in units of 1 / rate; every unit by default.
        codec: FFmpeg's name of the codec.
        **options: Of `av.open`.
    """
    rng, height, width = np.random.default_rng(0), *size
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w', **options) as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.height, stream.width = size
        stream.pix_fmt = 'yuv444p' if codec == 'libx264' else 'yuv420p'
        for number in range(count):
            picture = np.full((height, width, 3), 250 * number // count, np.uint8)
            picture[:height // 2, :width // 2] = 255, 0, 0
            if noise:
                picture = rng.integers(0, 255, picture.shape, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts, frame.time_base = times[number] if times else number, 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def video_frames(path: Path) -> list[np.ndarray]:
    """A video's frames by OpenCV, (H, W, 3) uint8 BGR."""
    video, frames = cv2.VideoCapture(str(path)), []
    while True:
        found, frame = video.read()
        if not found:
            return frames
        frames.append(frame)
