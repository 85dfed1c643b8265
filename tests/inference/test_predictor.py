"""Predictor: images of every kind, in order, in batches, with errors that name the image; from several threads too."""
import copy
import io
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.apis import inference_model
from mmseg.registry import MODELS, TRANSFORMS
from PIL import Image
from tool_runs import write_config

from mmseg_vittm import Prediction, Predictor, optimize
from mmseg_vittm.errors import InputError
from mmseg_vittm.inference.batch_queue import BATCHES_AHEAD
from mmseg_vittm.inference.windows import resampling_matrix

MODES = dict(slide=dict(mode='slide', crop_size=(64, 64), stride=(48, 48)), whole=dict(mode='whole'))

RESIZE = (dict(type='Resize', scale=(256, 96), keep_ratio=True), )


def picture(height: int = 70, width: int = 90, seed: int = 0) -> np.ndarray:
    """A picture of low frequencies, (H, W, 3) uint8 RGB."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(noise).resize((width, height), Image.BICUBIC))


def encoded(image: Image.Image | np.ndarray, kind: str = 'PNG', **options) -> bytes:
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope='module')
def build(tmp_path_factory):
    """Builds the tiny model of a mode, and of any changes to its config; the same weights at every call."""
    path = write_config(tmp_path_factory.mktemp('model'))

    def build(mode: str = 'slide', kind: str = 'SlideSegmentor', resize: tuple = RESIZE):
        cfg = Config.fromfile(path)
        cfg.model.update(type=kind, test_cfg=MODES[mode])
        cfg.test_pipeline = [step for step in cfg.test_pipeline if step.type != 'Resize']
        cfg.test_pipeline[1:1] = resize
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope('mmseg'):
            model = MODELS.build(cfg.model).eval()
        for weight in model.parameters():  # not the constant labels of a fresh model
            weight.data += 0.3 * torch.randn_like(weight)
        model.cfg = cfg
        model.dataset_meta = dict(classes=[f'class {n}' for n in range(14)],
                                  palette=[[10 * n, 255 - 10 * n, n] for n in range(14)])
        return model
    return build


@pytest.fixture(scope='module')
def model(build):
    return build()


@pytest.fixture(scope='module')
def predictor(model):
    return Predictor(model)


def same(got: np.ndarray, expected: np.ndarray, least: float = 0.999) -> bool:
    return got.shape == expected.shape and (got == expected).mean() >= least and len(np.unique(expected)) > 1


@pytest.mark.parametrize('kind', ['SlideSegmentor', 'EncoderDecoder'])
@pytest.mark.parametrize('mode', MODES)
def test_labels_of_mmsegmentations_own_api(build, mode, kind, tmp_path, mmseg_scope):
    model = build(mode, kind)
    paths = []
    for n, size in enumerate([(70, 90), (64, 64), (200, 120), (70, 90), (31, 77), (140, 180)]):
        paths.append(str(tmp_path / f'{n}.png'))
        Image.fromarray(picture(*size, seed=n)).save(paths[-1])
    predictions = Predictor(model)(paths)
    assert [prediction.name for prediction in predictions] == paths
    for path, prediction in zip(paths, predictions, strict=True):
        expected = inference_model(model, path).pred_sem_seg.data[0].numpy()
        assert same(prediction.labels, expected) and prediction.labels.dtype == np.uint8
        assert np.array_equal(prediction.image, np.asarray(Image.open(path)))


def kinds_of(image: np.ndarray, folder: Path) -> dict:
    """The same RGB picture in every kind; PNG is lossless."""
    path, bgr = folder / 'street.png', image[..., ::-1]
    path.write_bytes(encoded(image))
    alpha = np.full((*image.shape[:2], 1), 7, np.uint8)
    cases = dict(path=path, text=str(path), content=path.read_bytes(), buffer=memoryview(path.read_bytes()), bgr=bgr,
                 bgra=np.concatenate([bgr, alpha], 2), deep=bgr.astype(np.uint16) * 256 + 99, wide=bgr.astype(np.int64),
                 floats=bgr.astype(np.float64), fortran=np.asfortranarray(bgr), rgb=Image.fromarray(image),
                 big_endian=(bgr.astype(np.uint16) * 256).astype('>u2'), opened=Image.open(path))
    cases['rgba'] = Image.fromarray(np.concatenate([image, alpha], 2))
    cases['rgba_file'] = encoded(cases['rgba'])
    return cases


def gray_kinds_of(gray: np.ndarray) -> dict:
    image, deep = Image.fromarray(gray), gray.astype(np.uint16) * 256
    cases = dict(array=gray, column=gray[..., None], content=encoded(image), L=image, LA=image.convert('LA'),
                 P=image.convert('P'), deep=deep, I16=Image.fromarray(deep), I=image.convert('I'), F=image.convert('F'))
    return cases | dict(deep_file=encoded(cases['I16']), LA_file=encoded(cases['LA']), palette_file=encoded(cases['P']),
                        rgb=image.convert('RGB'))


def test_every_kind_of_a_picture_has_the_same_labels(predictor, tmp_path):
    for cases in (kinds_of(picture(), tmp_path), gray_kinds_of(picture()[..., 0])):
        results = [predictor(case) for case in cases.values()]
        for name, result in zip(cases, results, strict=True):
            assert np.array_equal(result.image, results[0].image), name
            assert np.array_equal(result.labels, results[0].labels), name
    black_and_white = picture()[..., 0] > 128
    files = [black_and_white, Image.fromarray(black_and_white), encoded(Image.fromarray(black_and_white))]
    assert all(np.array_equal(result.image, predictor(files[0]).image) for result in predictor(files))
    cmyk = Image.fromarray(picture()).convert('CMYK')
    difference = predictor(cmyk).image.astype(int) - predictor(encoded(cmyk, 'TIFF')).image
    assert abs(difference).max() <= 1


def test_order_of_channels(model, predictor):
    image = picture()
    assert np.array_equal(Predictor(model, channel_order='rgb')(image).labels, predictor(image[..., ::-1]).labels)
    assert not np.array_equal(predictor(image).labels, predictor(image[..., ::-1]).labels)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
def test_exif_orientation_turns_files_and_pillow_images_alike(predictor, kind):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x112] = orientation
        content = encoded(picture(40, 64), kind, exif=exif)
        results = predictor([content, Image.open(io.BytesIO(content))])
        assert np.array_equal(results[0].image, results[1].image)
        assert np.array_equal(results[0].labels, results[1].labels)
        assert results[0].labels.shape == ((40, 64) if orientation < 5 else (64, 40))


def test_images_are_not_written_to_and_share_no_memory(predictor):
    array = picture()[..., ::-1].copy()
    array.flags.writeable = False
    result = predictor(array)
    assert not np.shares_memory(result.image, array)
    frame = np.zeros((70, 90, 3), np.uint8)

    def frames():
        for seed in range(6):  # as a camera that fills one buffer
            frame[:] = picture(seed=seed)[..., ::-1]
            yield frame
    for seed, result in enumerate(predictor(frames())):
        assert np.array_equal(result.image, picture(seed=seed))
        assert np.array_equal(result.labels, predictor(picture(seed=seed)[..., ::-1]).labels)


class Batches:
    """Notes which batches go through a model."""

    def __init__(self, model, monkeypatch):
        self.sizes, test_step = [], model.test_step
        monkeypatch.setattr(model, 'test_step', lambda data: self.sizes.append(len(data['inputs'])) or test_step(data))


def test_mixed_sizes_keep_their_order_and_go_in_batches(model, monkeypatch):
    batches = Batches(model, monkeypatch)
    sizes = [(64, 64), (70, 90), (96, 64), (64, 64)] * 5
    images = [picture(*size, seed=n)[..., ::-1] for n, size in enumerate(sizes)]
    results = Predictor(model)(images)
    assert [result.labels.shape for result in results] == sizes
    assert [result.name for result in results] == [f'images[{n}]' for n in range(20)]
    assert sum(batches.sizes) == 20 and len(batches.sizes) <= 8 and max(batches.sizes) == 4
    alone = Predictor(model, batch_size=1)
    batches.sizes.clear()
    for image, result in zip(images, results, strict=True):
        assert same(result.labels, alone(image).labels) and np.array_equal(result.image, image[..., ::-1])
    assert batches.sizes == [1] * 20


@pytest.mark.parametrize('batch_size', [1, 3])
def test_generators_are_read_as_results_are_asked_for(model, batch_size):
    given = []

    def source():
        for n in range(60):
            given.append(n)
            yield picture(32 + n % 7, 40, seed=n)
    ahead = BATCHES_AHEAD * batch_size if batch_size > 1 else 1
    results = Predictor(model, batch_size)(source())
    assert not given
    for n, result in enumerate(results):
        assert result.name == f'images[{n}]' and result.labels.shape == (32 + n % 7, 40)
        assert len(given) - n <= ahead
    assert n == 59


def test_large_images_are_not_kept(model, monkeypatch):
    monkeypatch.setattr('mmseg_vittm.inference.batch_queue.PIXELS_AHEAD', 70 * 90 * 3)
    given = []
    results = Predictor(model)(given.append(n) or picture(70 + n, 90) for n in range(12))
    assert all(len(given) - n <= 3 for n, _ in enumerate(results))


def bad_images(folder: Path) -> dict:
    """Images that cannot be segmented, and what their error says."""
    image, png, jpeg = picture(), encoded(picture()), encoded(picture(), 'JPEG')
    progressive, tiff = encoded(picture(), 'JPEG', progressive=True), encoded(picture(), 'TIFF')
    files = dict(empty=b'', text=b'no picture', png=png[:len(png) // 2], jpeg=jpeg[:len(jpeg) // 2],
                 progressive=progressive[:len(progressive) // 2], tiff=tiff[:-500], bmp=encoded(image, 'BMP')[:-500],
                 webp=encoded(image, 'WEBP')[:-50], gif=encoded(image, 'GIF')[:-50], header=png[:8],
                 late=jpeg[:-40])
    for name, content in files.items():
        (folder / name).write_bytes(content)
    half = Image.open(folder / 'jpeg')
    nan, infinite = image.astype(np.float32), image.astype(np.float16)
    nan[3, 4, 1], infinite[0, 0, 0] = np.nan, np.inf
    paths = {folder / name: 'empty' if name == 'empty' else 'cannot be read as an image' for name in files}
    arrays = [(np.zeros((0, 60, 3), np.uint8), 'no pixels'), (np.zeros((60, 0), np.uint8), 'no pixels'),
              (np.zeros((0, 0, 4), np.uint8), 'no pixels'), (nan, 'NaN'), (infinite, 'infinite'),
              (np.full((5, 5), np.nan), 'NaN'), (image / 255, 'multiply by 255'), (image - 300.0, 'from 0 to 255'),
              (image.astype(np.int32) * 2, 'from 0 to 255'), (-image.astype(np.int8), 'from 0 to 255'),
              (np.zeros((4, 5, 5), np.uint8), 'channels'), (np.zeros((4, 5, 2), np.uint8), 'channels'),
              (np.zeros((3, 40, 50), np.uint8), 'channels last'), (np.zeros((2, 4, 5, 3), np.uint8), 'shape'),
              (np.zeros(7, np.uint8), 'shape'), (np.ones(()), 'shape'),
              (image.astype(object), 'dtype object'), (image.astype(complex), 'dtype complex'),
              (image.astype(str), 'dtype'), (image.astype('datetime64[s]'), 'dtype')]
    others = [(None, 'NoneType'), (3, 'int'), (torch.zeros(3, 8, 8), 'Tensor'), ([image], 'list'), ({}, 'dict'),
              (half, 'truncated'), (Image.new('RGB', (0, 5)), 'no pixels'), (png[:60], 'damaged'), (b'', 'empty'),
              (np.zeros((1, 4000, 3), np.uint8), 'test_pipeline fails')]
    return dict(paths=[*paths.items(), (folder / 'none.png', 'no such file'), (str(folder), 'folder'),
                       ('nul\0.png', 'null')], others=[*arrays, *others, ('', 'path is empty')])


def test_every_bad_image_is_named_and_the_rest_is_segmented(predictor, tmp_path):
    cases = bad_images(tmp_path)
    bad = [*cases['paths'], *cases['others']]
    good = picture()[..., ::-1]
    expected = predictor(good).labels
    mixed = [image for case, _ in bad for image in (case, good)]
    results = predictor(mixed, on_error='return')
    assert len(results) == len(mixed)
    for n, (case, text) in enumerate(bad):
        error = results[2 * n]
        assert isinstance(error, InputError) and '\n' not in str(error) and text in str(error), (case, error)
        name = str(case) if isinstance(case, (str, Path)) and case else f'images[{2 * n}]'
        assert str(error).startswith(f'{name}: '), (case, error)
        assert error.__traceback__ is None and error.__cause__ is None  # nor the images in their frames
        assert isinstance(results[2 * n + 1], Prediction) and same(results[2 * n + 1].labels, expected)
        with pytest.raises(InputError, match=re.escape('images[1]' if name.startswith('images') else name)):
            predictor([good, case])
        with pytest.raises(InputError):
            predictor(case if not isinstance(case, list) else [case])
    assert len(bad) >= 45


def test_strange_paths_in_a_stream(predictor, tmp_path, monkeypatch):
    """The error stands in its place, and what follows is segmented."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo('pipe.png')
    Path('endless.png').symlink_to('/dev/zero')
    Path('~root.png').write_bytes(encoded(picture()))
    Path('~').write_bytes(encoded(picture()))
    bad = ['~a.jpg', '~a\0.jpg', '~nobody/x/b.jpg', '~\udcff.jpg', 'pipe.png', 'endless.png', '~/none.jpg', 'x' * 300,
           Path('~a.jpg'), '/dev/zero', '/proc/self/mem', '.']
    good = ['~root.png', Path('~'), picture()]
    results = list(predictor(iter([image for name in bad for image in (name, *good)]), on_error='return'))
    for number, name in enumerate(bad):
        error, *rest = results[4 * number:4 * number + 4]
        assert isinstance(error, InputError) and Path(name).name in str(error), (name, error)
        assert all(isinstance(result, Prediction) for result in rest)


