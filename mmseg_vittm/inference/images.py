"""Images of every kind that users have, as the arrays that MMSegmentation's pipelines work on."""
import contextlib
import os

import numpy as np
from PIL import Image, ImageOps

from ..datasets.bands.load_bands import LoadBands
from ..datasets.bands.reading import check_bands, preview, read_with_nodata
from ..datasets.image_files import decode, read_file
from ..errors import InputError, one_line

Source = str | os.PathLike | bytes | np.ndarray | Image.Image
CHANNEL_ORDERS = ('bgr', 'rgb')
DEEP_MODES = ('I', 'F')  # of Pillow, with I;16 and the like: more than 8 bits, which it would clip


def as_bgr(source: Source, name: str, channel_order: str = 'bgr', color_type: str = 'color',
           backend: str = 'cv2') -> np.ndarray:
    """Returns an image as MMSegmentation's `LoadImageFromFile` would from a file of it.

    Args:
        source: A path, the bytes of an image file, a Pillow image of any mode, or an array: gray (H, W) or (H, W, 1),
            colour (H, W, 3), or colour with alpha (H, W, 4). Arrays hold bool, integers 0 to 255, uint16 over its
            whole range, or floats 0 to 255, which are rounded.
        name: What errors call it.
        channel_order: `'bgr'` or `'rgb'`: of arrays with colour.
        color_type: `'color'` turns the image as its EXIF orientation says, files and Pillow images alike;
            `'color_ignore_orientation'` does not.
        backend: MMCV's decoder of files: `'cv2'`, `'pillow'` and others.

    Returns:
        (H, W, 3) uint8 BGR, in memory of its own. Alpha is dropped, gray repeated, and of 16 bits the upper 8 are
        taken, all as OpenCV does on files.

    Raises:
        InputError: The image cannot be read, is none of these kinds, or holds other values.
    """
    if isinstance(source, (str, os.PathLike)):
        return _from_file(source, name, color_type, backend)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_bytes(bytes(source), name, color_type, backend)
    if isinstance(source, Image.Image):
        return _from_pillow(source, name, oriented=color_type == 'color')
    if isinstance(source, np.ndarray):
        return _from_array(np.asarray(source), name, channel_order)
    raise InputError(f'{name}: cannot take a {type(source).__name__} as an image; give a path, the bytes of an image '
                     'file, a NumPy array or a Pillow image')


def as_bands(source: Source, name: str, reader: LoadBands) -> tuple[np.ndarray, np.ndarray]:
    """Returns an image as `LoadBands` would from a file of it, and one to look at.

    Args:
        source: A path, or an array (H, W, C) or (H, W) of the bands that the file would have, in their order.
        name: What errors call it.
        reader: The step of the pipeline.

    Returns:
        (H, W, C) float32, and (H, W, 3) uint8 RGB, a `preview`.

    Raises:
        InputError: The image cannot be read, is none of these kinds, or has other bands or no finite numbers.
    """
    if isinstance(source, (str, os.PathLike)):
        image, nodata = read_with_nodata(_expanded(source, name), reader.bands)
    elif isinstance(source, np.ndarray):
        image, nodata = np.asarray(source), None
        if image.ndim not in (2, 3) or 0 in image.shape or image.dtype.kind not in 'buif':
            raise InputError(f'{name}: an array must be numbers of the shape (H, W) or (H, W, bands), got '
                             f'{image.dtype} of {image.shape}')
        image = image.reshape(*image.shape[:2], -1)
        check_bands(name, reader.bands, image.shape[2])
        image = image if reader.bands is None else image[..., reader.bands]
    else:
        raise InputError(f'{name}: cannot take {type(source).__name__} where test_pipeline begins with LoadBands; give '
                         'a path, or an array (H, W, bands)')
    found = reader.checked(image, nodata, name)
    return found, preview(image if image.dtype == np.uint8 else found)


def _expanded(path: str | os.PathLike, name: str) -> str | os.PathLike:
    if not os.fspath(path):
        raise InputError(f'{name}: its path is empty')
    if not os.path.lexists(path):  # a file whose name begins with ~ goes by its name
        with contextlib.suppress(ValueError):  # what is no name, reading it names
            path = os.path.expanduser(path)
    return path


def _from_file(path: str | os.PathLike, name: str, color_type: str, backend: str) -> np.ndarray:
    path = _expanded(path, name)
    try:
        content = read_file(path, dict(backend='local'))  # what looks like a URL is not fetched
    except MemoryError as error:
        raise InputError(f'{name}: cannot be read ({one_line(error)})') from error
    return _from_bytes(content, name, color_type, backend)


def _from_bytes(content: bytes, name: str, color_type: str, backend: str) -> np.ndarray:
    try:
        return decode(content, name, color_type, backend)
    except (ImportError, MemoryError) as error:
        raise InputError(f'{name}: cannot be read as an image ({one_line(error)})') from error


def _from_pillow(image: Image.Image, name: str, oriented: bool) -> np.ndarray:
    if 0 in image.size:
        raise InputError(f'{name}: it has no pixels, its size is {image.width} x {image.height}')
    try:
        image = ImageOps.exif_transpose(image) if oriented else image
        if not image.mode.startswith(DEEP_MODES):
            image = (image.convert('RGBA') if image.mode == 'RGBa' else image).convert('RGB')
        array = np.asarray(image)
    except Exception as error:  # of a lazily read file, whatever its decoder raises
        raise InputError(f'{name}: cannot be read as an image ({one_line(error)})') from error
    return _from_array(array, name, 'rgb')


def _from_array(array: np.ndarray, name: str, channel_order: str) -> np.ndarray:
    shape = array.shape
    if array.ndim not in (2, 3) or array.ndim == 3 and shape[2] not in (1, 3, 4):
        raise InputError(f'{name}: an array must have the shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), channels '
                         f'last, got {shape}')
    if 0 in shape:
        raise InputError(f'{name}: it has no pixels, its shape is {shape}')
    array = np.repeat(array.reshape(shape[:2] + (-1, ))[..., :1], 3, axis=2) if shape[2:] in ((), (1, )) else array
    array = _to_range(array[..., :3], name)
    return np.array(array[..., ::-1] if channel_order == 'rgb' else array, order='C')


def _to_range(array: np.ndarray, name: str) -> np.ndarray:
    """Returns pixels as uint8."""
    kind = array.dtype
    if kind.kind not in 'buif':
        raise InputError(f'{name}: pixels must be numbers, uint8 best, got dtype {kind}')
    if kind == np.uint8:
        return array
    if kind.kind == 'b':
        return array * np.uint8(255)
    if kind.kind == 'u' and kind.itemsize == 2:
        return (array >> 8).astype(np.uint8)
    if kind.kind == 'f' and not np.isfinite(array).all():
        raise InputError(f'{name}: it has pixels that are NaN or infinite')
    least, most = array.min(), array.max()
    if least < 0 or most > 255:
        raise InputError(f'{name}: {kind} pixels must be from 0 to 255, these are from {least} to {most}')
    if kind.kind == 'f' and 0 < most <= 1:
        raise InputError(f'{name}: {kind} pixels must be from 0 to 255, these seem to be from 0 to 1; multiply by 255')
    return (np.round(array) if kind.kind == 'f' else array).astype(np.uint8)
