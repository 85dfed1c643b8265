"""Images of any number of bands and any type of number, as arrays; GeoTIFF and its kin by rasterio, the extra `geo`."""
import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from ...errors import DataError, InputError, one_line
from ..image_files import AGAIN, no_file, read_file
from .vrt import check_local

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

RASTERS = ('.tif', '.tiff', '.vrt', '.jp2', '.img')  # endings of what rasterio reads
# Were `check_local` to miss something: a proxy that nothing listens at.
NO_NETWORK = dict(GDAL_HTTP_PROXY='http://127.0.0.1:9', GDAL_HTTPS_PROXY='http://127.0.0.1:9', GDAL_HTTP_MAX_RETRY='0',
                  CPL_VSIL_CURL_ALLOWED_EXTENSIONS='.none')
LOW, HIGH = 2, 98  # percentiles that a preview stretches between


class RasterInfo(NamedTuple):
    """What a raster's header says.

    Attributes:
        width: Pixels.
        height: Pixels.
        bands: Number of bands.
        dtype: Type of a pixel's numbers, as NumPy calls it.
        nodata: The value of pixels without data; None where there is none.
        has_georeference: Whether it says where on Earth, or in what coordinates, it lies.
    """
    width: int
    height: int
    bands: int
    dtype: str
    nodata: float | None
    has_georeference: bool


def is_raster(path: str | os.PathLike) -> bool:
    """Tells by its ending whether a file is read by rasterio."""
    return os.fspath(path).lower().endswith(RASTERS)