def test_results_before_an_error_come_out(predictor):
    images = [picture(seed=n)[..., ::-1] for n in range(3)]
    results = predictor(iter([*images, None, images[0]]))
    assert [next(results).name for _ in range(3)] == ['images[0]', 'images[1]', 'images[2]']
    with pytest.raises(InputError, match=r'images\[3\]'):
        next(results)

    def failing():
        yield from images
        raise KeyError('camera')
    results = predictor(failing())
    assert len([next(results) for _ in range(3)]) == 3
    with pytest.raises(KeyError, match='camera'):
        next(results)


def test_no_images_are_an_error(predictor):
    for nothing in ([], (), iter([])):
        with pytest.raises(InputError, match='no images'):
            list(predictor(nothing, on_error='return'))


def test_a_model_that_fails_on_one_image_of_a_batch(model, monkeypatch):
    images = [picture(seed=n) for n in range(4)]
    images[2] = np.zeros_like(images[2])
    test_step = model.test_step

    def fails_on_black(data):
        if any(image.max() == 0 for image in data['inputs']):
            raise RuntimeError('out of memory\nand more')
        return test_step(data)
    monkeypatch.setattr(model, 'test_step', fails_on_black)
    results = Predictor(model)(images, on_error='return')
    assert [isinstance(result, Prediction) for result in results] == [True, True, False, True]
    assert str(results[2]) == ('images[2]: the model fails on this image of 90 x 70 pixels '
                               '(RuntimeError: out of memory and more)')
    with pytest.raises(InputError, match=r'images\[2\]') as caught:
        Predictor(model)(images)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_the_config_stays_and_so_does_the_stock_api(build, tmp_path, mmseg_scope):
    model = build()
    path = tmp_path / 'a.png'
    Image.fromarray(picture()).save(path)
    before = copy.deepcopy(model.cfg.to_dict())
    predictor = Predictor(model)
    first = [predictor(source).labels for source in (path, picture()[..., ::-1], path, Image.open(path))]
    predictor([None, path], on_error='return')
    assert model.cfg.to_dict() == before
    assert all(np.array_equal(labels, first[0]) for labels in first)
    assert np.array_equal(inference_model(model, str(path)).pred_sem_seg.data[0].numpy(), first[0])
    inference_model(model, picture())  # after which the stock API takes no more paths from this config
    with pytest.raises(KeyError):
        inference_model(model, str(path))
    assert np.array_equal(predictor(path).labels, first[0]) and np.array_equal(Predictor(model)(path).labels, first[0])


