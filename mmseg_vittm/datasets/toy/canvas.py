"""The canvas of a toy scene: a pinhole camera over a ground plane, and shapes to paint on it back to front.

Everything is a signed distance in metres (negative inside), so edges are antialiased, sizes follow the depth, and
the result depends on NumPy alone.
"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

CLASSES = ('sky', 'mountain', 'water', 'grass', 'road', 'pavement', 'building', 'fence', 'tree', 'rock', 'car', 'bus',
           'person', 'sign')

Colour = Sequence[float] | np.ndarray  # RGB in [0, 1]


class OutOfSight(Exception):
    """Something would stand outside the picture."""


@dataclass(frozen=True)
class View:
    """What a camera sees of a scene.

    Attributes:
        horizon: Row of the horizon in pixels, from the top.
        vanishing: Column of the vanishing point in pixels.
        focal: Focal length in pixels.
        right: Metres that the camera stands to the right of where the scene was laid out; less than 1.5 either way,
            since buildings leave it no more room.
        ahead: Metres that it stands ahead of there, 0 or more.
    """
    horizon: float
    vanishing: float
    focal: float
    right: float = 0.0
    ahead: float = 0.0


class Noise:
    """Smooth value noise in [0, 1] that repeats every 64 units, from a random lattice."""

    def __init__(self, rng: Generator):
        self.lattice = np.pad(rng.random((64, 64), dtype=np.float32), (0, 1), mode='wrap').ravel()

    def __call__(self, u: np.ndarray, v: np.ndarray, octaves: int = 2) -> np.ndarray:
        """Returns the noise at the points (u, v); each octave has half the size and twice the rate."""
        total = 0
        for octave in range(octaves):
            left, low = np.floor(u), np.floor(v)
            fu, fv = u - left, v - low
            fu, fv = fu * fu * (3 - 2 * fu), fv * fv * (3 - 2 * fv)
            corner = (low.astype(np.int32) & 63) * 65 + (left.astype(np.int32) & 63)
            below, above = (self._across(start, fu) for start in (corner, corner + 65))
            total = total + (below + fv * (above - below)) * 0.5 ** (octave + 1)
            u, v = 2 * u + 17.3, 2 * v + 5.7
        return total / (1 - 0.5 ** octaves)

    def _across(self, start: np.ndarray, fraction: np.ndarray) -> np.ndarray:
        value = self.lattice.take(start)
        value += fraction * (self.lattice.take(start + 1) - value)
        return value


class Scene:
    """A picture being painted, its labels, its camera and its light.

    The camera looks along the ground from `height` metres above it: a point x metres to the right, v metres up and
    `depth` metres away lies at column `vanishing + x * focal / depth`, row `horizon + (height - v) * focal / depth`.
    `look` moves the camera: x and `depth` are still counted from where it first stood.

    Args:
        rng: Decides everything that is random.
        size: Side of the square picture in pixels.

    Attributes:
        first: What the camera saw at first.
        view: What it sees now; `horizon`, `vanishing` and `focal` are this view's.
    """

    def __init__(self, rng: Generator, size: int):
        self.rng, self.size, self.noise = rng, size, Noise(rng)
        self.horizon = size * rng.uniform(0.27, 0.6)
        self.vanishing = size * rng.uniform(0.2, 0.8)
        self.focal = size * rng.uniform(0.8, 1.1)
        self.height = rng.uniform(1.6, 3.2)
        self.first = self.view = View(self.horizon, self.vanishing, self.focal)
        self.sun = rng.choice([-1, 1]) * rng.uniform(0.3, 1)
        self.haze = rng.uniform(60, 300)
        self.air = np.float32([0.8, 0.8, 0.8])
        self.image = np.zeros((size, size, 3), np.float32)
        self.label = np.zeros((size, size), np.uint8)
        self.rows, self.columns = np.mgrid[0:size, 0:size].astype(np.float32) + 0.5
        # Where the first camera saw what is too far away to change with where the camera stands: the sky.
        self.sky_rows, self.sky_columns = self.rows, self.columns

    def look(self, view: View) -> None:
        """Moves the camera; only what is painted afterwards is seen from there."""
        self.view = view
        self.horizon, self.vanishing, self.focal = view.horizon, view.vanishing, view.focal
        zoom = np.float32(view.focal / self.first.focal)
        self.sky_rows = (self.rows - np.float32(view.horizon)) / zoom + np.float32(self.first.horizon)
        self.sky_columns = (self.columns - np.float32(view.vanishing)) / zoom + np.float32(self.first.vanishing)

    def stand(self, x: float, depth: float, half_width: float, height: float, shadow: float = 0) -> 'Patch':
        """Returns the window in which something of this size stands at (x, depth), all in metres.

        Its shadow, of a length in metres, falls on the ground beside it, away from the sun.

        Raises:
            OutOfSight: No part of the window is in the picture, or it is closer than half a metre.
        """
        x, depth = x - self.view.right, depth - self.view.ahead
        if depth < 0.5:
            raise OutOfSight
        scale = self.focal / depth
        foot, centre = self.horizon + self.height * scale, self.vanishing + x * scale
        if shadow:
            self._darken(foot, self.vanishing + (x - self.sun * shadow / 2) * scale, shadow, scale)
        left, right = max(int(centre - half_width * scale) - 2, 0), min(int(centre + half_width * scale) + 3, self.size)
        top, bottom = max(int(foot - height * scale) - 2, 0), min(int(foot) + 3, self.size)
        if left >= right or top >= bottom:
            raise OutOfSight
        window = (slice(top, bottom), slice(left, right))
        u, v = (self.columns[window] - centre) / scale, (foot - self.rows[window]) / scale
        return Patch(self, window, u, v, scale, depth, self.sun * u / half_width)

    def ground(self) -> 'Patch':
        """Returns the part below the horizon as a patch whose u and v are metres to the right and metres away.

        Both are counted from where the camera first stood.
        """
        window = (slice(int(self.horizon) + 1, self.size), slice(0, self.size))
        scale = (self.rows[window] - self.horizon) / self.height
        depth = self.focal / scale
        right = (self.columns[window] - self.vanishing) / scale + self.view.right
        return Patch(self, window, right, depth + self.view.ahead, scale, depth, 0)

    def _darken(self, row: float, column: float, length: float, scale: float) -> None:
        rows = slice(max(int(row - length * scale), int(self.horizon) + 1), max(int(row + length * scale), 0))
        d = np.hypot((self.columns[rows] - column) / (length * scale), (self.rows[rows] - row) / (0.2 * length * scale))
        self.image[rows] *= 1 - 0.45 * np.clip(3 - 3 * d, 0, 1)[..., None]


class Patch:
    """A window of the scene with coordinates in metres.

    Args:
        scene: The scene.
        window: Its rows and columns.
        u: Metres to the right of the object's middle, one per pixel.
        v: Metres above the ground.
        scale: Pixels per metre, one for all or one per pixel.
        depth: Metres away, likewise.
        light: How much lighter than usual the object is, likewise.
    """

    def __init__(self, scene: Scene, window: tuple[slice, slice], u: np.ndarray, v: np.ndarray,
                 scale: float | np.ndarray, depth: float | np.ndarray, light: float | np.ndarray):
        self.scene, self.window, self.u, self.v, self.scale = scene, window, u, v, scale
        self.clear = np.exp(-depth / scene.haze)
        self.light = 1 + 0.25 * light

    def noise(self, rate: float, octaves: int = 2) -> np.ndarray:
        """Returns noise fixed to the object, `rate` bumps a metre."""
        return self.scene.noise(self.u * rate + 31, self.v * rate + 7, octaves)

    def fill(self, distance: np.ndarray, colour: np.ndarray, name: str | None = None) -> None:
        """Paints where `distance` is negative; with a class name it also labels, and leaves the contour unlabelled.

        Args:
            distance: Signed distance in metres, of the window's shape.
            colour: RGB in [0, 1], (3,) or one per pixel.
            name: The class; None paints a detail of something already labelled.
        """
        pixels = distance * self.scale
        part = _bounds(pixels < 0.5)  # all that is painted, often little of the window
        light, clear = (np.broadcast_to(factor, pixels.shape)[part][..., None] for factor in (self.light, self.clear))
        image, label = self.scene.image[self.window][part], self.scene.label[self.window][part]
        colour, pixels = np.broadcast_to(colour, (*pixels.shape, 3))[part], pixels[part]
        cover = np.clip(0.5 - pixels, 0, 1)[..., None]
        image += cover * (colour * light * clear + self.scene.air * (1 - clear) - image)
        if name is not None:
            index = CLASSES.index(name) + 1
            label[(pixels < 0.5) & (label != index)] = 0
            label[pixels < -0.5] = index


def _bounds(mask: np.ndarray) -> tuple[slice, slice]:
    """Returns the least rows and columns in which all that is True lies."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return tuple(slice(found[0], found[-1] + 1) if len(found) else slice(0) for found in (rows, columns))


