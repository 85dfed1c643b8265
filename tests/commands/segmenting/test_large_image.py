"""Large images to GeoTIFF: which go by windows, what is written, and that nothing is half or replaced unasked."""
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from limited import tree, with_small_files
from mmseg.models import EncoderDecoder
from PIL import Image
from rasters import SLIDE, drawn, save_raster, tiny_segmentor

from mmseg_vittm.commands.segmenting import by_windows as rule
from mmseg_vittm.commands.segmenting.label_raster import label_type, unlabelled
from mmseg_vittm.commands.segmenting.segment_files import plan_files, segment_files
from mmseg_vittm.errors import InputError, OutputError
from mmseg_vittm.inference.predictor import Predictor

rasterio = pytest.importorskip('rasterio', reason='the extra geo is not installed')
PLACE = dict(crs='EPSG:32632', transform=rasterio.transform.from_origin(500000, 5500000, 10, 10))


def labels_in(path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as raster:
            return raster.read(1)


@pytest.mark.parametrize('bands,kind,place,expected', [
    (3, 'uint8', {}, False), (3, 'uint8', PLACE, True), (3, 'uint8', dict(crs='EPSG:4326'), True),
    (3, 'uint16', {}, True), (4, 'uint8', {}, True), (1, 'uint8', {}, True)])
def test_which_go_by_windows(tmp_path, bands, kind, place, expected):
    path = Path(save_raster(tmp_path / 'a.tif', drawn(20, 30, bands, kind), **place))
    assert rule.goes_by_windows(path) is expected
    assert rule.goes_by_windows(path, 'always') is True and rule.goes_by_windows(path, 'never') is False


def test_large_ones_go_by_windows(tmp_path, monkeypatch):
    path = Path(save_raster(tmp_path / 'a.TIF', drawn(20, 30, 3)))
    monkeypatch.setattr(rule, 'MOST_PIXELS', 600)
    assert not rule.goes_by_windows(path)
    monkeypatch.setattr(rule, 'MOST_PIXELS', 599)
    assert rule.goes_by_windows(path)


def test_photographs_and_bad_files_do_not(tmp_path):
    Image.fromarray(drawn(20, 30, 3)).save(tmp_path / 'a.png')
    (tmp_path / 'b.tif').write_text('no image')
    assert not rule.goes_by_windows(tmp_path / 'a.png') and not rule.goes_by_windows(tmp_path / 'b.tif')
    with pytest.raises(InputError, match=r"by_windows must be one of \('auto', 'always', 'never'\), got 'foo'"):
        rule.goes_by_windows(tmp_path / 'a.png', 'foo')


def test_without_rasterio(tmp_path, monkeypatch):
    """TIFF goes the way it went before there was another; what only rasterio reads names what to install."""
    path = Path(save_raster(tmp_path / 'a.tif', drawn(20, 30, 3), **PLACE))
    (tmp_path / 'b.vrt').write_text('<VRTDataset/>')
    monkeypatch.setitem(__import__('sys').modules, 'rasterio', None)
    monkeypatch.setattr(rule.importlib.util, 'find_spec', lambda name: None)
    assert not rule.goes_by_windows(path)
    with pytest.raises(InputError, match=r"b\.vrt: needs rasterio; pip install 'mmseg-vittm\[geo\]'"):
        rule.goes_by_windows(tmp_path / 'b.vrt')
    with pytest.raises(InputError, match=r"a\.tif: needs rasterio; pip install 'mmseg-vittm\[geo\]'"):
        segment_files(tiny_segmentor(), str(path), str(tmp_path / 'out'), by_windows='always')


@pytest.mark.parametrize('bands,kind', [(3, 'uint8'), (8, 'uint16'), (1, 'float32')])
def test_labels_are_a_geotiff_like_the_image(tmp_path, bands, kind):
    image = drawn(700, 1100, bands, kind)
    path = save_raster(tmp_path / 'a.tif', image, **PLACE)
    model = tiny_segmentor(bands, scale=float(image.max()) / 4, test_cfg=SLIDE | dict(window_batch=1))
    segment_files(model, path, str(tmp_path / 'out'))
    assert tree(tmp_path / 'out').keys() == {'overlays', 'labels', 'overlays/a.tif.png', 'labels/a.tif.tif'}
    with rasterio.open(tmp_path / 'out/labels/a.tif.tif') as raster:
        labels = raster.read(1)
        assert raster.crs.to_epsg() == 32632 and raster.transform == PLACE['transform']
        assert raster.dtypes == ('uint8', ) and raster.nodata == 255 and raster.compression.name == 'deflate'
        assert raster.block_shapes == [(512, 512)] and raster.overviews(1) == [2, 4]
        assert raster.tags(1).items() >= {f'CLASS_{number}': f'class {number}' for number in range(7)}.items()
        colours = raster.colormap(1)
        assert [list(colours[number][:3]) for number in range(7)] == model.dataset_meta['palette']
    assert np.array_equal(labels, Predictor(model)(image).labels)
    overlay = np.asarray(Image.open(tmp_path / 'out/overlays/a.tif.png'))
    assert overlay.shape[0] == 700 and overlay.shape[1] > 1100
    assert np.array_equal(overlay[:, :1100], Predictor(model)(path).overlay(0.5)) or kind != 'uint8'


def test_stock_models_read_geotiff_by_windows_too(tmp_path):
    image = drawn(200, 300, 3)
    Image.fromarray(image).save(tmp_path / 'a.png')
    model = tiny_segmentor(stock=True, test_cfg=SLIDE | dict(window_batch=1))
    segment_files(model, save_raster(tmp_path / 'a.tif', image, **PLACE), str(tmp_path / 'out'))
    assert np.array_equal(labels_in(tmp_path / 'out/labels/a.tif.tif'), Predictor(model)(tmp_path / 'a.png').labels)


def test_photographs_and_rasters_in_one_folder(tmp_path, capsys):
    folder = tmp_path / 'in'
    folder.mkdir()
    Image.fromarray(drawn(50, 60, 3)).save(folder / 'a.png')
    save_raster(folder / 'b.tif', drawn(50, 60, 3))
    save_raster(folder / 'c.tif', drawn(50, 60, 3), **PLACE)
    save_raster(folder / 'd.img', drawn(50, 60, 3), driver='HFA')
    model = tiny_segmentor(stock=True)
    for overwrite in (False, True):
        segment_files(model, str(folder), str(tmp_path / 'out'), overwrite=overwrite)
        assert {path.name for path in (tmp_path / 'out/labels').iterdir()} == {'a.png.png', 'b.tif.png', 'c.tif.tif',
                                                                               'd.img.tif'}
        assert '4/4' in capsys.readouterr().out
    with pytest.raises(InputError, match=r'c\.tif\.tif.*there already; .* overwrite=True'):
        segment_files(model, str(folder / 'c.tif'), str(tmp_path / 'out'))


def test_a_model_that_is_not_for_windows(tmp_path):
    """Small TIFFs of colours go through it like photographs; of the others each fails by itself."""
    folder = tmp_path / 'in'
    folder.mkdir()
    Image.fromarray(drawn(50, 60, 3)).save(folder / 'a.png')
    save_raster(folder / 'b.tif', drawn(50, 60, 1))
    save_raster(folder / 'c.tif', drawn(50, 60, 3), **PLACE)
    save_raster(folder / 'd.tif', drawn(50, 60, 8, 'uint16'), **PLACE)
    model = tiny_segmentor(stock=True, test_cfg=dict(mode='whole'))
    model.__class__ = EncoderDecoder
    with pytest.raises(InputError, match=r'd\.tif: large images are for a SlideSegmentor'):
        segment_files(model, str(folder), str(tmp_path / 'out'))
    assert not list((tmp_path / 'out').rglob('*.png'))
    with pytest.raises(InputError, match=r'1 of 4 inputs failed.*d\.tif'):
        segment_files(model, str(folder), str(tmp_path / 'out'), keep_going=True)
    assert {path.name for path in (tmp_path / 'out/labels').iterdir()} == {'a.png.png', 'b.tif.png', 'c.tif.png'}
    with pytest.raises(InputError, match='large images are for a SlideSegmentor'):
        segment_files(model, str(folder / 'c.tif'), str(tmp_path / 'other'), by_windows='always')
    (tmp_path / 'out/labels/a.png.png').unlink()
    (tmp_path / 'out/overlays/a.png.png').unlink()
    with pytest.raises(InputError, match=r'c\.tif\.png.*there already'):
        segment_files(model, str(folder / 'c.tif'), str(tmp_path / 'out'))


def test_a_vrt_is_a_raster(tmp_path):
    image = drawn(50, 60, 3)
    save_raster(tmp_path / 'c.tif', image)
    bands = ''.join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource><SourceFilename relativeToVRT="1">c.tif'
        f'</SourceFilename><SourceBand>{4 - band}</SourceBand></SimpleSource></VRTRasterBand>' for band in (1, 2, 3))
    (tmp_path / 'c.vrt').write_text(f'<VRTDataset rasterXSize="60" rasterYSize="50">{bands}</VRTDataset>')
    model = tiny_segmentor()
    segment_files(model, str(tmp_path / 'c.vrt'), str(tmp_path / 'out'), by_windows='always')
    assert np.array_equal(labels_in(tmp_path / 'out/labels/c.vrt.tif'), Predictor(model)(image[..., ::-1]).labels)