def test_constructor_errors(build):
    model = build()
    for options, text in ((dict(batch_size=0), 'batch_size'), (dict(batch_size=2.5), 'batch_size'),
                          (dict(channel_order='rbg'), 'channel_order')):
        with pytest.raises(InputError, match=text):
            Predictor(model, **options)
    with pytest.raises(InputError, match='on_error'):
        Predictor(model)([picture()], on_error='skip')
    model.cfg.test_pipeline[0].color_type = 'unchanged'
    with pytest.raises(InputError, match='color_type'):
        Predictor(model)
    model.cfg.test_pipeline = []
    with pytest.raises(InputError, match='test_pipeline'):
        Predictor(model)
    del model.cfg
    with pytest.raises(InputError, match='cfg'):
        Predictor(model)
    model = build().train()
    model.dataset_meta = None
    assert Predictor(model).classes[0] == 'sky' and not model.training  # the config's data set says them
    model.dataset_meta = dict(classes=list('abcdefghijklmn'))  # names alone
    assert len(Predictor(model).palette) == 14
    model.dataset_meta = dict(classes=['too', 'few'])
    with pytest.raises(InputError, match='14 classes.*names 2'):
        Predictor(model)


def test_overlay(predictor):
    prediction = predictor(picture())
    assert prediction.overlay().shape == (70, 90, 3) and prediction.overlay().dtype == np.uint8
    assert np.array_equal(prediction.overlay(opacity=0), prediction.image)
    assert tuple(prediction.overlay(opacity=1)[0, 0]) == prediction.palette[prediction.labels[0, 0]]
    assert prediction.overlay(legend=True).shape[1] > 90


