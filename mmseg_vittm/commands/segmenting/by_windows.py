"""Which images are segmented by windows, at their own resolution: told by an argument, or by their header."""
import importlib.util
from pathlib import Path

from ...datasets.bands.reading import is_raster, raster_info
from ...errors import DataError, InputError

CHOICES = ('auto', 'always', 'never')
MOST_PIXELS = 32_000_000  # of rasters that go through the model like other images
READ_BY_OTHERS = ('.tif', '.tiff')  # rasters that OpenCV reads too, colours of small ones


def goes_by_windows(file: Path, by_windows: str = 'auto') -> bool:
    """Tells whether an image is read by windows, and its labels written as a GeoTIFF.

    Of themselves these do: VRT, JPEG 2000 and ERDAS (.img); and TIFF that has a georeference, or other than 3 bands of
    8 bits, or more than `MOST_PIXELS`.

    Args:
        file: The image.
        by_windows: `'auto'`, `'always'` or `'never'`.

    Raises:
        InputError: `by_windows` is none of these; or rasterio is missing, without which it cannot be read at all.
    """
    if by_windows not in CHOICES:
        raise InputError(f'by_windows must be one of {CHOICES}, got {by_windows!r}')
    if by_windows != 'auto' or not is_raster(file):
        return by_windows == 'always'
    if file.suffix.lower() in READ_BY_OTHERS and importlib.util.find_spec('rasterio') is None:
        return False
    try:
        info = raster_info(file)
    except DataError:  # what reads it next says why it cannot
        return False
    return (file.suffix.lower() not in READ_BY_OTHERS or info.has_georeference or info.bands != 3
            or info.dtype != 'uint8' or info.width * info.height > MOST_PIXELS)


def may_go_whole(file: Path) -> bool:
    """Tells whether an image that goes by windows of itself can go through the model like a photograph, too."""
    if file.suffix.lower() not in READ_BY_OTHERS:
        return False
    info = raster_info(file)
    return info.bands in (1, 3, 4) and info.dtype in ('uint8', 'uint16') and info.width * info.height <= MOST_PIXELS
