"""Label files of every kind that users have: indices, colours, deep numbers."""
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ...datasets.bands.reading import is_raster, read_bands
from ...datasets.image_files import AGAIN, damage, read_file
from ...errors import DataError, one_line

INDEX, DEEP, GREY, COLOUR = 'index', 'deep', 'grey', 'colour'
MOST_VALUES = 4096  # different ones in a file that is told to be labels


class LabelFile(NamedTuple):
    """A label file.

    Attributes:
        kind: `INDEX`, as MMSegmentation reads it; `DEEP`, numbers that it does not read right (16 bits, grey with
            alpha); `GREY`, which is RGB without colour; or `COLOUR`.
        labels: (H, W) whole numbers; colours as 0xRRGGBB, transparent ones -1.
        palette: (256, 3) colours of a file with a palette, else None.
    """
    kind: str
    labels: np.ndarray
    palette: np.ndarray | None = None


def read_label(path: str | Path) -> LabelFile:
    """Reads a label file.

    Raises:
        DataError: It is a JPEG, damaged, or holds no labels.
    """
    name = str(path)
    content = read_file(name)
    if content[:2] == b'\xff\xd8':
        raise DataError(name, 'a JPEG, which changes labels where they meet', 'save labels as PNG, from where they '
                        'were drawn')
    problem = damage(content)
    if problem:
        raise DataError(name, problem, AGAIN)
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            return _from_pillow(image, name)
    except DataError:
        raise
    except Exception as error:  # decoders raise what they like
        if not is_raster(name):
            raise DataError(name, f'cannot be read as labels ({one_line(error)})', AGAIN) from error
    bands = read_bands(name)  # a TIFF of a kind that Pillow does not know
    if bands.shape[2] != 1 or bands.dtype.kind not in 'iub':
        raise DataError(name, f'{bands.shape[2]} bands of {bands.dtype}', 'save class indices as a PNG of one channel')
    return LabelFile(DEEP, bands[..., 0].astype(np.int64))


def _from_pillow(image: Image.Image, name: str) -> LabelFile:
    array = np.asarray(image)
    if image.mode == 'P':
        palette = np.zeros((256, 3), np.uint8)
        given = np.asarray(image.getpalette('RGB'), np.uint8).reshape(-1, 3)
        palette[:len(given)] = given
        return LabelFile(INDEX, array, palette)
    if image.mode in ('L', '1'):
        return LabelFile(INDEX, array.astype(np.uint8))
    if image.mode.startswith('I') and array.ndim == 2:
        return LabelFile(DEEP, array.astype(np.int64))
    if image.mode == 'LA':
        return LabelFile(DEEP, array[..., 0].astype(np.int64))
    if image.mode not in ('RGB', 'RGBA'):
        raise DataError(name, f'an image of mode {image.mode}', 'save class indices as a PNG of one channel')
    if (array[..., :3] == array[..., :1]).all():
        return LabelFile(GREY, array[..., 0].astype(np.int64))
    colours = array[..., 0].astype(np.int64) << 16 | array[..., 1].astype(np.int64) << 8 | array[..., 2]
    if image.mode == 'RGBA':
        colours[array[..., 3] == 0] = -1
    return LabelFile(COLOUR, colours)


def as_colour(grey: np.ndarray | int) -> np.ndarray | int:
    """Returns the colours of grey values, as 0xRRGGBB."""
    return grey << 16 | grey << 8 | grey


def counted(label: LabelFile, name: str) -> dict[int, int]:
    """Returns the pixels of each value of a label file.

    Raises:
        DataError: It has more values than any labels.
    """
    if label.kind == INDEX:
        counts = np.bincount(label.labels.ravel(), minlength=256)
        return {int(value): int(counts[value]) for value in counts.nonzero()[0]}
    values, counts = np.unique(label.labels, return_counts=True)
    if len(values) > MOST_VALUES:
        what = 'colours' if label.kind == COLOUR else 'values'
        raise DataError(name, f'{len(values)} different {what}: this is no label', 'give the folder of the labels')
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
