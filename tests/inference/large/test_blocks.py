"""Large images by windows: the labels of the whole image at once, for every grid, size, type and number of bands."""
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.structures import SegDataSample
from rasters import SLIDE, drawn, save_raster, tiny_segmentor

from mmseg_vittm.datasets.bands.load_bands import LoadBands
from mmseg_vittm.errors import DataError, InputError
from mmseg_vittm.inference.large.blocks import LargeImage, overhead
from mmseg_vittm.inference.large.grid import check_model, grid_of
from mmseg_vittm.inference.large.source import open_source, read_steps

pytest.importorskip('rasterio', reason='the extra geo is not installed')


def whole(model, image) -> np.ndarray:
    """The labels that SlideSegmentor gives of an image in memory, (H, W, C), normalised here."""
    if not isinstance(read_steps(model)[0], LoadBands):
        image = image[..., ::-1]
    inputs = torch.from_numpy(np.ascontiguousarray(image.astype(np.float32).transpose(2, 0, 1)))
    sample = SegDataSample(metainfo=dict(ori_shape=image.shape[:2], img_shape=image.shape[:2]))
    data = model.data_preprocessor(dict(inputs=[inputs], data_samples=[sample]), False)
    [found] = model.predict(**data)
    return found.pred_sem_seg.data[0].numpy()


def by_windows(model, path, tile=None, overlap=None, **options) -> tuple[np.ndarray, LargeImage]:
    """The labels of a raster, set together from blocks; every pixel from one block alone."""
    reader, _ = read_steps(model)
    with open_source(path, model, reader) as source:
        image = LargeImage(model, source, grid_of(model, source.size, tile, overlap), 255, **options)
        labels = np.full(source.size, -1, np.int64)
        done = []
        for place, block in image.blocks(lambda: done.append(1)):
            assert (labels[place] == -1).all() and labels[place].shape == block.shape
            labels[place] = block
    assert len(done) == image.total and (labels >= 0).all()
    return labels, image


@pytest.mark.parametrize('bands,kind', [(3, 'uint8'), (8, 'uint16'), (1, 'float32'), (4, 'int16')])
@pytest.mark.parametrize('size', [(300, 500), (64, 96), (65, 97), (30, 50), (20, 300), (211, 96), (333, 7)])
def test_labels_are_those_of_the_whole_image(tmp_path, bands, kind, size):
    image = drawn(*size, bands, kind)
    model = tiny_segmentor(bands, scale=float(image.max()) / 4, test_cfg=SLIDE | dict(window_batch=1))
    path = save_raster(tmp_path / 'a.tif', image)
    expected = whole(model, image)
    assert len(np.unique(expected)) > 2 or size[1] < 50
    for block in (64, 128, 512):
        assert np.array_equal(by_windows(model, path, block=block)[0], expected), block


@pytest.mark.parametrize('test_cfg', [
    dict(mode='slide', crop_size=(64, 64), stride=(64, 64)), dict(mode='slide', crop_size=(64, 64), stride=(17, 61)),
    dict(mode='slide', crop_size=(200, 48), stride=(70, 48)), dict(mode='slide', crop_size=(16, 16), stride=(8, 8))])
def test_any_grid(tmp_path, test_cfg):
    image = drawn(230, 310, 3)
    model = tiny_segmentor(test_cfg=test_cfg | dict(window_batch=1))
    path = save_raster(tmp_path / 'a.tif', image)
    for block in (48, 256):
        assert np.array_equal(by_windows(model, path, block=block)[0], whole(model, image))


@pytest.mark.parametrize('padding,value', [(dict(size=(128, 192)), 0), (dict(size_divisor=32), 3)])
@pytest.mark.parametrize('size', [(100, 150), (129, 193), (20, 400)])
def test_padding_is_that_of_the_whole_image(tmp_path, padding, value, size):
    image = drawn(*size, 4, 'uint16')
    model = tiny_segmentor(4, scale=16000., test_cfg=SLIDE | dict(window_batch=1), pad_val=value)
    model.data_preprocessor.test_cfg = padding
    path = save_raster(tmp_path / 'a.tif', image)
    assert np.array_equal(by_windows(model, path, block=64)[0], whole(model, image))


