"""Predictor: a segmentor and the pipeline of its config, for images of any kind, one or many."""
import copy
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import mmcv.transforms
import numpy as np
import torch
from mmengine.dataset import Compose
from mmseg.registry import DATASETS
from torch import nn

from ..errors import InputError, one_line
from ..visualization.pictures import add_legend, overlay
from .host_memory import Trimmer
from .images import CHANNEL_ORDERS, Source, decode
from .test_pipeline import build_test_pipeline

ON_ERROR = ('raise', 'return')
COLOR_TYPES = ('color', 'color_ignore_orientation')
BATCHES_AHEAD = 4  # that many batches of images are read before the first of them must go through the model
PIXELS_AHEAD = 2**26
_trim = Trimmer()  # the process's


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a segmentor sees in an image.

    Attributes:
        name: The image's path, or its place in the list, such as `'images[3]'`.
        image: The image (H, W, 3), uint8 RGB, turned as its EXIF orientation says.
        labels: Class indices (H, W) at the image's size: uint8, or uint16 with more than 256 classes.
        classes: Names of the classes.
        palette: One RGB colour per class.
    """
    name: str
    image: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)
    palette: tuple[tuple[int, int, int], ...] = field(repr=False)

    def overlay(self, opacity: float = 0.5, legend: bool = False) -> np.ndarray:
        """Returns the image under the labels' colours, (H, W, 3) uint8 RGB.

        Args:
            opacity: Weight of the labels' colours, 0 to 1.
            legend: Set the classes seen and their share of the area beside it, which makes the picture wider.
        """
        picture = overlay(self.image, self.labels, self.palette, opacity)
        return add_legend(picture, self.labels, self.classes, self.palette) if legend else picture


@dataclass
class _Item:
    """An image on its way: `data` is what the pipeline made of it, until `result` is there."""
    name: str
    image: np.ndarray | None = None
    data: dict | None = None
    result: Prediction | InputError | None = None

    @property
    def kind(self) -> tuple:
        """What the images of a batch have in common; the segmentors look at the first one's meta data only."""
        meta = self.data['data_samples'].metainfo
        return self.data['inputs'].shape, meta.get('img_shape'), meta.get('pad_shape')


class Predictor:
    """Segments images with a model and its config's `test_pipeline`; the labels of `mmseg.apis.inference_model`.

    An image is a path, the bytes of an image file, an array or a Pillow image; see `decoding.decode` for shapes, types
    and values. The same picture gives the same labels in every kind. Neither the model's config nor an image is
    written to. Several threads may share a predictor, or a model.

    Args:
        model: A segmentor of `mmseg.apis.init_model` or `engine.loading.load_model`, `mmseg_vittm.optimize`d or not.
            It is put into evaluation mode.
        batch_size: Images of the same size after the pipeline go through the model together, up to so many; 1 is for
            live streams, where every result should follow its image.
        channel_order: `'bgr'`, as in MMSegmentation and OpenCV, or `'rgb'`: of arrays with colour.

    Raises:
        InputError: An argument is none of these, or the model has no config whose `test_pipeline` loads images by
            `LoadImageFromFile` in colour.
    """

    def __init__(self, model: nn.Module, batch_size: int = 4, channel_order: str = 'bgr'):
        if not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(f'batch_size must be a positive integer, got {batch_size!r}')
        _check_choice('channel_order', channel_order, CHANNEL_ORDERS)
        self.model, self.batch_size, self.channel_order = model, batch_size, channel_order
        self._reader, self._pipeline = _build_pipeline(model)
        self.classes, self.palette = _classes_of(model)
        self._label_type = np.uint8 if len(self.classes) <= 256 else np.uint16
        if model.training:
            model.eval()

    def __call__(self, images: Source | list[Source] | tuple[Source, ...] | Iterator[Source],
                 on_error: str = 'raise') -> Prediction | InputError | list | Iterator:
        """Segments one image, or many of mixed sizes and kinds.

        Args:
            images: An image; a list or tuple of images; or an iterator, such as a generator, that is read as results
                are asked for, at most `4 * batch_size` images or 64 million pixels ahead.
            on_error: `'raise'` stops at the first image that cannot be segmented, once the results before it are out
                (of a list, none); `'return'` gives the error in its place and goes on.

        Returns:
            The `Prediction` of an image; a list of them for a list or tuple; an iterator over them for an iterator;
            always in the order of the images.

        Raises:
            InputError: An image cannot be segmented; says which, by its path or as `images[N]`, counted from 0, and
                why. Also where there are no images at all.
        """
        _check_choice('on_error', on_error, ON_ERROR)
        if isinstance(images, (list, tuple)):
            return list(self._stream(images, on_error))
        if isinstance(images, Iterator):
            return self._stream(images, on_error)
        return next(self._stream([images], on_error, 'the image'))

    def _stream(self, images: Iterable[Source], on_error: str, name: str = 'images[{}]') -> Iterator:
        """Yields a result per image, in order."""
        pipeline = copy.deepcopy(self._pipeline)  # transforms keep what they draw, so that threads must not share them
        source, queue, number, failure = iter(images), deque(), 0, None
        while failure is None:
            try:
                image = next(source)
            except StopIteration:
                break
            except Exception as error:  # the user's generator failed: what it gave before is still worth its results
                failure = error
                break
            item = self._prepare(image, name.format(number), pipeline)
            number += 1
            queue.append(item)
            del image
            if item.result is None and len(batch := _waiting(queue, item)) == self.batch_size:
                self._run(batch)
            while queue and (queue[0].result is not None or self._is_full(queue)):
                if queue[0].result is None:
                    self._run(_waiting(queue, queue[0])[:self.batch_size])
                yield _result(queue.popleft(), on_error)
        while queue:
            if queue[0].result is None:
                self._run(_waiting(queue, queue[0])[:self.batch_size])
            yield _result(queue.popleft(), on_error)
        if failure is not None:
            raise failure
        if number == 0:
            raise InputError('there are no images: the list is empty')

    def _is_full(self, queue: deque[_Item]) -> bool:
        pixels = sum(item.image.shape[0] * item.image.shape[1] for item in queue if item.image is not None)
        return len(queue) >= BATCHES_AHEAD * self.batch_size or pixels >= PIXELS_AHEAD

    def _prepare(self, source: Source, name: str, pipeline: Compose) -> _Item:
        """Reads an image and runs the pipeline on it; where that fails, the item has its error as result."""
        path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
        name = path or name
        try:
            image = decode(source, name, self.channel_order, self._reader.color_type, self._reader.imdecode_backend)
        except InputError as error:
            return _Item(name, result=error)
        try:
            data = pipeline(dict(img=image.astype(np.float32) if self._reader.to_float32 else image, img_path=path,
                                 img_shape=image.shape[:2], ori_shape=image.shape[:2]))
        except Exception as error:  # a transform may raise anything
            return _Item(name, result=_failure(f'{name}: test_pipeline fails on this image of {_size(image)}', error))
        return _Item(name, image, data)

    def _run(self, batch: list[_Item]) -> None:
        """Gives the items of a batch their results."""
        try:
            with torch.no_grad():
                samples = self.model.test_step({key: [item.data[key] for item in batch]
                                                for key in ('inputs', 'data_samples')})
            labels = [sample.pred_sem_seg.data[0].cpu().numpy().astype(self._label_type) for sample in samples]
        except InputError:  # about the model, not the image
            raise
        except Exception as error:  # a model may raise anything, for one image of the batch or for its size
            if len(batch) > 1:
                for item in batch:
                    self._run([item])
                return
            item = batch[0]
            item.result = _failure(f'{item.name}: the model fails on this image of {_size(item.image)}', error)
            item.data = None
            return
        for item, found in zip(batch, labels, strict=True):
            item.result = Prediction(item.name, item.image[..., ::-1], found, self.classes, self.palette)
            item.data = None
        _trim()


