"""Every image and label looked at: what they hold, and what is wrong with them."""
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import cv2
import numpy as np

from ...datasets.bands.reading import is_empty, is_raster, raster_info, read_bands, read_with_nodata
from ...datasets.crash_proof import Died, run_in_processes
from ...datasets.image_files import AGAIN, damage, decode, read_file
from ...datasets.survey import Fault, check_said, decoder_says
from ...errors import DataError, InputError, one_line
from .label_files import INDEX, counted, read_label
from .pairs import Pair
from .polygons import Drawing, draw

EDGE_SIDE = 256  # pixels of the longer side at which borders of labels are compared with those of images


@dataclass
class Look:
    """What a pair holds.

    Attributes:
        size: (height, width) of the image.
        bands: Channels of the image, as the file has them.
        dtype: Type of their numbers.
        sums: Of each band: its pixels with data, their sum, and that of their squares (3, C).
        digest: Of the image's bytes; of the same images the same.
        has_gaps: Whether its file says which value is no data.
        kind: Of label file, see `label_files`.
        counts: Pixels of each value of the label.
        palette: Colours of a label file with a palette.
        edges: How much stronger the image's edges are along the labels' borders than elsewhere; None where there are
            no borders.
    """
    size: tuple[int, int] = (0, 0)
    bands: int = 3
    dtype: str = 'uint8'
    sums: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    digest: str = ''
    has_gaps: bool = False
    kind: str = INDEX
    counts: dict[int, int] = field(default_factory=dict)
    palette: np.ndarray | None = None
    edges: float | None = None


@dataclass
class Looks:
    """What all pairs hold.

    Attributes:
        pairs: The pairs.
        looks: At each pair, in their order; None where something is wrong.
        faults: What is wrong.
    """
    pairs: list[Pair]
    looks: list[Look | None]
    faults: list[Fault]

    def places(self) -> dict[int, str]:
        """Returns the values of labels, each with a file that has it: the one with most of it."""
        best: dict[int, tuple[int, str]] = {}
        for one, look in zip(self.pairs, self.looks, strict=True):
            for value, count in (look.counts if look else {}).items():
                if count > best.get(value, (0, ''))[0]:
                    best[value] = count, str(one.label or one.image)
        return {value: name for value, (_, name) in sorted(best.items())}


def look_at(one: Pair, drawing: Drawing | None, source: str) -> Look:
    """Looks at a pair.

    Args:
        one: The pair.
        drawing: Its label, where that is drawn from polygons.
        source: The file of these.

    Raises:
        DataError: Something is wrong with it.
    """
    image, nodata, digest = _read_image(one)
    has_gaps = nodata is not None and any(value is not None for value in nodata)
    empty = has_gaps and np.stack([is_empty(image[..., band], value) for band, value in enumerate(nodata)], axis=2)
    look = Look(image.shape[:2], image.shape[2], str(image.dtype), _sums(image, empty, one), digest, has_gaps)
    if drawing is not None:
        labels = draw(drawing, look.size, source)
        look.counts = {int(value): int(count) for value, count in zip(*np.unique(labels, return_counts=True),
                                                                      strict=True)}
    else:
        label = read_label(one.label)
        labels = label.labels
        if labels.shape != look.size:
            raise DataError(str(one.label), f'the label is {labels.shape[1]} x {labels.shape[0]} pixels, its image '
                            f'{one.image} {look.size[1]} x {look.size[0]}', 'give both the same size')
        look.kind, look.palette, look.counts = label.kind, label.palette, counted(label, str(one.label))
    look.edges = edge_ratio(image, labels, empty)
    return look


def _read_image(one: Pair) -> tuple[np.ndarray, Sequence[float | None] | None, str]:
    """Returns an image (H, W, C) with all its bands, the value of each band that is no data, and a digest."""
    name = str(one.image)
    content = read_file(name)
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    if is_raster(name):
        raster_info(name)  # whose bands are of one type
        return *read_with_nodata(name), digest
    problem = damage(content)
    if problem:
        raise DataError(name, problem, AGAIN)
    if content[:2] != b'\xff\xd8':
        return read_bands(name), None, digest
    with decoder_says() as said:
        image = decode(content, name, 'color', 'cv2')[..., ::-1]
    check_said(said, name)
    return image, None, digest