def test_several_windows_at_once_are_the_same_to_rounding(tmp_path):
    """Where a label differs, the two classes' logits are equal to rounding."""
    image = drawn(300, 700, 3)
    path, one, many = save_raster(tmp_path / 'a.tif', image), tiny_segmentor(), tiny_segmentor()
    one.test_cfg.window_batch, many.test_cfg.window_batch = 1, 7
    first, second = by_windows(one, path, block=128)[0], by_windows(many, path, block=128)[0]
    assert (first != second).mean() < 1e-3
    assert np.array_equal(second, whole(many, image)) or (second != whole(many, image)).mean() < 1e-3


def test_each_window_is_computed_once(tmp_path):
    image = drawn(500, 700, 3)
    model, path = tiny_segmentor(), save_raster(tmp_path / 'a.tif', image)
    whole(model, image)
    once, model.backbone.windows = model.backbone.windows, 0
    labels, found = by_windows(model, path, block=64)
    assert model.backbone.windows == once + 1 == found.total + 1  # one to know the shape of the logits
    assert overhead(found) == 0 and len(found.strips) == 1


def test_strips_where_logits_are_many(tmp_path):
    image = drawn(300, 900, 3)
    model, path = tiny_segmentor(test_cfg=SLIDE | dict(window_batch=1)), save_raster(tmp_path / 'a.tif', image)
    labels, found = by_windows(model, path, block=64, most_logits=1)
    assert len(found.strips) == 15 and overhead(found) > 0
    assert np.array_equal(labels, whole(model, image))
    few = by_windows(model, path, block=64, most_logits=20000)[1]
    assert 1 < len(few.strips) < 15 and few.total < found.total


@pytest.mark.parametrize('classes', [1, 2, 150])
def test_any_number_of_classes(tmp_path, classes):
    image = drawn(150, 250, 3)
    model = tiny_segmentor(classes=classes, test_cfg=SLIDE | dict(window_batch=1))
    labels = by_windows(model, save_raster(tmp_path / 'a.tif', image), block=64)[0]
    assert len(np.unique(labels)) > 1 and np.array_equal(labels, whole(model, image))


@pytest.mark.parametrize('kind', ['uint8', 'uint16'])
@pytest.mark.parametrize('bands', [1, 3, 4])
def test_models_of_colours_get_bgr_of_8_bits(tmp_path, kind, bands):
    """As OpenCV reads such files: gray repeated, alpha dropped, of 16 bits the upper 8."""
    model = tiny_segmentor(stock=True, test_cfg=SLIDE | dict(window_batch=1))
    image = drawn(100, 200, bands, kind)
    if bands == 4:
        image[..., 3] = np.iinfo(kind).max  # all opaque
    seen = (image >> 8 if kind == 'uint16' else image).astype(np.uint8)
    seen = seen.repeat(3, axis=2) if bands == 1 else seen[..., :3]
    path = save_raster(tmp_path / 'a.tif', image)
    assert np.array_equal(by_windows(model, path, block=64)[0], whole(model, seen))


def test_whole_mode_is_tiles_with_averaged_logits(tmp_path):
    image = drawn(300, 420, 3)
    path, tiled = save_raster(tmp_path / 'a.tif', image), tiny_segmentor(test_cfg=dict(mode='whole', window_batch=1))
    slid = tiny_segmentor(test_cfg=dict(mode='slide', crop_size=(128, 96), stride=(108, 76), window_batch=1))
    assert np.array_equal(by_windows(tiled, path, (128, 96), 20, block=64)[0], whole(slid, image))
    assert np.array_equal(by_windows(tiled, path, (300, 420), 20)[0], whole(tiled, image))
    assert np.array_equal(by_windows(tiled, path, (512, 512))[0], whole(tiled, image))


