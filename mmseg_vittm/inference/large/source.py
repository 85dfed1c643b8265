"""RasterSource: a raster read by windows, as the model's test pipeline and data preprocessor have images."""
import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine.dataset import Compose
from mmseg.structures import SegDataSample
from torch import Tensor

from ...datasets.bands.load_bands import LoadBands
from ...datasets.bands.reading import check_bands, is_empty, open_raster, reading
from ...errors import DataError, InputError
from ..images import as_bgr
from ..slide_segmentor import SlideSegmentor
from ..test_pipeline import build_test_pipeline
from .grid import Grid

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

CACHE = 2**27  # bytes of decoded blocks that GDAL keeps; rasterio takes bytes, where GDAL's variable has MB
MOST_BLOCK = 2**28  # bytes of a block, all bands of which GDAL decodes at once
RESIZES = ('Resize', )  # steps that are left out: a large image has its own resolution
PACKS = ('PackSegInputs', )  # steps that are done here


def read_steps(model: SlideSegmentor) -> tuple[BaseTransform, list[str]]:
    """Returns the step of a model's test pipeline that reads images, and the names of those that are left out.

    Raises:
        InputError: The model has no test pipeline, or one with steps that need the whole image.
    """
    cfg = getattr(model, 'cfg', None)
    if cfg is None or not cfg.get('test_pipeline'):
        raise InputError('the model has no cfg with a test_pipeline; set model.cfg to its config')
    reader, rest = build_test_pipeline(cfg.test_pipeline, cfg.get('default_scope'))
    names = _names(rest)
    others = [name for name in names if name not in RESIZES + PACKS]
    if not isinstance(reader, (LoadBands, LoadImageFromFile)):
        raise InputError(f'large images are read by LoadBands or LoadImageFromFile, the test_pipeline begins with '
                         f'{type(reader).__name__}; let it begin with one of these')
    if others:
        raise InputError(f'test_pipeline has {", ".join(others)}, which a large image, read by windows, does not go '
                         f'through; only {", ".join(RESIZES + PACKS)} may follow the step that reads')
    return reader, [name for name in names if name in RESIZES]


def _names(steps: Compose) -> list[str]:
    return [type(step).__name__ for step in steps.transforms]


