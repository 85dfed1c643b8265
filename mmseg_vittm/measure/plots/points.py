"""What the Pareto plot shows: speeds of the benchmark joined with mIoUs of the metafiles."""
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import InputError
from ...stack import MMLogger
from .measurements import Measurement
from .metafiles import display_name


@dataclass(frozen=True)
class Point:
    """A config in the Pareto plot; `publisher` is None where the mIoU was measured."""
    name: str
    family: str
    fps: float
    miou: float
    publisher: str | None = None
    fps_iqr: tuple[float, float] | None = None


def parse_mious(options: Sequence[str], stems: Sequence[str]) -> dict[str, float]:
    """Reads options of the form STEM=VALUE, a measured mIoU in percent each.

    Args:
        options: The options.
        stems: Stems of the configs that were measured.

    Raises:
        InputError: One is of another form, names no such config or one twice, or is no number from 0 to 100.
    """
    mious = {}
    for option in options:
        stem, equals, text = option.rpartition('=')
        if not (stem and equals and text):
            raise InputError(f'miou={option}: must be CONFIG_STEM=VALUE, such as {stems[0]}=45.2')
        if stem not in stems:
            raise InputError(f'miou={option}: no config {stem!r} in the files; there are {", ".join(sorted(stems))}')
        if stem in mious:
            raise InputError(f'miou={option}: {stem} has {mious[stem]} already; give one value')
        try:
            mious[stem] = float(text)
        except ValueError:
            raise InputError(f'miou={option}: {text!r} is no number; give the mIoU in percent') from None
        if not 0 <= mious[stem] <= 100:
            raise InputError(f'miou={option}: {text} is not from 0 to 100; give the mIoU in percent')
    return mious


def make_points(measurements: Sequence[Measurement], metadata: dict[str, dict], mious: dict[str, float]) -> list[Point]:
    """Joins speeds with mIoUs, measured ones before published ones; logs which configs have neither.

    Args:
        measurements: What the benchmark measured.
        metadata: What `read_metafiles` returns.
        mious: What `parse_mious` returns.

    Raises:
        InputError: No config has an mIoU.
    """
    points, without = [], []
    for one in measurements:
        known = metadata.get(one.stem, {})
        miou = mious.get(one.stem, known.get('Published mIoU'))
        if miou is None:
            without.append(one.stem)
            continue
        publisher = None if one.stem in mious else known.get('Published By', 'publisher not named')
        family = known['Backbone'].split('-')[0] if 'Backbone' in known else 'other'
        name = display_name(one.stem, metadata) + one.variant
        points.append(Point(name, family, one.fps, miou, publisher, one.fps_iqr))
    without = list(dict.fromkeys(without))  # each once, in however many ways it was run
    wanted = ' '.join(f'{stem}=VALUE' for stem in without)
    if not points:
        raise InputError(f'no mIoU is known of {", ".join(without)}; give miou={wanted}')
    if without:
        MMLogger.get_current_instance().warning(
            f'Not in the Pareto plot, for want of an mIoU: {", ".join(without)}; give them as {wanted}')
    return points


def pareto_front(places: Sequence[tuple[float, float]]) -> list[int]:
    """Returns the indices of the (speed, mIoU) pairs that no other one dominates, by growing speed.

    A pair dominates another if it is at least as good in both and better in one; of equal pairs neither does.
    """
    front = [i for i, (fps, miou) in enumerate(places)
             if not any(f >= fps and m >= miou and (f, m) != (fps, miou) for f, m in places)]
    return sorted(front, key=lambda i: places[i])