def test_a_tile_is_the_size_of_training():
    model = tiny_segmentor(test_cfg=dict(mode='whole'), size=(160, 80))
    assert grid_of(model, (1000, 1000)).crop == (160, 80)
    assert grid_of(model, (1000, 1000)).starts[0][:2] == (0, 150)  # an eighth of the shorter side
    model = tiny_segmentor(test_cfg=dict(mode='whole'))
    with pytest.raises(InputError, match='nothing says at what size .* give tile=512'):
        grid_of(model, (1000, 1000))
    model.cfg.crop_size = (96, 96)
    assert grid_of(model, (1000, 50)).crop == (96, 50)


@pytest.mark.parametrize('tile,overlap,words', [((64, 64), 64, 'overlap must be from 0'), ((64, 64), -1, 'got -1'),
                                                ((0, 64), 0, 'overlap must be')])
def test_wrong_tiles(tile, overlap, words):
    with pytest.raises(InputError, match=words):
        grid_of(tiny_segmentor(test_cfg=dict(mode='whole')), (100, 100), tile, overlap)


def test_models_that_slide_have_no_tiles():
    with pytest.raises(InputError, match=r"mode='whole'; this one slides windows of \(64, 96\)"):
        grid_of(tiny_segmentor(), (100, 100), tile=(64, 64))


@pytest.mark.parametrize('how', ['nodata', 'mask'])
def test_pixels_without_data(tmp_path, how):
    """They are labelled as such, others as if fill was there; windows without data are not computed."""
    model = tiny_segmentor(2, scale=16000., test_cfg=SLIDE | dict(window_batch=1))
    image = np.maximum(drawn(300, 500, 2, 'uint16'), 1)
    image[:, :260] = image[100:140, 300:333] = 0
    image[200:220, 400:420, 1] = 0  # in one of two bands, which is data
    empty = (image == 0).all(axis=2)
    if how == 'nodata':
        path = save_raster(tmp_path / 'a.tif', image, nodata=0)
    else:
        path = save_raster(tmp_path / 'a.tif', image, mask=~empty)
    labels, found = by_windows(model, path, block=64)
    assert found.skipped == 7 * 3  # rows of windows; columns 0 to 96, 80 to 176, 160 to 256
    assert model.backbone.windows == found.total - found.skipped + 1  # one to know the shape of the logits
    expected = whole(model, image)
    expected[empty] = 255
    assert np.array_equal(labels, expected)


@pytest.mark.parametrize('nodata', [None, 9])
def test_a_fourth_band_is_alpha_only_where_it_is_no_data_of_the_model(tmp_path, nodata):
    """GDAL takes the last of 4 bands of 8 bits for alpha; a model of 4 bands has it as near infrared, say."""
    image = np.maximum(drawn(150, 200, 4), 10)
    image[20:60, 30:90, 3] = 0
    image[100:120, 50:60] = 9
    image[:10, :, 2] = 9  # in one band, which leaves three
    path = save_raster(tmp_path / 'a.tif', image, photometric='RGB', alpha='unspecified', nodata=nodata)
    import rasterio
    with rasterio.open(path, 'r+') as raster:
        raster.colorinterp = [*raster.colorinterp[:3], rasterio.enums.ColorInterp.alpha]
    model = tiny_segmentor(4, test_cfg=SLIDE | dict(window_batch=1))
    model.cfg.test_pipeline[0].fill = 20
    filled = np.where(image == 9, 20, image) if nodata else image
    expected = whole(model, filled)
    expected[100:120, 50:60] = 255 if nodata else expected[100:120, 50:60]
    assert np.array_equal(by_windows(model, path)[0], expected)
    model = tiny_segmentor(3, test_cfg=SLIDE | dict(window_batch=1))
    model.cfg.test_pipeline[0].bands = [0, 1, 2]
    expected = whole(model, image[..., :3])
    expected[image[..., 3] == 0] = 255
    if not nodata:  # which GDAL would take before alpha
        assert np.array_equal(by_windows(model, path)[0], expected)


def test_nan_within_is_an_error_that_says_where(tmp_path):
    model, image = tiny_segmentor(2), drawn(200, 300, 2, 'float32')
    image[150, 250, 1] = np.nan
    with pytest.raises(DataError, match=r'a\.tif: pixel x=250, y=150 of band 1 is nan'):
        by_windows(model, save_raster(tmp_path / 'a.tif', image))


