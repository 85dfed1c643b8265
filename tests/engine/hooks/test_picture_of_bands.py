"""Pictures of images of many bands: the first three, whatever their numbers."""
import numpy as np
import pytest
from PIL import Image
from rasters import drawn, save_raster

from mmseg_vittm.datasets.bands.reading import read_preview
from mmseg_vittm.engine.hooks.picture_hook import _picture_of

pytest.importorskip('rasterio', reason='the extra geo is not installed')


@pytest.mark.parametrize('bands,kind', [(1, 'uint8'), (2, 'uint16'), (3, 'uint8'), (8, 'uint16'), (4, 'float32')])
def test_a_picture_of_any_bands(tmp_path, bands, kind):
    image = drawn(40, 50, bands, kind)
    found = _picture_of(save_raster(tmp_path / 'a.tif', image))
    assert found.shape == (40, 50, 3) and found.dtype == np.uint8
    shown = image[..., :3] if bands >= 3 else image[..., [0, 0, 0]]
    if kind == 'uint8':
        assert np.array_equal(found, shown)
    else:
        low, high = np.percentile(shown.astype(np.float32), (2, 98), axis=(0, 1))
        expected = np.clip((shown - low) / (high - low), 0, 1) * 255
        assert np.abs(found - expected).max() <= 0.51


def test_photographs_stay_as_they_were(tmp_path):
    image = drawn(40, 50, 3)
    Image.fromarray(image).save(tmp_path / 'a.png')
    assert np.array_equal(_picture_of(str(tmp_path / 'a.png')), image)


def test_pixels_without_data_do_not_count(tmp_path):
    """They are black, and the rest is stretched as if they were not there."""
    image = drawn(40, 50, 3, 'float32') + 100
    plain = read_preview(save_raster(tmp_path / 'a.tif', image[:, 10:]))
    image[:, :10] = -9999
    found = read_preview(save_raster(tmp_path / 'b.tif', image, nodata=-9999))
    assert np.array_equal(found[:, 10:], plain) and not found[:, :10].any()
    image[:] = -9999
    assert not read_preview(save_raster(tmp_path / 'c.tif', image, nodata=-9999)).any()