def test_any_image_goes_by_windows_where_it_is_told_to(tmp_path):
    image = drawn(130, 170, 3)
    Image.fromarray(image).save(tmp_path / 'a.png')
    model = tiny_segmentor()
    segment_files(model, str(tmp_path / 'a.png'), str(tmp_path / 'out'), by_windows='always')
    assert np.array_equal(labels_in(tmp_path / 'out/labels/a.png.tif'), Predictor(model)(image).labels)


def test_pixels_without_data_and_many_classes(tmp_path):
    image = np.maximum(drawn(150, 200, 2, 'uint16'), 1)
    image[:40] = 0
    path = save_raster(tmp_path / 'a.tif', image, nodata=0)
    for classes, kind, nothing in ((7, 'uint8', 255), (300, 'uint16', 65535)):
        out = tmp_path / str(classes)
        segment_files(tiny_segmentor(2, classes, scale=16000.), path, str(out))
        with rasterio.open(out / 'labels/a.tif.tif') as raster:
            labels = raster.read(1)
            assert raster.dtypes == (kind, ) and raster.nodata == nothing == labels[0, 0]
        assert np.array_equal(labels == nothing, (image == 0).all(axis=2)) and len(np.unique(labels)) > 2
    assert (label_type(255), unlabelled(255)) == (np.uint8, 255)
    assert (label_type(256), unlabelled(256)) == (np.uint16, 65535)  # 255 is a class there


