"""LoadBands: all bands and bits as float32, no data filled, every error names file, value and remedy."""
import cv2
import numpy as np
import pytest
from mmseg.registry import TRANSFORMS

from mmseg_vittm.datasets import LoadBands
from mmseg_vittm.errors import DataError, InputError

rasterio = pytest.importorskip('rasterio', reason='the extra geo is not installed')


def save(path, image, **profile):
    """Writes a GeoTIFF of (H, W, C)."""
    with rasterio.open(path, 'w', driver='GTiff', height=image.shape[0], width=image.shape[1], count=image.shape[2],
                       dtype=image.dtype, **profile) as raster:
        raster.write(image.transpose(2, 0, 1))
    return str(path)


def drawn(shape, kind):
    chance = np.random.default_rng(0)
    return (chance.normal(size=shape).astype(kind) if np.dtype(kind).kind == 'f'
            else chance.integers(0, np.iinfo(kind).max, shape, endpoint=True, dtype=kind))


@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'int16', 'float32', 'float64'])
@pytest.mark.parametrize('count', [1, 3, 4, 8])
def test_numbers_stay(tmp_path, kind, count):
    image = drawn((7, 5, count), kind)
    results = LoadBands(num_bands=count)(dict(img_path=save(tmp_path / 'a.tif', image)))
    assert results['img'].dtype == np.float32 and results['img_shape'] == results['ori_shape'] == (7, 5)
    assert np.array_equal(results['img'], image.astype(np.float32))


def test_of_a_png_colours_are_rgb(tmp_path):
    image = drawn((6, 4, 3), 'uint16')
    cv2.imwrite(str(tmp_path / 'a.png'), image[..., ::-1])
    assert np.array_equal(LoadBands()(dict(img_path=str(tmp_path / 'a.png')))['img'], image)
    cv2.imwrite(str(tmp_path / 'b.png'), image[..., 0])
    assert np.array_equal(LoadBands()(dict(img_path=str(tmp_path / 'b.png')))['img'], image[..., :1])


def test_bands_are_chosen_in_their_order(tmp_path):
    image = drawn((4, 4, 5), 'uint16')
    step = TRANSFORMS.build(dict(type='LoadBands', bands=[3, 0]))
    assert np.array_equal(step(dict(img_path=save(tmp_path / 'a.tif', image)))['img'], image[..., [3, 0]])


@pytest.mark.parametrize('kind,nodata', [('uint16', 65535), ('float32', -3.4e38), ('float32', float('nan')),
                                         ('int16', -9999), ('float32', -9999.1)])
def test_no_data_becomes_fill(tmp_path, kind, nodata):
    image = np.abs(drawn((4, 6, 2), kind)).clip(0, 1000).astype(kind)
    expected = image.astype(np.float32)
    image[1, 2] = image[3, 5, 1] = nodata
    path = save(tmp_path / 'a.tif', image, nodata=nodata)
    expected[1, 2], expected[3, 5, 1] = (7, 9), 9
    assert np.array_equal(LoadBands(fill=[7, 9])(dict(img_path=path))['img'], expected)
    expected[1, 2] = expected[3, 5, 1] = 0
    assert np.array_equal(LoadBands()(dict(img_path=path))['img'], expected)


def test_fill_goes_with_the_bands_chosen(tmp_path):
    image = np.full((2, 2, 3), 5, np.uint16)
    image[0, 0, 2] = 0
    path = save(tmp_path / 'a.tif', image, nodata=0)
    found = LoadBands(bands=[2, 1], fill=[7, 9])(dict(img_path=path))['img']
    assert found[0, 0].tolist() == [7, 5] and found[1, 1].tolist() == [5, 5]


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_nan_and_infinite_pixels(tmp_path, value):
    image = drawn((5, 5, 3), 'float32')
    image[2, 4, 1] = value
    path = save(tmp_path / 'a.tif', image)
    with pytest.raises(DataError, match=rf'a\.tif: pixel x=4, y=2 of band 1 is {value}.*no data'):
        LoadBands()(dict(img_path=path))


def test_another_number_of_bands(tmp_path):
    path = save(tmp_path / 'a.tif', drawn((5, 5, 3), 'uint8'))
    with pytest.raises(DataError, match=r'a\.tif: has 3 bands, the model takes 4; .*bands=\['):
        LoadBands(num_bands=4)(dict(img_path=path))
    with pytest.raises(DataError, match=r'a\.tif: has 3 bands, numbered from 0, and no band 3'):
        LoadBands(bands=[0, 3])(dict(img_path=path))
    with pytest.raises(DataError, match=r'a\.tif: has 3 bands, LoadBands a fill of 2'):
        LoadBands(fill=[1, 2])(dict(img_path=path))


def test_truncated_and_missing(tmp_path):
    path = save(tmp_path / 'a.tif', drawn((64, 64, 3), 'uint16'))
    whole = (tmp_path / 'a.tif').read_bytes()
    for name, content in dict(half=whole[:len(whole) // 2], empty=b'', text=b'no image').items():
        (tmp_path / f'{name}.tif').write_bytes(content)
        with pytest.raises(DataError, match=rf'{name}\.tif: cannot be read.*; copy it again'):
            LoadBands()(dict(img_path=str(tmp_path / f'{name}.tif')))
    with pytest.raises(DataError, match=r'none\.tif: no such file'):
        LoadBands()(dict(img_path=str(tmp_path / 'none.tif')))
    assert LoadBands()(dict(img_path=path))['img'].shape == (64, 64, 3)


@pytest.mark.parametrize('arguments,words', [
    (dict(bands=[]), 'at least one'), (dict(bands=[-1]), r'\[-1\]'), (dict(num_bands=0), 'num_bands must be 1'),
    (dict(bands=[0, 1], num_bands=3), 'num_bands=3'), (dict(fill=float('nan')), 'fill must be'),
    (dict(fill=[0, 1, 2], num_bands=4), 'fill must be')])
def test_wrong_arguments(arguments, words):
    with pytest.raises(InputError, match=words):
        LoadBands(**arguments)


def test_without_rasterio_the_extra_is_named(tmp_path, monkeypatch):
    path = save(tmp_path / 'a.tif', drawn((5, 5, 3), 'uint8'))
    monkeypatch.setitem(__import__('sys').modules, 'rasterio', None)
    with pytest.raises(InputError, match=r"a\.tif: needs rasterio; pip install 'mmseg-vittm\[geo\]'"):
        LoadBands()(dict(img_path=path))
