"""Configs whose images are read by LoadBands: what follows takes any bands, and all name one number of them."""
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from ...errors import InputError
from .parts import file_of

# Steps of MMSegmentation and MMCV that take 3 bands of 8 bits: they fail on others, or make nonsense of them. Pad, by
# OpenCV, fails beyond 4 bands; the data preprocessor pads any.
COLOURS = {'AdjustGamma', 'Albu', 'AutoContrast', 'Brightness', 'CLAHE', 'Color', 'ColorTransform', 'Contrast',
           'Equalize', 'Invert', 'Normalize', 'Pad', 'PhotoMetricDistortion', 'Posterize', 'RGB2Gray',
           'RandomGrayscale', 'Sharpness', 'Solarize', 'SolarizeAdd'}


def check_bands(cfg: Config, sections: tuple[str, ...]) -> None:
    """Checks pipelines that begin with LoadBands, and that the model takes so many bands.

    Args:
        cfg: The config.
        sections: Those of its sections that are read.

    Raises:
        InputError: A step takes colours of 8 bits alone, or the model another number of bands.
    """
    for name in sections:
        for steps in _pipelines(cfg.get(name)):
            for step in _steps(steps[1:]):
                if _kind(step) in COLOURS:
                    remedy = ('the data_preprocessor pads: leave it out' if _kind(step) == 'Pad' else
                              "leave it out, or take dict(type='BandJitter')")
                    raise InputError(f'{file_of(cfg)}: {name} reads images by LoadBands, which {_kind(step)}, for '
                                     f'colours of 8 bits, does not take; {remedy}')
            _check_count(cfg, name, steps[0])


def _check_count(cfg: Config, section: str, reader: dict) -> None:
    bands = reader.get('num_bands') or len(reader.get('bands') or ()) or None
    model = cfg.get('model') or {}
    taken = {'model.backbone.in_channels': (model.get('backbone') or {}).get('in_channels', 3)}
    mean = (model.get('data_preprocessor') or {}).get('mean')
    if isinstance(mean, (list, tuple)):
        taken['the numbers in model.data_preprocessor.mean'] = len(mean)
    for what, count in taken.items():
        if bands is not None and isinstance(count, int) and count != bands:
            raise InputError(f'{file_of(cfg)}: LoadBands of {section} gives {bands} bands, {what} are {count}; give '
                             'all the same number')


def _kind(step: Any) -> str:
    kind = step.get('type') if isinstance(step, dict) else None
    return (kind if isinstance(kind, str) else getattr(kind, '__name__', '')).split('.')[-1]


def _pipelines(node: Any) -> Iterator[list]:
    """Yields the lists in a section that begin with LoadBands."""
    if isinstance(node, (list, tuple)) and node and _kind(node[0]) == 'LoadBands':
        yield list(node)
        return
    values = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    for value in values:
        yield from _pipelines(value)


def _steps(node: Any) -> Iterator[dict]:
    """Yields the steps of a pipeline, and those within them."""
    if isinstance(node, dict) and 'type' in node:
        yield node
    values = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    for value in values:
        yield from _steps(value)
