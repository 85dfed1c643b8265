"""Foreign bodies close to the lens: dark or bright, opaque, and nothing that a class is."""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, SeedSequence

from ..toy.canvas import Noise, any_colour, grey

Shape = Callable[[np.ndarray, np.ndarray, Generator, Noise], np.ndarray]


def blob(u: np.ndarray, v: np.ndarray, rng: Generator, noise: Noise) -> np.ndarray:
    """Returns the signed distance to a round body with a wavy edge."""
    return np.hypot(u, v * rng.uniform(1, 1.5)) - 1 + 0.6 * (noise(u * 1.3 + 9, v * 1.3 + 9) - 0.5)


def bars(u: np.ndarray, v: np.ndarray, rng: Generator, noise: Noise) -> np.ndarray:
    """Returns the signed distance to one to three parallel bars without ends."""
    count, width = rng.integers(1, 4), rng.uniform(0.25, 0.4)
    nearest = np.clip(np.round(v - (count - 1) / 2), -(count - 1), 0) + (count - 1) / 2
    return np.abs(v - nearest) - width


def leaves(u: np.ndarray, v: np.ndarray, rng: Generator, noise: Noise) -> np.ndarray:
    """Returns the signed distance to a few pointed leaves on a stalk."""
    distance = np.abs(u) - 0.05
    for side in (-1, 1) * int(rng.integers(2, 4)):
        along, angle = rng.uniform(-1.2, 1.2), side * rng.uniform(0.4, 1.1)
        a = (v - along) * np.cos(angle) + u * np.sin(angle) - 0.7
        b = np.abs(u * np.cos(angle) - (v - along) * np.sin(angle))
        distance = np.minimum(distance, np.hypot(a, b + 0.45) - 0.83)
    return distance


def smear(u: np.ndarray, v: np.ndarray, rng: Generator, noise: Noise) -> np.ndarray:
    """Returns the signed distance to a streaky patch."""
    streaks = noise(u * 0.9 + 30, v * 7 + 30, 2)
    return np.maximum(np.abs(u) / 1.7, np.abs(v)) - 0.9 + 0.9 * (streaks - 0.45)


SHAPES: dict[str, Shape] = {'bars': bars, 'blob': blob, 'leaves': leaves, 'smear': smear}


@dataclass(frozen=True)
class Body:
    """A foreign body, how it moves, and how it looks.

    Attributes:
        shape: One of `SHAPES`.
        seed: Of the generator that decides the rest of how it looks, made anew for every frame.
        column: Of its middle in pixels, at frame `moment`.
        row: Likewise.
        right: Pixels that it moves to the right in a frame.
        down: Pixels that it moves down in a frame.
        moment: A frame.
        angle: How it is turned, in radians.
        radius: Its size in pixels.
    """
    shape: str
    seed: SeedSequence
    column: float
    row: float
    right: float
    down: float
    moment: int
    angle: float
    radius: float

    def covers(self, columns: np.ndarray, rows: np.ndarray, frame: int) -> np.ndarray:
        """Returns which pixels it hides, wholly or in part."""
        return self._distance(columns, rows, frame)[0] < 0.5

    def paint(self, image: np.ndarray, frame: int) -> np.ndarray:
        """Paints it over a picture, float32 (size, size, 3), in place; returns which pixels it hides, (size, size)."""
        rows, columns = np.mgrid[0:len(image), 0:len(image)].astype(np.float32) + 0.5
        distance, u, v, rng, noise = self._distance(columns, rows, frame)
        image += grey(np.clip(0.5 - distance, 0, 1)) * (_surface(u, v, rng, noise) - image)
        return distance < 0.5

    def _distance(self, columns: np.ndarray, rows: np.ndarray, frame: int) -> tuple:
        """Returns the signed distance in pixels, coordinates on the body in radii, and its generator and noise."""
        past = frame - self.moment
        x = (columns - np.float32(self.column + self.right * past)) / np.float32(self.radius)
        y = (rows - np.float32(self.row + self.down * past)) / np.float32(self.radius)
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        u, v = x * cos + y * sin, y * cos - x * sin
        rng = np.random.default_rng(self.seed)
        noise = Noise(rng)
        return SHAPES[self.shape](u, v, rng, noise) * np.float32(self.radius), u, v, rng, noise


def any_body(rng: Generator, seed: SeedSequence, size: int, run: range, middle: tuple[float, float]) -> Body:
    """Returns a body of any shape, which stays or moves by 0.5 to 4 pixels a frame in a picture of 128.

    Args:
        rng: Decides shape and way.
        seed: Decides the looks.
        size: Side of the picture in pixels.
        run: The frames in which it is in the way.
        middle: Column and row of its middle, halfway.
    """
    shape = str(rng.choice(sorted(SHAPES)))
    way, speed, stays = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 4) * size / 128, rng.random() < 0.35
    speed = 0.0 if stays else speed
    return Body(shape, seed, *middle, float(speed * np.cos(way)), float(speed * np.sin(way)), run[len(run) // 2],
                float(rng.uniform(0, 2 * np.pi)), size / 4)


def _surface(u: np.ndarray, v: np.ndarray, rng: Generator, noise: Noise) -> np.ndarray:
    """Returns the colours of a body at points on it: nearly black, nearly white or vivid; plain, grained or striped."""
    kind, pattern = rng.random(), rng.integers(3)
    dark, bright = rng.uniform(0.01, 0.1, 3), rng.uniform(0.85, 1) * rng.uniform(0.93, 1, 3)
    vivid = any_colour(rng, 0.5, 0.95, vivid=0.8)
    colour = np.float32(dark if kind < 0.45 else bright if kind < 0.75 else vivid)
    rate = rng.uniform(4, 9)
    if pattern == 0:
        return np.broadcast_to(colour, (*u.shape, 3))
    factor = 0.5 + noise(u * rate, v * rate, 3) if pattern == 1 else np.where(np.sin(u * rate * 2) > 0, 1, 0.6)
    return colour * grey(factor)
