"""Label maps as GeoTIFF: in blocks, with the georeference of their image, written block by block and read back."""
import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import one_line
from ...inference.large.blocks import BLOCK

if TYPE_CHECKING:
    from rasterio.io import DatasetReader, DatasetWriter

SMALLEST = 512  # pixels of the longer side of the smallest overview


def label_type(num_classes: int) -> type[np.unsignedinteger]:
    """Returns the type of labels, whose largest value stands for pixels without data."""
    return np.uint8 if num_classes <= 255 else np.uint16


def unlabelled(num_classes: int) -> int:
    """Returns the label of pixels without data: 255, or 65535 with more than 255 classes."""
    return int(np.iinfo(label_type(num_classes)).max)


class LabelRaster:
    """A GeoTIFF of class indices that is being written; see `new_label_raster`.

    Args:
        raster: It.
        kind: The type of its numbers.
    """

    def __init__(self, raster: 'DatasetWriter', kind: type[np.unsignedinteger]):
        self._raster, self._kind = raster, kind

    def write(self, place: tuple[slice, slice], labels: np.ndarray) -> None:
        """Writes the labels (h, w) of a part.

        Raises:
            OSError: The file cannot be written.
        """
        from rasterio.windows import Window
        with rasterio_as_os_error():
            self._raster.write(labels.astype(self._kind), 1, window=Window.from_slices(*place))


@contextlib.contextmanager
def new_label_raster(path: Path, image: 'DatasetReader', classes: Sequence[str],
                     palette: Sequence[Sequence[int]]) -> Iterator[LabelRaster]:
    """Gives a GeoTIFF to write the labels of an image to, which has all of them after the block.

    It has blocks of 512 x 512 compressed by deflate, smaller overviews within, and from the image CRS and transform,
    ground control points or RPCs; a table of the palette's colours, the value of pixels without data, and the classes'
    names as tags `CLASS_0` and so on.

    Args:
        path: The file.
        image: What is segmented.
        classes: Names of the classes.
        palette: One RGB colour per class.

    Raises:
        OSError: The file cannot be written, or not be read back.
    """
    import rasterio
    kind, nothing = label_type(len(classes)), unlabelled(len(classes))
    points, points_crs = image.gcps
    place = {} if image.transform.is_identity else dict(transform=image.transform)
    with rasterio_as_os_error():
        raster = rasterio.open(path, 'w', driver='GTiff', width=image.width, height=image.height, count=1, dtype=kind,
                               nodata=nothing, tiled=True, blockxsize=BLOCK, blockysize=BLOCK, compress='deflate',
                               bigtiff='if_safer', crs=image.crs, **place)
    try:
        with rasterio_as_os_error():
            if points:
                raster.gcps = points, points_crs
            if image.rpcs is not None:
                raster.rpcs = image.rpcs
            colours = {number: (*colour, 255) for number, colour in enumerate(palette)}
            raster.write_colormap(1, colours | {nothing: (0, 0, 0, 0)})
            raster.set_band_description(1, 'class indices')
            raster.update_tags(1, **{f'CLASS_{number}': name for number, name in enumerate(classes)})
        yield LabelRaster(raster, kind)
    finally:
        with rasterio_as_os_error():
            raster.close()
    with rasterio_as_os_error(), rasterio.open(path, 'r+') as raster:  # which reads all that was written
        factors = [2**step for step in range(1, 20) if max(image.shape) / 2**(step - 1) > SMALLEST]
        if factors:
            raster.build_overviews(factors, rasterio.enums.Resampling.nearest)
        else:
            raster.read(1)


@contextlib.contextmanager
def rasterio_as_os_error() -> Iterator[None]:
    """Makes every error of rasterio an OSError, with the reason."""
    import rasterio
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)  # nor is the image, then
        try:
            yield
        except rasterio.errors.RasterioError as error:
            raise OSError(one_line(error.__cause__ or error)) from error
