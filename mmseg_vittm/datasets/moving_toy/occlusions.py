"""What gets in the way of a moving toy scene: foreign bodies close to the lens, which hide things for some frames."""
from dataclasses import replace

import numpy as np
from numpy.random import Generator, SeedSequence

from .bodies import Body, any_body

FRAMES, GAPS = (3, 8), (2, 4)  # how long something is in the way, and how long nothing is: least, most
CLEAR = 2  # frames at the beginning of a clip that nothing hides
SHARES = (0.10, 0.35)  # of the picture, hidden in an affected frame
AIMED = 0.85  # share of bodies that are put before a thing
TRIES = 10
NOTHING = -2  # which no pixel shows
MOST = 0.6  # of the thing that a body is put before: hides it well enough


def occlude(seed: SeedSequence, images: np.ndarray, owners: np.ndarray, hidden: np.ndarray) -> None:
    """Paints foreign bodies over the frames of a clip.

    Args:
        seed: Decides them.
        images: The frames, float32 (frames, size, size, 3); painted over in place.
        owners: Which thing is seen where, int16 (frames, size, size); -1 is none.
        hidden: bool (frames, size, size), set to True in place where something is in the way.
    """
    rng = np.random.default_rng(seed)
    frame = int(rng.integers(CLEAR, GAPS[1] + 2))
    while frame + FRAMES[0] <= len(images):
        run = range(frame, min(frame + int(rng.integers(FRAMES[0], FRAMES[1] + 1)), len(images)))
        body = choose_body(rng, seed, owners, hidden, run)
        for time in run:
            hidden[time] = body.paint(images[time], time)
        frame = run.stop + int(rng.integers(GAPS[0], GAPS[1] + 1))


def choose_body(rng: Generator, seed: SeedSequence, owners: np.ndarray, hidden: np.ndarray, run: range) -> Body:
    """Returns a body that hides a right share of each frame of a run, mostly before a thing that was seen before.

    Of some bodies at random, the first that hides most of the thing it is put before; failing that, the one that hides
    the most of it; failing that, one that stays in the middle of the picture, of the right size.
    """
    size = owners.shape[1]
    grid = Grid(size)
    best, most = None, -1.0
    for _ in range(TRIES):
        thing = _seen_before(rng, owners, hidden, run) if rng.random() < AIMED else None
        body = any_body(rng, seed.spawn(1)[0], size, run, _middle(rng, owners, thing, run))
        body = _fitted(body, grid, rng.uniform(0.14, 0.32), run)
        masks = np.stack([body.covers(grid.columns, grid.rows, time) for time in run])
        shares = masks.mean((1, 2))
        # The grid is coarse: hold some distance from the limits.
        if shares.min() < SHARES[0] + 0.015 or shares.max() > SHARES[1] - 0.015:
            continue
        aim = grid.thin(owners[run.start:run.stop]) == (NOTHING if thing is None else thing)
        covered = masks[aim].mean() if aim.any() else 1.0
        if covered > most:
            best, most = body, covered
        if most > MOST:
            break
    if best is None:
        still = Body('blob', seed.spawn(1)[0], size / 2, size / 2, 0.0, 0.0, run[0], 0.0, 1.0)
        best = _fitted(still, grid, 0.2, run)
    return best


class Grid:
    """Some of the pixels of a picture, enough to measure areas.

    Args:
        size: Side of the square picture in pixels.

    Attributes:
        rows: Of their middles, float32 (n, n).
        columns: Likewise.
    """

    def __init__(self, size: int):
        self.step = max(size // 48, 1)
        self.rows, self.columns = self.thin(np.mgrid[0:size, 0:size].astype(np.float32) + 0.5)

    def thin(self, maps: np.ndarray) -> np.ndarray:
        """Returns these pixels of maps (..., size, size)."""
        return maps[..., self.step // 2::self.step, self.step // 2::self.step]


def _seen_before(rng: Generator, owners: np.ndarray, hidden: np.ndarray, run: range) -> int | None:
    """Returns one of the things that a run of frames shows, and that at least two frames before it showed."""
    size, middle = owners.shape[1], run[len(run) // 2]
    least = 0.006 * size * size
    there = np.flatnonzero(np.bincount(owners[middle][owners[middle] >= 0], minlength=1) >= least)
    seen = [thing for thing in there
            if sum(((owners[time] == thing) & ~hidden[time]).sum() >= least for time in range(run.start)) >= 2]
    return int(rng.choice(seen)) if seen else None


def _middle(rng: Generator, owners: np.ndarray, thing: int | None, run: range) -> tuple[float, float]:
    """Returns column and row about which a body is put: a thing's middle, or any."""
    size, frame = owners.shape[1], run[len(run) // 2]
    column, row = rng.uniform(0.2 * size, 0.8 * size, 2)
    if thing is not None:
        rows, columns = np.nonzero(owners[frame] == thing)
        column, row = columns.mean() + 0.5, rows.mean() + 0.5
    return float(column), float(row)


def _fitted(body: Body, grid: Grid, share: float, run: range) -> Body:
    """Returns the body in the size at which it hides a share of the picture in the middle of a run."""
    low, high = 0.02 * grid.step * len(grid.rows), 2.0 * grid.step * len(grid.rows)
    for _ in range(9):
        radius = (low * high) ** 0.5
        body = replace(body, radius=radius)
        covered = body.covers(grid.columns, grid.rows, run[len(run) // 2]).mean()
        low, high = (radius, high) if covered < share else (low, radius)
    return body
