"""What stands and moves in a moving toy scene, and where it is in each frame."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator, SeedSequence

from ..toy import objects
from ..toy.canvas import Scene, View
from ..toy.drawing import THINGS

MOVERS = (objects.draw_car, objects.draw_bus, objects.draw_person)  # they return which way they face


@dataclass(frozen=True)
class Thing:
    """One thing of a clip.

    Attributes:
        draw: What draws it.
        seed: Of the generator that decides how it looks, made anew for every frame.
        x: Metres to the right of where the camera first stood, at frame `moment`.
        depth: Metres ahead of there, at frame `moment`.
        moment: A frame in which its middle is in view, if nothing hides it.
        drift: Metres that it moves to the right and ahead in a frame.
    """
    draw: Callable[[Scene, float, float], int | None]
    seed: SeedSequence
    x: float
    depth: float
    moment: int
    drift: tuple[float, float] = (0.0, 0.0)

    def at(self, frame: int) -> tuple[float, float]:
        """Returns its x and depth in a frame."""
        past = frame - self.moment
        return self.x + self.drift[0] * past, self.depth + self.drift[1] * past

    def paint(self, scene: Scene, frame: int) -> int | None:
        """Draws it as it is in a frame; returns which way it faces, of what can move."""
        scene.rng = np.random.default_rng(self.seed)
        return self.draw(scene, *self.at(frame))


def place_things(rng: Generator, seed: SeedSequence, path: Sequence[View], blank: Callable[[], Scene],
                 motion: float = 1.0) -> list[Thing]:
    """Returns the things of a clip: as many as in a still toy scene, each in view in some frame.

    Of cars, buses and persons, six in ten move on their own, the way they face, by 0.3 to 1.6 pixels a frame in a
    picture of 128.

    Args:
        rng: Decides which, where and how fast.
        seed: Parent of the things' own seeds.
        path: The camera's view in each frame.
        blank: Makes an empty picture of the scene.
        motion: Factor on their speeds.
    """
    things = []
    closest = max(view.ahead for view in path)
    size = blank().size
    for draw, most, chance, nearest, furthest in THINGS:
        if rng.random() >= chance:
            continue
        for _ in range(rng.integers(1, most + 1)):
            moment = int(rng.integers(len(path)))
            view = path[moment]
            # So far away that the camera, where it goes furthest ahead, comes as close as to a still scene's.
            depth = nearest * (furthest / nearest) ** rng.random() + closest
            scale = view.focal / (depth - view.ahead)
            x = (rng.uniform(0, size) - view.vanishing) / scale + view.right
            thing = Thing(draw, seed.spawn(1)[0], x, depth, moment)
            if draw in MOVERS and rng.random() < 0.6:
                thing = _set_going(thing, rng.uniform(0.3, 1.6) * motion * size / 128 / scale, blank(), view)
            things.append(thing)
    return things


def _set_going(thing: Thing, speed: float, scene: Scene, view: View) -> Thing:
    """Returns a thing that moves so many metres a frame the way it faces; drawing it tells which way that is."""
    scene.look(view)
    way = thing.paint(scene, thing.moment)
    return replace(thing, drift=(way * speed, 0.0) if way else (0.0, speed))
