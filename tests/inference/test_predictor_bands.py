"""Predictor of models whose pipeline begins with LoadBands: paths and arrays of any number of bands."""
import io

import cv2
import numpy as np
import pytest
from PIL import Image
from rasters import drawn, save_raster, tiny_segmentor

from mmseg_vittm.datasets.bands.reading import preview
from mmseg_vittm.errors import InputError
from mmseg_vittm.inference.predictor import Predictor

KINDS = [(1, 'uint8'), (3, 'uint8'), (4, 'uint16'), (8, 'float32')]


@pytest.mark.parametrize('bands,kind', KINDS)
def test_arrays_and_files_give_the_same(tmp_path, bands, kind):
    pytest.importorskip('rasterio', reason='the extra geo is not installed')
    image = drawn(90, 130, bands, kind)
    model = tiny_segmentor(bands, scale=float(image.max()) / 4)
    path = save_raster(tmp_path / 'a.tif', image)
    of_file, of_array, again = Predictor(model)([path, image, image.copy()])
    assert np.array_equal(of_file.labels, of_array.labels) and len(np.unique(of_file.labels)) > 1
    assert np.array_equal(of_array.labels, again.labels) and of_array.name == 'images[1]' and of_file.name == path
    shown = preview(image)
    assert of_file.image.dtype == np.uint8 and np.array_equal(of_file.image, shown)
    assert of_file.overlay(0.5, legend=True).shape[2] == 3 and np.array_equal(of_file.overlay(0), shown)


def test_a_png_has_rgb_as_its_bands(tmp_path):
    image = drawn(64, 96, 3)
    cv2.imwrite(str(tmp_path / 'a.png'), image[..., ::-1])
    predictor = Predictor(tiny_segmentor(3))
    assert np.array_equal(predictor(tmp_path / 'a.png').labels, predictor(image).labels)
    assert np.array_equal(predictor(tmp_path / 'a.png').image, image)
    gray = Predictor(tiny_segmentor(1))
    assert np.array_equal(gray(image[..., 0]).labels, gray(image[..., :1]).labels)


def test_bands_are_chosen_of_arrays_too():
    image, model = drawn(64, 96, 5), tiny_segmentor(2)
    expected = Predictor(model)(image[..., [4, 1]]).labels
    model.cfg.test_pipeline[0] = dict(type='LoadBands', bands=[4, 1])
    assert np.array_equal(Predictor(model)(image).labels, expected)
    with pytest.raises(InputError, match='the image: has 4 bands, numbered from 0, and no band 4'):
        Predictor(model)(image[..., :4])


def content(image) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, 'png')
    return file.getvalue()


@pytest.mark.parametrize('source,words', [
    (drawn(20, 20, 3), 'has 3 bands, the model takes 4'), (content(drawn(20, 20, 3)), 'cannot take bytes .*LoadBands'),
    (Image.fromarray(drawn(20, 20, 3)), 'cannot take Image .*LoadBands'), (np.zeros(4), r'got float64 of \(4,\)'),
    (np.zeros((4, 0, 4)), r'got float64 of \(4, 0, 4\)'), (np.zeros((4, 4, 4), str), 'got <U1'), ('', 'path is empty'),
    (np.full((8, 8, 4), np.nan), 'pixel x=0, y=0 of band 0 is nan'), ('none.tif', 'none.tif')])
def test_what_cannot_be_taken(source, words):
    with pytest.raises(InputError, match=words):
        Predictor(tiny_segmentor(4))(source)
    assert isinstance(Predictor(tiny_segmentor(4))([source], on_error='return')[0], InputError)
