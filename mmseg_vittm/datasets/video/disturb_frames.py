"""`DisturbFrames`: exposure jumps, noise bursts and hidden parts in some frames of a clip."""
import math
from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from numpy.random import Generator

from ...errors import InputError

RANGES = dict(flicker_factor=(0, math.inf), noise_frames=(1, math.inf), noise_sigma=(0, math.inf),
              hide_frames=(1, math.inf), hide_share=(0, 1))


@TRANSFORMS.register_module()
class DisturbFrames(BaseTransform):
    """Disturbs the images of single frames, or runs of frames, of a clip; never of the first. Labels stay.

    What a frame then lacks, an earlier one has shown: it takes a memory to label it. One of `VideoSegDataset`'s
    `clip_transforms`. With all three probabilities 0 images stay bit for bit as they are.

    Args:
        flicker: Probability, per frame, that its exposure jumps.
        flicker_factor: By which factor, from and to; the three colours differ by up to a tenth of it.
        noise: Probability, per frame, that a burst of noise begins, unless one is under way.
        noise_frames: How many frames it lasts, from and to, as far as the clip goes.
        noise_sigma: Its standard deviation, from and to, as a share of the range of 255.
        hide: Probability, per frame, that something opaque comes before the camera, unless it is there already.
        hide_frames: How many frames it stays, from and to, as far as the clip goes.
        hide_share: Which share of the picture it hides, from and to: a spot of one colour with a rough edge, which
            moves a little; beyond the picture's border it hides nothing, so that the share may be less.

    Raises:
        InputError: An argument is out of its range.
    """

    def __init__(self, flicker: float = 0.15, flicker_factor: tuple[float, float] = (0.5, 1.7), noise: float = 0.1,
                 noise_frames: tuple[int, int] = (1, 3), noise_sigma: tuple[float, float] = (0.15, 0.35),
                 hide: float = 0.2, hide_frames: tuple[int, int] = (1, 4),
                 hide_share: tuple[float, float] = (0.1, 0.35)):
        for name, value in (('flicker', flicker), ('noise', noise), ('hide', hide)):
            if not 0 <= value <= 1:
                raise InputError(f'DisturbFrames: {name} must be from 0 to 1, got {value!r}')
        given = dict(flicker_factor=flicker_factor, noise_frames=noise_frames, noise_sigma=noise_sigma,
                     hide_frames=hide_frames, hide_share=hide_share)
        for name, (least, most) in RANGES.items():
            pair = given[name]
            if len(pair) != 2 or not least <= pair[0] <= pair[1] <= most:
                raise InputError(f'DisturbFrames: {name} must be two numbers, from and to, between {least} and {most}, '
                                 f'got {pair!r}')
        self.flicker, self.noise, self.hide, self.ranges = flicker, noise, hide, given

    def transform(self, frames: Sequence[dict]) -> list[dict]:
        """Returns the frames of a clip with disturbed images; those given stay as they are.

        Args:
            frames: Loaded frames with `img`, (H, W, 3), of 0 to 255.
        """
        rng = np.random.default_rng(np.random.randint(2**31, size=4))  # float32 noise, which NumPy's global one has not
        disturbed = [dict(frame) for frame in frames]
        for begin, end in self._runs(rng, self.hide, self.ranges['hide_frames'], len(frames)):
            self._hide(rng, disturbed[begin:end])
        for begin, end in self._runs(rng, self.flicker, (1, 1), len(frames)):
            self._flicker(rng, disturbed[begin:end])
        for begin, end in self._runs(rng, self.noise, self.ranges['noise_frames'], len(frames)):
            self._add_noise(rng, disturbed[begin:end])
        return disturbed

    @staticmethod
    def _runs(rng: Generator, probability: float, frames: tuple[int, int], length: int) -> list[tuple[int, int]]:
        """Draws the runs of frames in which something lasts: (begin, end) each, which do not meet."""
        runs, at = [], 1
        while at < length:
            lasts = 1
            if rng.random() < probability:
                lasts = int(rng.integers(frames[0], frames[1], endpoint=True))
                runs.append((at, min(at + lasts, length)))
            at += lasts
        return runs

    def _flicker(self, rng: Generator, frames: Sequence[dict]) -> None:
        for frame in frames:
            factor = rng.uniform(*self.ranges['flicker_factor']) * rng.uniform(0.9, 1.1, 3)
            frame['img'] = _as(frame['img'], frame['img'] * factor.astype(np.float32))

    def _add_noise(self, rng: Generator, frames: Sequence[dict]) -> None:
        sigma = np.float32(255 * rng.uniform(*self.ranges['noise_sigma']))
        for frame in frames:
            noise = rng.standard_normal(frame['img'].shape, dtype=np.float32)
            frame['img'] = _as(frame['img'], frame['img'] + sigma * noise)

    def _hide(self, rng: Generator, frames: Sequence[dict]) -> None:
        """Paints a spot, a polygon whose corners lie about an ellipse, somewhat elsewhere in every frame."""
        height, width = frames[0]['img'].shape[:2]
        angles = np.linspace(0, 2 * math.pi, 24, endpoint=False)
        spread, long = rng.uniform(0.75, 1.25, angles.size), rng.uniform(0.6, 1.6)
        corners = np.stack([long * np.cos(angles), np.sin(angles) / long], 1) * spread[:, None]
        turn = rng.uniform(0, math.pi)
        corners = corners @ np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        after = np.roll(corners, -1, 0)
        area = abs(np.sum(corners[:, 0] * after[:, 1] - corners[:, 1] * after[:, 0])) / 2
        corners *= math.sqrt(rng.uniform(*self.ranges['hide_share']) * height * width / area)
        place, speed = rng.uniform(0.15, 0.85, 2) * (width, height), rng.normal(0, 0.02 * width, 2)
        colour = rng.integers(0, 256, 3)
        for number, frame in enumerate(frames):
            image = frame['img'].copy()
            spot = np.round(place + number * speed + corners).astype(np.int32)
            frame['img'] = cv2.fillPoly(image, [spot], colour.tolist())

    def __repr__(self) -> str:
        ranges = ', '.join(f'{name}={pair}' for name, pair in self.ranges.items())
        return f'DisturbFrames(flicker={self.flicker}, noise={self.noise}, hide={self.hide}, {ranges})'


def _as(image: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """Returns a changed image within the range of 0 to 255, and of the type it had."""
    changed = np.clip(changed, 0, 255)
    return (np.round(changed) if image.dtype == np.uint8 else changed).astype(image.dtype)