def test_truncated_rasters_fail_where_they_end(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (400, 500, 3), np.uint8)
    path = save_raster(tmp_path / 'a.tif', noise, tiled=True, blockxsize=64, blockysize=64)
    content = (tmp_path / 'a.tif').read_bytes()
    (tmp_path / 'a.tif').write_bytes(content[:len(content) // 2])
    with pytest.raises(DataError, match=r'a\.tif: cannot be read as a raster .*copy it again'):
        by_windows(tiny_segmentor(), path)


@pytest.mark.parametrize('stock,bands,kind,words', [
    (False, 4, 'uint8', 'has 4 bands, the model takes 3'), (True, 8, 'uint8', '8 bands of uint8, .*LoadBands'),
    (True, 3, 'float32', '3 bands of float32, .*LoadBands')])
def test_other_bands_than_the_models(tmp_path, stock, bands, kind, words):
    with pytest.raises(DataError, match=rf'a\.tif: has .*{words}|a\.tif: {words}'):
        by_windows(tiny_segmentor(stock=stock), save_raster(tmp_path / 'a.tif', drawn(20, 20, bands, kind)))


def test_colours_in_a_table(tmp_path):
    import rasterio
    path = save_raster(tmp_path / 'a.tif', drawn(20, 20, 1), photometric='palette')
    with rasterio.open(path, 'r+') as raster:
        raster.write_colormap(1, {0: (1, 2, 3, 255)})
    with pytest.raises(DataError, match=r'a\.tif: .*colours in a table; .*gdal_translate -expand rgb'):
        by_windows(tiny_segmentor(stock=True), path)


def test_blocks_too_large_for_bounded_memory(tmp_path, monkeypatch):
    from mmseg_vittm.inference.large import source
    image, model = drawn(200, 300, 3), tiny_segmentor()
    whole_block = save_raster(tmp_path / 'a.tif', image, tiled=True, blockxsize=304, blockysize=208, interleave='pixel')
    tiled = save_raster(tmp_path / 'b.tif', image, tiled=True, blockxsize=64, blockysize=64, interleave='pixel')
    monkeypatch.setattr(source, 'MOST_BLOCK', 304 * 208 * 3 - 1)
    with pytest.raises(DataError, match=r'a\.tif: its blocks are of 304 x 208 pixels, .*gdal_translate -co TILED=YES'):
        by_windows(model, whole_block)
    by_windows(model, tiled)
    monkeypatch.setattr(source, 'MOST_BLOCK', 304 * 208 * 3)
    by_windows(model, whole_block)


def test_blocks_are_decoded_once(tmp_path):
    """Those of a row stay in GDAL's cache until the next row of windows, which reads some of them again."""
    noise = np.random.default_rng(0).integers(0, 255, (600, 900, 3), np.uint8)
    path = save_raster(tmp_path / 'a.tif', noise, tiled=True, blockxsize=64, blockysize=64)

    def read() -> int:
        return int(Path('/proc/self/io').read_text().split()[1])

    model = tiny_segmentor()
    if not Path('/proc/self/io').exists():
        pytest.skip('this system does not tell what a process reads')
    before = read()
    by_windows(model, path)
    assert read() - before < 1.5 * noise.nbytes


def test_steps_of_the_test_pipeline():
    model = tiny_segmentor()
    model.cfg.test_pipeline = [dict(type='LoadBands'), dict(type='Resize', scale=(512, 128), keep_ratio=True),
                               dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
    reader, left_out = read_steps(model)
    assert isinstance(reader, LoadBands) and left_out == ['Resize']
    model.cfg.test_pipeline[1] = dict(type='ResizeToMultiple')
    with pytest.raises(InputError, match='test_pipeline has ResizeToMultiple, .*may follow'):
        read_steps(model)


def test_models_that_large_images_are_not_for():
    model = tiny_segmentor()
    check_model(model)
    with pytest.raises(InputError, match='SlideSegmentor .*got Linear'):
        check_model(torch.nn.Linear(1, 1))