def _waiting(queue: deque[_Item], first: _Item) -> list[_Item]:
    """Returns the items that can go through the model with `first`, it included, in order."""
    return [item for item in queue if item.result is None and item.kind == first.kind]


def _result(item: _Item, on_error: str) -> Prediction | InputError:
    if not isinstance(item.result, InputError):
        return item.result
    if on_error == 'raise':
        raise item.result
    item.result.__cause__ = item.result.__context__ = None  # their tracebacks hold images and tensors
    return item.result.with_traceback(None)


def _failure(text: str, error: Exception) -> InputError:
    failure = InputError(f'{text} ({one_line(error)})')
    failure.__cause__ = error
    return failure


def _size(image: np.ndarray) -> str:
    return '{} x {} pixels'.format(*image.shape[1::-1])


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f'{name} must be one of {choices}, got {value!r}')


def _build_pipeline(model: nn.Module) -> tuple[mmcv.transforms.LoadImageFromFile, Compose]:
    """Returns the step of `test_pipeline` that reads images, and the rest but for annotations."""
    cfg = getattr(model, 'cfg', None)
    if cfg is None or not cfg.get('test_pipeline'):
        raise InputError('the model has no cfg with a test_pipeline; build it by mmseg.apis.init_model, or set '
                         'model.cfg to its config')
    reader, pipeline = build_test_pipeline(cfg.test_pipeline, cfg.get('default_scope'))
    if not isinstance(reader, mmcv.transforms.LoadImageFromFile) or reader.color_type not in COLOR_TYPES:
        raise InputError(f'test_pipeline must begin with LoadImageFromFile and a color_type of {COLOR_TYPES}, got '
                         f'{cfg.test_pipeline[0]}')
    return reader, pipeline


def _classes_of(model: nn.Module) -> tuple[tuple[str, ...], tuple[tuple[int, int, int], ...]]:
    """Returns names and colours of the classes: the checkpoint's, or those of the config's test data set."""
    meta = getattr(model, 'dataset_meta', None)
    if meta is None:
        kind = model.cfg.get('test_dataloader', {}).get('dataset', {}).get('type')
        meta = getattr(DATASETS.get(kind) if isinstance(kind, str) else kind, 'METAINFO', {})
    if not meta.get('classes'):
        raise InputError('the model does not say its classes; set model.dataset_meta=dict(classes=[...], '
                         'palette=[[red, green, blue], ...])')
    classes = tuple(meta['classes'])
    palette = meta.get('palette') or np.random.default_rng(0).integers(0, 256, (len(classes), 3))
    return classes, tuple(tuple(map(int, colour)) for colour in palette)