@contextlib.contextmanager
def open_raster(path: str | os.PathLike) -> Iterator['DatasetReader']:
    """Opens a raster to read it, whole or by windows; see `vrt.check_local`.

    Raises:
        InputError: rasterio is missing.
        DataError: It cannot be read, or is a VRT of other than local files.
    """
    try:
        import rasterio
    except ImportError as error:
        raise InputError(f"{path}: needs rasterio; pip install 'mmseg-vittm[geo]'") from error
    path = os.fspath(path)
    error = no_file(path)
    if error is not None:
        raise error
    with reading(path), warnings.catch_warnings(), rasterio.Env(**NO_NETWORK):
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)  # tiles often are not
        check_local(path)
        with rasterio.open(path) as raster:
            yield raster


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Makes rasterio's errors, of which some are an OSError, one that names the file that is read.

    Raises:
        DataError: rasterio cannot read it.
    """
    import rasterio
    try:
        yield
    except rasterio.errors.RasterioError as error:
        raise DataError(path, f'cannot be read as a raster ({one_line(error.__cause__ or error)})', AGAIN) from error


def raster_info(path: str | os.PathLike) -> RasterInfo:
    """Returns what a raster's header says, without its pixels.

    Raises:
        InputError: rasterio is missing.
        DataError: It cannot be read, or its bands have several types.
    """
    with open_raster(path) as raster:
        kinds = set(raster.dtypes)
        if len(kinds) > 1:
            raise DataError(os.fspath(path), f'its bands have several types ({", ".join(sorted(kinds))})',
                            'save all bands in one type')
        return RasterInfo(raster.width, raster.height, raster.count, kinds.pop(), raster.nodata,
                          raster.crs is not None or not raster.transform.is_identity)


def read_bands(path: str | os.PathLike, bands: Sequence[int] | None = None) -> np.ndarray:
    """Returns an image with all its bands and bits.

    TIFF and its kin are read by rasterio, bands in the file's order; other kinds by OpenCV, colours as RGB.

    Args:
        path: The file.
        bands: Which bands, counted from 0; None is all.

    Returns:
        (H, W, C) in the file's type of numbers.

    Raises:
        InputError: rasterio is missing.
        DataError: It cannot be read, or has no such band.
    """
    return read_with_nodata(path, bands)[0]


def read_with_nodata(path: str | os.PathLike,
                     bands: Sequence[int] | None = None) -> tuple[np.ndarray, tuple[float | None, ...] | None]:
    """Returns what `read_bands` does, and of each of these bands the value that stands for no data.

    Returns:
        (H, W, C); and C numbers, of which None is of a band that has no such value; None for files of no raster's kind.

    Raises:
        InputError: rasterio is missing.
        DataError: It cannot be read, or has no such band.
    """
    name = os.fspath(path)
    if is_raster(path):
        with open_raster(path) as raster:
            check_bands(name, bands, raster.count)
            chosen = list(range(raster.count) if bands is None else bands)
            image = raster.read([band + 1 for band in chosen])
            nodata = tuple(raster.nodatavals[band] for band in chosen)
        return np.ascontiguousarray(image.transpose(1, 2, 0)), nodata
    content = read_file(name)
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    if image is None:
        raise DataError(name, 'cannot be read as an image: it is empty, truncated, damaged or of no known kind', AGAIN)
    image = image.reshape(*image.shape[:2], -1)
    if image.shape[2] >= 3:
        image = image[..., [2, 1, 0, *range(3, image.shape[2])]]
    check_bands(name, bands, image.shape[2])
    return np.ascontiguousarray(image if bands is None else image[..., list(bands)]), None


def check_bands(path: str, bands: Sequence[int] | None, count: int) -> None:
    """Checks that a file has the bands that are asked for.

    Raises:
        DataError: It has not.
    """
    missing = [band for band in bands or () if not 0 <= band < count]
    if missing:
        raise DataError(path, f'has {count} bands, numbered from 0, and no band {missing[0]}', 'give bands that it has')


def is_empty(pixels: np.ndarray, nodata: float | None) -> np.ndarray:
    """Returns which pixels of a band are the value that stands for no data, bool of the same shape.

    Args:
        pixels: Numbers as the file has them.
        nodata: The value, which a float32 file has as the next float32; None where there is none.
    """
    if nodata is None:
        return np.zeros(pixels.shape, bool)
    if np.isnan(nodata):
        return np.isnan(pixels)
    if pixels.dtype == np.float32:
        with np.errstate(over='ignore'):
            nodata = np.float32(nodata)
    return pixels == nodata


def preview(image: np.ndarray, rgb: Sequence[int] | None = None, limits: np.ndarray | None = None) -> np.ndarray:
    """Returns an image of any bands as one to look at.

    Args:
        image: (H, W, C) numbers.
        rgb: Which three bands are red, green and blue; None is the first three, or the first one alone.
        limits: (2, 3) values that become black and white; None is the percentiles `LOW` and `HIGH` of each band, of
            8-bit images 0 and 255.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    chosen = list(rgb or (range(3) if image.shape[2] >= 3 else (0, 0, 0)))
    shown = image[..., chosen]
    if limits is None and image.dtype == np.uint8:
        return np.ascontiguousarray(shown)
    shown = np.nan_to_num(shown.astype(np.float32), posinf=0, neginf=0)
    if limits is None:
        limits = np.percentile(shown, (LOW, HIGH), axis=(0, 1))
    span = np.maximum(limits[1] - limits[0], 1e-6)
    return np.round(np.clip((shown - limits[0]) / span, 0, 1) * 255).astype(np.uint8)


def read_preview(path: str | os.PathLike) -> np.ndarray:
    """Returns a picture of an image file of any bands, (H, W, 3) uint8 RGB: its first three bands, or the first.

    Pixels without data say nothing about what is black and white.

    Raises:
        InputError: rasterio is missing.
        DataError: It cannot be read.
    """
    chosen = None
    if is_raster(path):
        chosen = [0, 1, 2] if raster_info(path).bands >= 3 else [0]
    image, nodata = read_with_nodata(path, chosen)
    if image.dtype == np.uint8:
        return preview(image)
    empty = [is_empty(image[..., band], value) for band, value in enumerate(nodata or ())]
    image = image.astype(np.float32)
    for band, where in enumerate(empty):
        image[..., band][where] = np.nan
    known = image[np.isfinite(image).all(axis=2)]
    if not len(known):
        return np.zeros((*image.shape[:2], 3), np.uint8)
    limits = np.percentile(known, (LOW, HIGH), axis=0)
    image = np.where(np.isfinite(image), image, limits[0])
    return preview(image, limits=limits[:, :3])
