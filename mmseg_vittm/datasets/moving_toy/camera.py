"""How the camera of a moving toy scene moves: it pans, tilts, zooms and goes, each as smoothly as a pendulum."""
import numpy as np
from numpy.random import Generator

from ..toy.canvas import View

PERIOD = (40, 90)  # frames of a sway there and back, from and to


def sway(rng: Generator, num_frames: int, speed: float) -> np.ndarray:
    """Returns a smooth way there and back, one value per frame, however many there are.

    Args:
        rng: Decides how long one sway takes and where in it the first frame is.
        num_frames: Number of frames.
        speed: How far it goes in a frame, on average over a whole sway; at most pi / 2 times as far.
    """
    period, start = rng.uniform(*PERIOD), rng.uniform(0, 1)
    return speed * period / 4 * np.sin(2 * np.pi * (np.arange(num_frames) / period + start))


def camera_path(rng: Generator, first: View, size: int, num_frames: int, motion: float = 1.0) -> list[View]:
    """Returns what the camera sees in each frame.

    It pans by 0.6 to 1.6 pixels a frame on average in a picture of 128, and in proportion in others. All else adds
    less: it tilts, zooms, walks sideways and walks forwards or backwards.

    Args:
        rng: Decides the path.
        first: The view that the scene was laid out for; the camera sways around it.
        size: Side of the square picture in pixels.
        num_frames: Number of frames.
        motion: Factor on all speeds, at most 1; 0 is a camera that stands still.
    """
    pixel = motion * size / 128
    speed = rng.uniform(0.6, 1.6)
    pan = sway(rng, num_frames, speed * pixel)
    tilt = sway(rng, num_frames, 0.3 * speed * pixel)
    zoom = np.exp(sway(rng, num_frames, motion * rng.uniform(0, 0.005)))
    right = sway(rng, num_frames, motion * rng.uniform(0, 0.05))
    ahead = sway(rng, num_frames, motion * rng.uniform(0, 0.06))
    ahead = ahead - ahead.min()
    middle = size / 2
    horizon = middle + (first.horizon - middle) * zoom + tilt
    vanishing = middle + (first.vanishing - middle) * zoom + pan
    return [View(*(float(value) for value in values))
            for values in zip(horizon, vanishing, first.focal * zoom, right, ahead, strict=True)]
