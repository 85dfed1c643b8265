"""What fails in a moving toy scene's camera: the exposure of single frames, the sensor, the line."""
import numpy as np
from numpy.random import Generator

FLICKER = 0.15  # share of frames
BURSTS = 0.12  # share of frames
BURST_FRAMES = 3  # the longest


class Failures:
    """Which frames of a clip flicker or are noisy, and how.

    About 15% of the frames flicker: each channel is 0.5 to 1.7 times as bright. About 12%, in runs of one to three, are
    noisy: with sensor noise of a standard deviation of 0.15 to 0.35 of the range, or with stripes of lost blocks.

    Args:
        rng: Decides which, and how.
        num_frames: Number of frames.

    Attributes:
        exposures: A factor for each channel, (3,), per frame; None where a frame is well exposed.
        noise: Standard deviation of the noise, per frame; 0 is none.
        lost: How many stripes of blocks are lost, per frame.
    """

    def __init__(self, rng: Generator, num_frames: int):
        self.exposures = [self._exposure(rng) for _ in range(num_frames)]
        self.noise = np.zeros(num_frames)
        self.lost = np.zeros(num_frames, int)
        mean = (1 + BURST_FRAMES) / 2
        chance = BURSTS / (mean * (1 - BURSTS))  # that a run begins where none is; at least one good frame follows it
        frame = 0
        while frame < num_frames:
            run = slice(frame, frame + int(rng.integers(1, BURST_FRAMES + 1)))
            begins, loses = rng.random() < chance, rng.random() < 0.4
            sigma, stripes = rng.uniform(0.15, 0.35), rng.integers(2, 6)
            if begins and loses:
                self.lost[run] = stripes
            elif begins:
                self.noise[run] = sigma
            frame = run.stop + 1 if begins else frame + 1

    @staticmethod
    def _exposure(rng: Generator) -> np.ndarray | None:
        """Returns a factor for each channel, or None for a frame that is well exposed."""
        chance, dark = rng.random(), rng.random() < 0.5
        brightness = rng.uniform(0.56, 0.8) if dark else rng.uniform(1.2, 1.54)
        cast = rng.uniform(0.9, 1.1, 3)
        return np.float32(brightness * cast) if chance < FLICKER else None

    def flicker(self, image: np.ndarray, frame: int) -> np.ndarray:
        """Returns an exposed picture, float32 (size, size, 3), as it is exposed in this frame."""
        exposure = self.exposures[frame]
        return image if exposure is None else np.clip(image * exposure, 0, 1)

    def burst(self, image: np.ndarray, frame: int, rng: Generator) -> np.ndarray:
        """Returns a picture, float32 (size, size, 3), with what the sensor or the line adds in this frame."""
        if self.noise[frame]:
            image = image + rng.normal(0, self.noise[frame], image.shape).astype(np.float32)
        for _ in range(self.lost[frame]):
            image = _lose_blocks(image, rng)
        return image


def _lose_blocks(image: np.ndarray, rng: Generator) -> np.ndarray:
    """Returns a picture in which one row of blocks, from some block to its end, shows flat colours."""
    image, size = image.copy(), len(image)
    block = max(size // 16, 2)
    count = -(-size // block)
    top, left = block * int(rng.integers(count)), int(rng.integers(count * 3 // 4))
    colours = rng.uniform(0, 1, (count - left, 3)).astype(np.float32)
    stripe = image[top:top + block, left * block:]
    stripe[:] = np.repeat(colours, block, axis=0)[:stripe.shape[1]]
    return image
