"""How one toy scene is drawn: the backdrop, the things on it from the furthest to the nearest, the photograph."""

import numpy as np

from .backdrop import draw_ground, draw_mountains, draw_sky
from .canvas import Scene, grey
from .objects import (
    draw_building,
    draw_bus,
    draw_car,
    draw_fence,
    draw_person,
    draw_rock,
    draw_sign,
    draw_tree,
)

# What may stand in a scene: how it is drawn, how many at most, the chance of any, nearest and furthest in metres.
THINGS = (
    (draw_building, 3, 0.6, 12, 30), (draw_tree, 3, 0.6, 6, 16), (draw_fence, 1, 0.45, 5, 9),
    (draw_rock, 2, 0.45, 3, 6), (draw_bus, 1, 0.5, 7, 11), (draw_car, 2, 0.6, 4, 7),
    (draw_person, 3, 0.6, 3, 5), (draw_sign, 2, 0.55, 3, 5.5))


def draw_scene(rng, size):
    """Draws one scene.

    Args:
        rng (np.random.Generator): Decides everything; the same state gives the same scene, bit by bit.
        size (int): Side of the picture in pixels.

    Returns:
        tuple: The image, uint8 (size, size, 3) in RGB order, and the labels, uint8 (size, size): 0 is unlabelled,
        k is `CLASSES[k - 1]`.
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
        draw(scene, x, depth)
    return develop(scene), scene.label


def develop(scene):
    """The photograph: a colour cast and brightness for the time of day, uneven light, sensor noise; uint8."""
    rng = scene.rng
    warm = rng.normal(0, 0.07)
    cast = np.float32([1 + warm, 1 + rng.normal(0, 0.03), 1 - warm]) * np.float32(rng.uniform(0.75, 1.1))
    light = 0.85 + 0.3 * scene.noise(scene.columns / scene.size * 2, scene.rows / scene.size * 2, 1)
    image = np.clip(scene.image, 0, 1) * cast * grey(light)
    image = np.clip(image, 0, 1) ** np.float32(rng.uniform(0.75, 1.2))
    image += rng.normal(0, rng.uniform(0.01, 0.02), image.shape).astype(np.float32)
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