def _sums(image: np.ndarray, empty: np.ndarray | Literal[False], one: Pair) -> np.ndarray:
    """Returns `Look.sums` of an image (H, W, C), without the pixels that are `empty`, likewise, where there are any."""
    found = np.zeros((3, image.shape[2]))
    for band in range(image.shape[2]):
        pixels = image[..., band]
        pixels = (pixels.ravel() if empty is False else pixels[~empty[..., band]]).astype(np.float64)
        if not np.isfinite(pixels).all():
            raise DataError(str(one.image), f'band {band} has pixels that are NaN or infinite', 'replace them by '
                            'numbers, or say in the file that they are no data')
        found[:, band] = len(pixels), pixels.sum(), pixels @ pixels
    return found


def edge_ratio(image: np.ndarray, labels: np.ndarray, empty: np.ndarray | Literal[False] = False) -> float | None:
    """Returns how much stronger an image's edges are along its labels' borders than in the mean; about 1 by chance.

    Args:
        image: (H, W, C).
        labels: (H, W).
        empty: Which of the image's numbers are no data, (H, W, C) bool; what lies at such counts nowhere.

    Returns:
        None where there are no borders, or no edges.
    """
    factor = min(1.0, EDGE_SIDE / max(labels.shape))
    size = max(3, round(labels.shape[1] * factor)), max(3, round(labels.shape[0] * factor))
    pixels = np.nan_to_num(image.astype(np.float32))
    counts = np.ones(size[::-1], bool)
    if empty is not False:
        pixels[empty] = 0
        hidden = cv2.resize(empty.any(2).astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        counts = cv2.dilate(hidden.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    grey = cv2.resize(pixels.mean(2), size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(labels.astype(np.float64), size, interpolation=cv2.INTER_NEAREST)
    border = np.zeros(small.shape, bool)
    border[:, 1:] |= small[:, 1:] != small[:, :-1]
    border[1:] |= small[1:] != small[:-1]
    border &= counts
    strength = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    if not border.any():
        return None
    mean = float(strength[counts].mean())
    return float(strength[border].mean()) / mean if mean > 0 else None


def _look_at_number(pairs: Sequence[Pair], drawings: Sequence[Drawing] | None, sources: Sequence[str],
                    number: int) -> Look | Fault:
    cv2.setNumThreads(0)  # there is a process per core already
    one = pairs[number]
    try:
        return look_at(one, drawings[number] if drawings else None, sources[number] if drawings else '')
    except DataError as error:
        return Fault.of(error, str(one.image))
    except InputError as error:  # such as a package that is missing
        return Fault(str(one.image), str(error), '')
    except Exception as error:  # a decoder may raise anything, and must not end the look at all other files
        return Fault(str(one.image), f'cannot be looked at ({one_line(error)})', 'correct the image or its label')


def look_at_all(pairs: Sequence[Pair], drawings: Sequence[Drawing] | None, sources: Sequence[str], workers: int,
                progress: Callable[[int, int, str], None]) -> Looks:
    """Looks at all pairs, in processes.

    Args:
        pairs: The pairs.
        drawings: Their labels, where these are drawn from polygons.
        sources: The file of each drawing.
        workers: Number of processes.
        progress: Is called after every pair with the number done, that of all, and what goes on.
    """
    looks: list[Look | None] = [None] * len(pairs)
    faults: dict[int, Fault] = {}
    task = partial(_look_at_number, list(pairs), drawings, sources)
    for done, (number, result) in enumerate(run_in_processes(task, len(pairs), workers), 1):
        if isinstance(result, Died):
            result = Fault(str(pairs[number].image), f'reading it, or its label, ends the process ({result.reason})',
                           AGAIN)
        if isinstance(result, Fault):
            faults[number] = result
        else:
            looks[number] = result
        progress(done, len(pairs), 'looking at images and labels')
    return Looks(list(pairs), looks, [faults[number] for number in sorted(faults)])
