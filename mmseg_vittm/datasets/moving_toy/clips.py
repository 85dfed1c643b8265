"""How one clip of the moving toy scenes is drawn, and what disturbs it."""
from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np
from numpy.random import SeedSequence

from ..toy.backdrop import draw_ground, draw_mountains, draw_sky
from ..toy.canvas import OutOfSight, Scene, View
from ..toy.drawing import Film, as_bytes, uneven_light
from .camera import camera_path
from .disturbances import Failures
from .occlusions import occlude
from .things import place_things

FINER = 2  # pixels drawn for one of a picture's, either way: fewer, and textures flicker where the camera moves


class Clip:
    """A scene before a moving camera, with nothing in the way.

    Everything that is random has a seed of its own, from which its generator is made anew for every frame: it looks the
    same in all of them.

    Args:
        seed: Decides everything; the same seed gives the same clip, bit by bit.
        size: Side of the square pictures in pixels.
        num_frames: Number of frames.
        motion: Factor on the speed of the camera and of things, at most 1; 0 is a still scene.
    """

    def __init__(self, seed: SeedSequence, size: int, num_frames: int, motion: float = 1.0):
        self.size = size * FINER  # as it is drawn
        self.layout, self.sky, self.mountains, self.ground, choices, things, film = seed.spawn(7)
        rng = np.random.default_rng(choices)
        self.path = camera_path(rng, self.blank().first, self.size, num_frames, motion)
        self.has_mountains = rng.random() < 0.65
        self.things = place_things(rng, things, self.path, self.blank, motion)
        self.film = Film(np.random.default_rng(film))
        self.light = uneven_light(Scene(np.random.default_rng(self.layout), size))

    def blank(self) -> Scene:
        """Returns an empty picture of the scene, which its first camera sees."""
        return Scene(np.random.default_rng(self.layout), self.size)

    def draw(self, frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draws one frame.

        Returns:
            What is before the lens, float32 (size, size, 3) in [0, 1]; the labels, uint8 (size, size); and which of
            `things` they are of, int16 (size, size); -1 is none.
        """
        scene, view = self.blank(), self.path[frame]
        scene.look(view)
        self._draw_backdrop(scene)
        owner = np.full((self.size, self.size), -1, np.int16)
        for index in self._from_the_furthest(frame, view):
            before = scene.label.copy()
            with suppress(OutOfSight):
                self.things[index].paint(scene, frame)
            owner[scene.label != before] = index
        label, thing = pooled(np.stack([scene.label, owner + 1]))
        return reduced(np.clip(scene.image, 0, 1)), label.astype(np.uint8), thing.astype(np.int16) - 1

    def _draw_backdrop(self, scene: Scene) -> None:
        scene.rng = np.random.default_rng(self.sky)
        draw_sky(scene)
        if self.has_mountains:
            scene.rng = np.random.default_rng(self.mountains)
            draw_mountains(scene)
        scene.rng = np.random.default_rng(self.ground)
        draw_ground(scene)

    def _from_the_furthest(self, frame: int, view: View) -> list[int]:
        def depth(index: int) -> float:
            return self.things[index].at(frame)[1]
        return sorted(range(len(self.things)), key=depth, reverse=True)


def reduced(image: np.ndarray) -> np.ndarray:
    """Returns a picture (size * FINER, size * FINER, 3) as (size, size, 3): means."""
    parts = _parts(np.moveaxis(image, -1, 0))
    return np.moveaxis(sum(parts[1:], parts[0]) / np.float32(len(parts)), 0, -1)


def pooled(maps: np.ndarray) -> np.ndarray:
    """Returns maps of numbers (..., size * FINER, size * FINER) as (..., size, size): 0 unless all of a pixel agree."""
    first, *others = _parts(maps)
    return np.where(np.logical_and.reduce([other == first for other in others]), first, 0)


def _parts(maps: np.ndarray) -> list[np.ndarray]:
    """Returns FINER * FINER maps (..., size, size): the pixels that are drawn for each one of a picture."""
    return [maps[..., row::FINER, column::FINER] for row in range(FINER) for column in range(FINER)]


def draw_clip(key: Sequence[int], size: int, num_frames: int, motion: float = 1.0,
              disturbed: bool = True) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Draws a clip frame by frame.

    Args:
        key: Numbers that decide everything: seed, split, number of the clip.
        size: Side of the square pictures in pixels.
        num_frames: Number of frames.
        motion: Factor on the speed of the camera and of things, at most 1; 0 is a still scene.
        disturbed: Whether anything hides parts of it, and exposure and sensor fail; without, the same scene is seen
            undisturbed, with the same noise.

    Yields:
        The image, uint8 (size, size, 3) in RGB order; the labels, uint8 (size, size): 0 is unlabelled, k is
        `CLASSES[k - 1]`, behind what hides them too; what is hidden, uint8 (size, size): 1, and else 0.
    """
    scenery, in_the_way, failing, *sensors = SeedSequence(key).spawn(3 + num_frames)
    clip = Clip(scenery, size, num_frames, motion)
    images, labels, owners = (np.stack(maps) for maps in zip(*map(clip.draw, range(num_frames)), strict=True))
    hidden = np.zeros((num_frames, size, size), bool)
    if disturbed:
        occlude(in_the_way, images, owners, hidden)
    failures = Failures(np.random.default_rng(failing), num_frames)
    for frame in range(num_frames):
        image = clip.film.expose(images[frame], clip.light)
        rng = np.random.default_rng(sensors[frame])
        if disturbed:
            image = failures.flicker(image, frame)
        image = clip.film.sensed(image, rng)
        if disturbed:
            image = failures.burst(image, frame, rng)
        yield as_bytes(image), labels[frame], hidden[frame].astype(np.uint8)