def test_ground_control_points(tmp_path):
    points = [rasterio.control.GroundControlPoint(row, col, x, y) for row, col, x, y in
              ((0, 0, 10, 50), (0, 60, 11, 50), (50, 0, 10, 49), (50, 60, 11, 49))]
    path = save_raster(tmp_path / 'a.tif', drawn(50, 60, 4), gcps=points, crs='EPSG:4326')
    segment_files(tiny_segmentor(4), path, str(tmp_path / 'out'))
    with rasterio.open(tmp_path / 'out/labels/a.tif.tif') as raster:
        found, crs = raster.gcps
        assert crs.to_epsg() == 4326
        assert [(p.row, p.col, p.x, p.y) for p in found] == [(p.row, p.col, p.x, p.y) for p in points]


def test_overlays_are_small(tmp_path, monkeypatch):
    from mmseg_vittm.inference.large import thumbnail
    monkeypatch.setattr(thumbnail.Thumbnail.__init__, '__defaults__', (100, ))
    image = drawn(330, 701, 3)
    model = tiny_segmentor(test_cfg=SLIDE | dict(window_batch=1))
    segment_files(model, save_raster(tmp_path / 'a.tif', image, **PLACE), str(tmp_path / 'out'), opacity=0)
    overlay = np.asarray(Image.open(tmp_path / 'out/overlays/a.tif.png'))
    shown = image[4::8, 4::8]
    assert np.array_equal(overlay[:shown.shape[0], :shown.shape[1]], shown)


