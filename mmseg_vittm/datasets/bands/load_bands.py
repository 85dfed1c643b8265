"""LoadBands: the step of a pipeline that reads an image of any number of bands, of 8 bits or more."""
import os
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ...errors import DataError, InputError
from ..image_files import AGAIN
from .reading import is_empty, read_with_nodata


@TRANSFORMS.register_module()
class LoadBands(BaseTransform):
    """Reads an image with all its bands and bits, as float32: TIFF and its kin by rasterio, other kinds by OpenCV.

    It takes the place of `LoadImageFromFile`, for images that are not 3 bands of 8 bits. Numbers stay as they are in
    the file, colours are RGB. Of a file that says which value stands for no data, that value becomes `fill`, band by
    band; what such pixels are labelled is up to the annotation, where 255 leaves them out.

    Args:
        bands: Which bands, counted from 0, in the order given; None is all.
        num_bands: How many bands an image must give; None takes any number.
        fill: What pixels without data become, a number, or one per band, such as the `mean` of the data preprocessor.

    Raises:
        InputError: An argument is wrong, or they contradict each other.
    """

    def __init__(self, bands: Sequence[int] | None = None, num_bands: int | None = None,
                 fill: float | Sequence[float] = 0.0):
        self.bands = None if bands is None else [int(band) for band in bands]
        if self.bands is not None and (not self.bands or min(self.bands) < 0):
            raise InputError(f'LoadBands: bands must be numbers from 0, at least one, got {bands!r}')
        count = len(self.bands) if self.bands is not None else num_bands
        if num_bands is not None and num_bands != count:
            raise InputError(f'LoadBands: num_bands={num_bands}, but bands names {count}; give both alike, or one')
        if num_bands is not None and num_bands < 1:
            raise InputError(f'LoadBands: num_bands must be 1 or more, got {num_bands!r}')
        fills = np.ravel(np.asarray(fill, np.float32))
        if not np.isfinite(fills).all() or len(fills) not in {1, count or len(fills)}:
            raise InputError(f'LoadBands: fill must be a number, or one per band, got {fill!r}')
        self.num_bands, self.fill = count, fills

    def transform(self, results: dict) -> dict:
        """Loads the image that `img_path` names.

        Args:
            results: With `img_path`.

        Returns:
            The same dict with `img` (H, W, C) float32, `img_shape` and `ori_shape`.

        Raises:
            DataError: The file is missing, unreadable, of another number of bands, or has NaN or infinite pixels.
            InputError: rasterio is missing.
        """
        path = os.fspath(results['img_path'])
        image, nodata = read_with_nodata(path, self.bands)
        results['img'] = self.checked(image, nodata, path)
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def checked(self, image: np.ndarray, nodata: Sequence[float | None] | None, name: str,
                corner: tuple[int, int] = (0, 0)) -> np.ndarray:
        """Returns an image's bands as the network gets them: float32, with `fill` where there are no data.

        Args:
            image: (H, W, C), the bands that are wanted, in any type of numbers.
            nodata: What stands for no data, of each band; None where nothing does.
            name: What errors call it.
            corner: Row and column of its first pixel in the file, where it is a part of that.

        Raises:
            DataError: It has another number of bands, or NaN or infinite pixels that are not its value for no data.
        """
        count = image.shape[2]
        if self.num_bands is not None and count != self.num_bands:
            raise DataError(name, f'has {count} bands, the model takes {self.num_bands}', 'give an image of so many '
                            "bands, or choose bands of it: dict(type='LoadBands', bands=[...])")
        if len(self.fill) not in (1, count):
            raise DataError(name, f'has {count} bands, LoadBands a fill of {len(self.fill)}', 'give one fill per band')
        found = image.astype(np.float32)  # a copy
        for band, value in enumerate(nodata or ()):
            if value is not None:
                found[..., band][is_empty(image[..., band], value)] = self.fill[band % len(self.fill)]
        if image.dtype.kind == 'f' and not np.isfinite(found).all():
            y, x, band = np.argwhere(~np.isfinite(found))[0]
            place = f'x={corner[1] + x}, y={corner[0] + y}'
            raise DataError(name, f'pixel {place} of band {band} is {found[y, x, band]}', 'save it with a number '
                            f'there, or with nan as its value for no data (gdal_edit.py -a_nodata nan), or {AGAIN}')
        return found

    def __repr__(self) -> str:
        return f'{type(self).__name__}(bands={self.bands}, num_bands={self.num_bands}, fill={self.fill.tolist()})'