def box(u: np.ndarray, v: np.ndarray, left: float, right: float, bottom: float, top: float,
        radius: float = 0.0) -> np.ndarray:
    """Returns the signed distance to a rectangle with rounded corners."""
    du = np.abs(u - (left + right) / 2) - (right - left) / 2 + radius
    dv = np.abs(v - (bottom + top) / 2) - (top - bottom) / 2 + radius
    return np.minimum(np.maximum(du, dv), 0) + np.hypot(np.maximum(du, 0), np.maximum(dv, 0)) - radius


def disc(u: np.ndarray, v: np.ndarray, centre_u: float, centre_v: float, radius: float) -> np.ndarray:
    """Returns the signed distance to a disc."""
    return np.hypot(u - centre_u, v - centre_v) - radius


def limb(u: np.ndarray, v: np.ndarray, u0: float, v0: float, u1: float, v1: float, radius: float) -> np.ndarray:
    """Returns the signed distance to a line from (u0, v0) to (u1, v1) of a half-thickness, with round ends."""
    du, dv = u1 - u0, v1 - v0
    t = np.clip(((u - u0) * du + (v - v0) * dv) / (du * du + dv * dv), 0, 1)
    return np.hypot(u - u0 - t * du, v - v0 - t * dv) - radius


def polygon(u: np.ndarray, v: np.ndarray, *corners: tuple[float, float]) -> np.ndarray:
    """Returns the signed distance (a lower bound outside) to a convex polygon of clockwise corners, v pointing up."""
    distance = np.full_like(u, -np.inf)
    for (u0, v0), (u1, v1) in zip(corners, corners[1:] + corners[:1], strict=True):
        du, dv = u1 - u0, v1 - v0
        distance = np.maximum(distance, (du * (v - v0) - dv * (u - u0)) / np.hypot(du, dv))
    return distance


def any_colour(rng: Generator, dark: float = 0.1, bright: float = 0.95, vivid: float = 0.0) -> np.ndarray:
    """Returns a colour of any hue, from grey (or, at the least, so vivid) to vivid."""
    value, saturation = rng.uniform(dark, bright), max(vivid, rng.uniform(0, 0.8) ** 1.3)
    hue = np.float32(np.clip(np.abs((rng.uniform(0, 6) + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1))
    return np.float32(value) * (1 - np.float32(saturation) * (1 - hue))


def between(rng: Generator, first: Colour, second: Colour, jitter: float = 0.05) -> np.ndarray:
    """Returns a colour on the way from one to another, with each channel a little off."""
    t = rng.uniform()
    colour = np.float32(first) * (1 - t) + np.float32(second) * t + rng.normal(0, jitter, 3)
    return np.clip(colour, 0.02, 1).astype(np.float32)


def grey(factor: np.ndarray) -> np.ndarray:
    """Returns brightness factors (...) as what multiplies colours (..., 3)."""
    return factor[..., None]