def in_threads(count: int, work) -> list:
    """Runs `work(number)` in threads that start together."""
    barrier = threading.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda number: barrier.wait() is not None and work(number), range(count)))


@pytest.mark.parametrize('fast', [None, False, pytest.param(dict(backend='eager'), marks=pytest.mark.slow)],
                         ids=['plain', 'optimized', 'compiled'])
@pytest.mark.parametrize('mode', MODES)
def test_four_threads_give_the_labels_of_one(build, mode, fast):
    """They share a predictor, or the model alone, over more sizes than any cache holds."""
    model = build(mode, resize=())
    if fast is not None:
        torch._dynamo.reset()
        optimize(model, compile=fast)
    images = [picture(40 + 3 * n, 130 - 2 * n, seed=n)[..., ::-1] for n in range(6 if fast else 40)]
    shared = Predictor(model, batch_size=1 if fast else 4)  # compiled, every number of images is a graph of its own
    expected = [prediction.labels for prediction in Predictor(build(mode, resize=()))(images)]

    def work(number: int) -> list[np.ndarray]:
        order = np.random.default_rng(number).permutation(len(images))
        predictor = shared if number % 2 else Predictor(model, batch_size=1 if fast else 2)
        found = dict(zip(order, predictor(images[n] for n in order), strict=True))
        return [found[n].labels for n in range(len(images))]
    assert sum(len(np.unique(labels)) > 1 for labels in expected) > len(expected) / 3
    for labels in in_threads(4, work):
        assert all(got.shape == one.shape and (got == one).mean() >= 0.999
                   for got, one in zip(labels, expected, strict=True))
    assert resampling_matrix.cache_info().currsize <= resampling_matrix.cache_info().maxsize


@TRANSFORMS.register_module()
class NotesInItself(BaseTransform):
    """As MMSegmentation's ResizeShortestEdge, which notes the image's scale in itself before it uses it."""

    def transform(self, results: dict) -> dict:
        self.shape = results['img'].shape
        time.sleep(0.02)
        assert self.shape == results['img'].shape, 'of another thread'
        return results


def test_threads_do_not_share_what_transforms_note(build):
    predictor = Predictor(build(resize=(dict(type='NotesInItself'), )))
    shapes = in_threads(4, lambda number: predictor([picture(64, 64 + number)] * 3)[2].labels.shape)
    assert shapes == [(64, 64 + number) for number in range(4)]
