"""What a data set is: all that its config and its report are made of."""
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...datasets.balance.frequencies import class_weights
from .class_lists import Colour
from .pairs import Pair


@dataclass
class Summary:
    """A data set.

    Attributes:
        name: What it is called: its config, without ending.
        root: The folder that has all its files.
        layout: How these lie.
        classes: Names of the classes.
        palette: RGB colour of each.
        label_values: The label of each class in the files; None where that is its number.
        void_values: Labels that do not count, beside 255.
        reduce_zero_label: Whether labels are numbers from 1, and 0 is void.
        pairs: By split, `'train'`, `'val'` and perhaps `'test'`.
        counts: Of each split, pixels of the classes in each image, and of void in the last column (N, K + 1).
        sizes: Of each split, (height, width) of each image.
        edges: Of each split, see `looking.Look`.
        digests: Of each split, see there.
        bands: Channels of the images.
        dtype: Type of their numbers.
        takes_bands: Whether they are read by `LoadBands`.
        has_gaps: Whether files say which value is no data.
        mean: Of each band, over all pixels that train.
        std: Likewise.
        said: Sentences that tell what was seen.
    """
    name: str
    root: Path
    layout: str
    classes: list[str]
    palette: list[Colour]
    label_values: list[int] | None = None
    void_values: list[int] = field(default_factory=list)
    reduce_zero_label: bool = False
    pairs: dict[str, list[Pair]] = field(default_factory=dict)
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    sizes: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    edges: dict[str, list[float | None]] = field(default_factory=dict)
    digests: dict[str, list[str]] = field(default_factory=dict)
    bands: int = 3
    dtype: str = 'uint8'
    takes_bands: bool = False
    has_gaps: bool = False
    mean: Sequence[float] = ()
    std: Sequence[float] = ()
    said: list[str] = field(default_factory=list)

    @property
    def pixels(self) -> np.ndarray:
        """Pixels of each class that train (K,)."""
        return self.counts['train'][:, :-1].sum(0)

    @property
    def weights(self) -> list[float]:
        """Weights of classes for a loss, two digits each; see `datasets.balance.class_weights`."""
        return [round(float(weight), 2) for weight in class_weights(self.pixels)]