class RasterSource:
    """A raster, open to be read by windows; see `open_source`.

    Args:
        raster: It.
        name: What errors call it.
        model: Its config says how images are read, its data preprocessor how they are normalised.
        reader: The step that reads images; `read_steps`.

    Attributes:
        size: Height and width in pixels.
        has_gaps: Whether it says of some pixels that they are without data.

    Raises:
        DataError: It has other bands than the model takes, or blocks too large for bounded memory.
    """

    def __init__(self, raster: 'DatasetReader', name: str, model: SlideSegmentor, reader: BaseTransform):
        self.raster, self.name, self.reader = raster, name, reader
        self.size = raster.height, raster.width
        self._normalise = copy.copy(model.data_preprocessor)
        self._normalise.test_cfg = None  # padding is that of the whole image, not of windows
        self._pad_value = getattr(model.data_preprocessor, 'pad_val', 0)
        self._bands = self._chosen()
        self._check_blocks()
        self._nodata = [raster.nodatavals[band] for band in self._bands]
        self._alpha_counts = isinstance(reader, LoadBands) and any(
            raster.colorinterp[band].name == 'alpha' for band in self._bands)  # as data, and says nothing of others
        self.has_gaps = (any(value is not None for value in self._nodata) if self._alpha_counts else
                         any('all_valid' not in {flag.name for flag in flags} for flags in raster.mask_flag_enums))

    def _chosen(self) -> list[int]:
        """Returns which bands the model takes."""
        count, kinds = self.raster.count, set(self.raster.dtypes)
        if isinstance(self.reader, LoadBands):
            check_bands(self.name, self.reader.bands, count)
            chosen = list(range(count)) if self.reader.bands is None else self.reader.bands
            if self.reader.num_bands is not None and len(chosen) != self.reader.num_bands:
                raise DataError(self.name, f'has {count} bands, the model takes {self.reader.num_bands}', 'give an '
                                "image of so many bands, or choose bands of it: dict(type='LoadBands', bands=[...])")
            return chosen
        if any(colour.name == 'palette' for colour in self.raster.colorinterp):
            raise DataError(self.name, 'its pixels are numbers of colours in a table',
                            'save it in colours: gdal_translate -expand rgb')
        if count not in (1, 3, 4) or kinds - {'uint8', 'uint16'}:
            raise DataError(self.name, f'has {count} bands of {", ".join(sorted(kinds))}, the model takes colours of 8 '
                            'or 16 bits (LoadImageFromFile)', 'take a model whose pipelines begin with LoadBands')
        return list(range(count))

    def _check_blocks(self) -> None:
        high, wide = self.raster.block_shapes[0]
        size = high * wide * sum(np.dtype(kind).itemsize for kind in self.raster.dtypes)
        if size > MOST_BLOCK:
            raise DataError(self.name, f'its blocks are of {wide} x {high} pixels, {size >> 20} MiB each, which are '
                            'decoded as a whole', 'write it in smaller ones: gdal_translate -co TILED=YES -co '
                            'COMPRESS=DEFLATE')

    def read(self, place: tuple[slice, slice]) -> np.ndarray:
        """Returns the pixels of a part of the raster, (h, w, C), the bands that the model takes, as they are there.

        Raises:
            DataError: They cannot be read.
        """
        from rasterio.windows import Window
        window = Window.from_slices(*place)
        with reading(self.name):
            return self.raster.read([band + 1 for band in self._bands], window=window).transpose(1, 2, 0)

    def has_data(self, place: tuple[slice, slice]) -> np.ndarray:
        """Returns of which pixels of a part of the raster there are data in any band, (h, w) bool.

        Raises:
            DataError: That cannot be read.
        """
        if self._alpha_counts:
            pixels = self.read(place)
            return ~np.all([is_empty(pixels[..., band], value) for band, value in enumerate(self._nodata)], axis=0)
        from rasterio.windows import Window
        with reading(self.name):
            return self.raster.dataset_mask(window=Window.from_slices(*place)) != 0

    def network_input(self, pixels: np.ndarray, crop: tuple[int, int], corner: tuple[int, int] = (0, 0)) -> Tensor:
        """Returns a window as the network gets it, (C, h, w), normalised and padded to its size.

        Args:
            pixels: (h, w, C) of `read`.
            crop: Height and width of a window.
            corner: Row and column of its first pixel in the raster.

        Raises:
            InputError: The pixels are none that the model takes.
        """
        if isinstance(self.reader, LoadBands):
            image = self.reader.checked(pixels, self._nodata, self.name, corner)
        else:
            image = as_bgr(pixels, self.name, 'rgb')
        batch = [torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))]
        window = self._normalise(dict(inputs=batch, data_samples=[SegDataSample()]), False)['inputs'][0]
        below, right = (side - there for side, there in zip(crop, window.shape[1:], strict=True))
        return F.pad(window, (0, right, 0, below), value=self._pad_value)

    def place_of(self, grid: Grid, row: int, column: int) -> tuple[slice, slice]:
        """Returns where a window's pixels are in the raster, without its padding."""
        return tuple(slice(starts[number], min(starts[number] + crop, side)) for starts, number, crop, side in
                     zip(grid.starts, (row, column), grid.crop, self.size, strict=True))


@contextmanager
def open_source(path: str | os.PathLike, model: SlideSegmentor, reader: BaseTransform) -> Iterator[RasterSource]:
    """Opens a raster to be segmented by windows, and keeps GDAL's memory small.

    Raises:
        InputError: rasterio is missing.
        DataError: It cannot be read, or has other bands than the model takes.
    """
    try:
        import rasterio
    except ImportError as error:
        raise InputError(f"{path}: needs rasterio; pip install 'mmseg-vittm[geo]'") from error
    with rasterio.Env(GDAL_CACHEMAX=CACHE), open_raster(path) as raster:
        yield RasterSource(raster, os.fspath(path), model, reader)
