"""How one toy scene is drawn: the backdrop, the things on it from the furthest to the nearest, the photograph."""
from contextlib import suppress

import numpy as np
from numpy.random import Generator

from . import objects
from .backdrop import draw_ground, draw_mountains, draw_sky
from .canvas import OutOfSight, Scene, grey

# What may stand in a scene: how it is drawn, how many at most, the chance of any, nearest and furthest in metres.
THINGS = (
    (objects.draw_building, 3, 0.6, 12, 30), (objects.draw_tree, 3, 0.6, 6, 16), (objects.draw_fence, 1, 0.45, 5, 9),
    (objects.draw_rock, 2, 0.45, 3, 6), (objects.draw_bus, 1, 0.5, 7, 11), (objects.draw_car, 2, 0.6, 4, 7),
    (objects.draw_person, 3, 0.6, 3, 5), (objects.draw_sign, 2, 0.55, 3, 5.5))


def draw_scene(rng: Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws one scene.

    Args:
        rng: Decides everything; the same state gives the same scene, bit by bit.
        size: Side of the picture in pixels.

    Returns:
        The image, uint8 (size, size, 3) in RGB order, and the labels, uint8 (size, size): 0 is unlabelled, k is
        `CLASSES[k - 1]`.
    """
    scene = Scene(rng, size)
    draw_sky(scene)
    if rng.random() < 0.65:
        draw_mountains(scene)
    draw_ground(scene)
    things = []
    for draw, most, chance, nearest, furthest in THINGS:
        if rng.random() < chance:
            for _ in range(rng.integers(1, most + 1)):
                depth = nearest * (furthest / nearest) ** rng.random()
                column = rng.uniform(0, size)
                things.append((depth, (column - scene.vanishing) * depth / scene.focal, draw))
    for depth, x, draw in sorted(things, key=lambda thing: -thing[0]):
        with suppress(OutOfSight):
            draw(scene, x, depth)
    film = Film(rng)
    return as_bytes(film.sensed(film.expose(scene.image, uneven_light(scene)), rng)), scene.label


class Film:
    """How a scene is photographed: a colour cast for the time of day, contrast and sensor noise.

    Args:
        rng: Decides all of them.
    """

    def __init__(self, rng: Generator):
        warm = rng.normal(0, 0.07)
        self.cast = np.float32([1 + warm, 1 + rng.normal(0, 0.03), 1 - warm]) * np.float32(rng.uniform(0.75, 1.1))
        self.gamma = np.float32(rng.uniform(0.75, 1.2))
        self.noise = rng.uniform(0.01, 0.02)

    def expose(self, image: np.ndarray, light: np.ndarray) -> np.ndarray:
        """Returns the picture before the sensor's noise, in [0, 1].

        Args:
            image: What is before the lens, float32 (H, W, 3).
            light: How much of it comes through, float32 (H, W).
        """
        return np.clip(np.clip(image, 0, 1) * self.cast * grey(light), 0, 1) ** self.gamma

    def sensed(self, image: np.ndarray, rng: Generator) -> np.ndarray:
        """Returns an exposed picture with the sensor's noise."""
        return image + rng.normal(0, self.noise, image.shape).astype(np.float32)


def uneven_light(scene: Scene) -> np.ndarray:
    """Returns how much light comes through the lens at each pixel of a scene's pictures, float32 (size, size)."""
    return 0.85 + 0.3 * scene.noise(scene.columns / scene.size * 2, scene.rows / scene.size * 2, 1)


def as_bytes(image: np.ndarray) -> np.ndarray:
    """Returns a picture in [0, 1] as uint8."""
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
