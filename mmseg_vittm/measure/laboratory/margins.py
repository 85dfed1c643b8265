"""How much better a model is than plain ViTs of its speed."""
import math
from collections.abc import Sequence

from ..plots.points import pareto_front

Place = tuple[float, float]  # frames per second, mIoU


def front(places: Sequence[Place]) -> list[Place]:
    """Returns the places that no other one is faster and better than, by growing speed."""
    places = sorted(set(places))
    return [places[number] for number in pareto_front(places)]


def interpolated(places: Sequence[Place], fps: float) -> float | None:
    """Returns the mIoU of a front of models at a speed: linear in the logarithm of the speed between two of them.

    Slower than all, it is that of the slowest, which may be taken there too; faster than all there is none.

    Args:
        places: The front's models.
        fps: The speed.
    """
    along = front(places)
    if not along or fps > along[-1][0]:
        return None
    if fps <= along[0][0]:
        return along[0][1]
    (slow, high), (fast, low) = next((one, other) for one, other in zip(along, along[1:], strict=False)
                                     if one[0] <= fps <= other[0])
    part = math.log(fps / slow) / math.log(fast / slow)
    return high + part * (low - high)


def best_as_fast(places: Sequence[Place], fps: float) -> float | None:
    """Returns the mIoU of the best model that is at least as fast, None where none is: the strict reading."""
    return max((miou for speed, miou in places if speed >= fps), default=None)


def margins(miou: dict[int, float], fps: float, others: Sequence[tuple[dict[int, float], float]]) -> dict | None:
    """Returns how much better a model is than a front at its speed, in points of mIoU.

    Args:
        miou: Of the model, by seed.
        fps: Its speed.
        others: mIoU by seed, and speed, of the front's models.

    Returns:
        By `'interpolated'` and `'strict'`: `seeds`, the margin of each seed that all models of the front have too, and
        `mean`, that of the models' mean mIoUs over these seeds; None where nothing of the front is that fast. The whole
        is None where there is nothing to compare.
    """
    seeds = sorted(set(miou).intersection(*(scores for scores, _ in others))) if others else []
    if not seeds:
        return None
    found = {}
    for name, reading in dict(interpolated=interpolated, strict=best_as_fast).items():
        by_seed = {seed: reading([(speed, scores[seed]) for scores, speed in others], fps) for seed in seeds}
        mean = reading([(speed, _mean(scores, seeds)) for scores, speed in others], fps)
        found[name] = dict(mean=None if mean is None else _mean(miou, seeds) - mean,
                           seeds={seed: None if base is None else miou[seed] - base for seed, base in by_seed.items()})
    return found


def _mean(scores: dict[int, float], seeds: Sequence[int]) -> float:
    return sum(scores[seed] for seed in seeds) / len(seeds)