def test_failing_leaves_nothing(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (900, 900, 3), np.uint8)
    path = save_raster(tmp_path / 'a.tif', noise, tiled=True, blockxsize=64, blockysize=64)
    content = (tmp_path / 'a.tif').read_bytes()
    (tmp_path / 'a.tif').write_bytes(content[:len(content) * 3 // 4])  # the second row of blocks
    with pytest.raises(InputError, match=r'a\.tif: cannot be read as a raster'):
        segment_files(tiny_segmentor(), path, str(tmp_path / 'out'), by_windows='always')
    assert not (tmp_path / 'out').exists()


def test_an_interrupt_leaves_what_was_there(tmp_path, monkeypatch):
    path = save_raster(tmp_path / 'a.tif', drawn(900, 900, 3), **PLACE)
    model = tiny_segmentor(test_cfg=SLIDE | dict(window_batch=2))
    segment_files(model, path, str(tmp_path / 'out'))
    before = tree(tmp_path / 'out')
    run, calls = model.network, []

    def network(windows):
        calls.append(1)
        if len(calls) > 100:
            raise KeyboardInterrupt
        return run(windows)
    monkeypatch.setattr(model, 'network', network)
    with pytest.raises(KeyboardInterrupt):
        segment_files(model, path, str(tmp_path / 'out'), overwrite=True)
    assert len(calls) > 100 and tree(tmp_path / 'out') == before


def test_no_room_on_the_disk(tmp_path):
    """Files of this process may have 20,000 bytes, of which labels of noise need more."""
    model = tiny_segmentor(test_cfg=dict(mode='slide', crop_size=(64, 64), stride=(64, 64)))
    noise = np.random.default_rng(0).integers(0, 255, (600, 1100, 3), np.uint8)
    path = save_raster(tmp_path / 'a.tif', noise, **PLACE)
    error = with_small_files(20000, segment_files, model, path, str(tmp_path / 'out'))
    assert isinstance(error, OutputError) and 'a.tif.tif: cannot be written' in str(error)
    assert not [path for path in (tmp_path / 'out').rglob('*') if path.is_file()]


@pytest.mark.parametrize('options,words', [
    (dict(tile=0), 'tile must be 1 or more'), (dict(overlap=-1), 'overlap 0 or more'),
    (dict(tile=64), 'this one slides windows of'), (dict(by_windows='x'), 'by_windows must be one of')])
def test_wrong_options(tmp_path, options, words):
    path = save_raster(tmp_path / 'a.tif', drawn(50, 60, 3), **PLACE)
    with pytest.raises(InputError, match=words):
        segment_files(tiny_segmentor(), path, str(tmp_path / 'out'), **options)
    assert not (tmp_path / 'out').exists()


def test_tiles_of_models_that_see_images_whole(tmp_path):
    image = drawn(200, 300, 3)
    path = save_raster(tmp_path / 'a.tif', image, **PLACE)
    segment_files(tiny_segmentor(test_cfg=dict(mode='whole')), path, str(tmp_path / 'out'), tile=96, overlap=16)
    slid = tiny_segmentor(test_cfg=dict(mode='slide', crop_size=(96, 96), stride=(80, 80)))
    assert np.array_equal(labels_in(tmp_path / 'out/labels/a.tif.tif'), Predictor(slid)(image).labels)


def test_plans_name_results_before_anything_runs(tmp_path):
    path = Path(save_raster(tmp_path / 'a.tif', drawn(50, 60, 3), **PLACE))
    plan = plan_files(str(path), str(tmp_path / 'out'))
    assert plan.results.by_windows == {path} and plan.results.labels_of(path).name == 'a.tif.tif'
    (tmp_path / 'out/labels').mkdir(parents=True)
    (tmp_path / 'out/labels/a.tif.tif').write_text(json.dumps('mine'))
    with pytest.raises(InputError, match=r'a\.tif\.tif: there already'):
        plan_files(str(path), str(tmp_path / 'out'))
