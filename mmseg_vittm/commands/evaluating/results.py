"""Results of an evaluation: what was found, on what, and the files that say so."""
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import printable
from ...evaluation.details import Details
from ...evaluation.worst import Thumbnail

FIGURES = tuple(f'{name}.{ending}' for name in ('confusion', 'reliability') for ending in ('svg', 'png'))
REPORT, CLASSES, SCORES, WORST = 'report.html', 'classes.csv', 'scores.json', 'worst.jpg'
FILES = (REPORT, CLASSES, SCORES, WORST, *FIGURES)
DIGITS = 2  # of percentages


@dataclass(frozen=True, eq=False)
class Results:
    """What an evaluation found.

    Attributes:
        config: The config's file.
        checkpoint: The checkpoint.
        split: `'val'` or `'test'`.
        details: All that was counted.
        worst: The worst images, the worst first.
        palette: One RGB colour per class.
        is_bgr: Whether the inputs of pictures have blue first.
        boundary: Width of the boundary bands as a share of the image's diagonal.
        conditions: Where and how it was computed.
        left_out: Images that the data set leaves out because they are bad.
    """
    config: str
    checkpoint: str
    split: str
    details: Details
    worst: Sequence[Thumbnail] = field(repr=False)
    palette: Sequence[Sequence[int]] = field(repr=False)
    is_bgr: bool
    boundary: float
    conditions: dict
    left_out: Sequence[str] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.details.classes

    def short_name(self, path: str) -> str:
        """Returns the path of an image below the folder that holds all of them, as a text."""
        folders = {os.path.dirname(os.path.abspath(image.name)) for image in self.details.images}
        return printable(Path(os.path.relpath(os.path.abspath(path), os.path.commonpath(folders))).as_posix())


def percent(value: float, digits: int = DIGITS) -> str:
    """Returns a share as a percentage without its sign; nothing for NaN."""
    return '' if value != value else f'{100 * value:.{digits}f}'
