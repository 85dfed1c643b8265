"""Predictor: a segmentor and the pipeline of its config, for images of any kind, one or many."""
import copy
import os
from collections.abc import Iterable, Iterator

import mmcv.transforms
import numpy as np
import torch
from mmengine.dataset import Compose
from mmseg.structures import SegDataSample
from torch import nn

from ..datasets.bands.load_bands import LoadBands
from ..errors import InputError, one_line
from ..weights.mmengine_loader import use_safe_reading
from .batch_queue import BatchQueue, Item
from .host_memory import Trimmer
from .images import CHANNEL_ORDERS, Source, as_bands, as_bgr
from .prediction import Prediction, classes_of, confidence_of
from .slide_segmentor import SlideSegmentor
from .stream_state import StreamState
from .test_pipeline import build_test_pipeline

ON_ERROR = ('raise', 'return')
COLOR_TYPES = ('color', 'color_ignore_orientation')
_trim = Trimmer()  # the process's


class Predictor:
    """Segments images with a model and its config's `test_pipeline`; the labels of `mmseg.apis.inference_model`.

    An image is a path, the bytes of an image file, an array or a Pillow image; see `images.as_bgr` for shapes, types
    and values. The same picture gives the same labels in every kind. Where `test_pipeline` begins with `LoadBands`, it
    is a path, or an array (H, W, C) of the bands that a file would have; see `images.as_bands`. Neither the model's
    config nor an image is written to. Several threads may share a predictor, or a model.

    Args:
        model: A segmentor of `mmseg.apis.init_model` or `mmseg_vittm.load_model`, `mmseg_vittm.optimize`d or not.
            It is put into evaluation mode.
        batch_size: Images of the same size after the pipeline go through the model together, up to so many; 1 is for
            live streams, where every result should follow its image.
        channel_order: `'bgr'`, as in MMSegmentation and OpenCV, or `'rgb'`: of arrays with colour.
        with_confidence: Whether predictions have `confidence`; a SlideSegmentor then says it whoever asks.

    Raises:
        InputError: An argument is none of these, or the model has no config whose `test_pipeline` loads images by
            `LoadImageFromFile` in colour, or by `LoadBands`.
    """

    def __init__(self, model: nn.Module, batch_size: int = 4, channel_order: str = 'bgr',
                 with_confidence: bool = False):
        if not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(f'batch_size must be a positive integer, got {batch_size!r}')
        _check_choice('channel_order', channel_order, CHANNEL_ORDERS)
        use_safe_reading()
        self.model, self.batch_size, self.channel_order = model, batch_size, channel_order
        self._reader, self.pipeline = _build_pipeline(model)
        self.classes, self.palette = classes_of(model)
        self._label_type = np.uint8 if len(self.classes) <= 256 else np.uint16
        self.with_confidence = with_confidence
        if with_confidence and isinstance(model, SlideSegmentor):
            model.test_cfg['with_confidence'] = True
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

    def stream(self, frames: Iterable[Source], state: StreamState | None = None) -> Iterator[Prediction]:
        """Segments the frames of a video or a camera, each as it comes.

        A model that remembers (`StreamSegmentor`) carries its state from frame to frame, any other segments every
        frame alone. Time and memory per frame do not depend on how many there were. For several streams at once, and
        for their states, see `StreamBatch`.

        Args:
            frames: In order, of any kind that `__call__` takes; read one by one.
            state: To go on from, of `StreamBatch.state` or `StreamState.load`; None begins anew.

        Yields:
            A prediction per frame, before the next one is read.

        Raises:
            InputError: A frame cannot be segmented, which says which; or the state is none of this model.
        """
        self.check_state(state)
        pipeline = copy.deepcopy(self.pipeline)
        for number, frame in enumerate(frames):
            item = self.prepare(frame, f'frame {number}', pipeline)
            if isinstance(item.result, InputError):
                raise item.result
            [state] = self.run_streams([item], [state])
            yield item.result

    def check_state(self, state: StreamState | None) -> None:
        """Checks that a state is one of one stream of this model, or none.

        Raises:
            InputError: It is not.
        """
        if state is None:
            return
        if not hasattr(self.model, 'check_state'):
            raise InputError(f'{type(self.model).__name__} remembers nothing, it has no state; give a StreamSegmentor, '
                             'or leave the state out')
        if len(state) != 1:
            raise InputError(f'the state is of {len(state)} streams; restore them one by one, state[n:n + 1]')
        self.model.check_state(state)

    def _stream(self, images: Iterable[Source], on_error: str, name: str = 'images[{}]') -> Iterator:
        """Yields a result per image, in order."""
        pipeline = copy.deepcopy(self.pipeline)  # transforms keep what they draw, so that threads must not share them
        source, queue, number, failure = iter(images), BatchQueue(self.batch_size), 0, None
        while failure is None:
            try:
                image = next(source)
            except StopIteration:
                break
            except Exception as error:  # the user's generator failed: what it gave before is still worth its results
                failure = error
                break
            batch = queue.add(self.prepare(image, name.format(number), pipeline))
            number += 1
            del image
            self._run(batch)
            while queue.is_due():
                self._run(queue.first_batch())
                yield _result(queue.pop(), on_error)
        while queue:
            self._run(queue.first_batch())
            yield _result(queue.pop(), on_error)
        if failure is not None:
            raise failure
        if number == 0:
            raise InputError('there are no images: the list is empty')

    def prepare(self, source: Source, name: str, pipeline: Compose) -> Item:
        """Reads an image and runs the pipeline on it; where that fails, the item has its error as result."""
        path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
        name = path or name
        try:
            image, read = self._read(source, name)
        except InputError as error:
            return Item(name, result=error)
        try:
            data = pipeline(dict(img=read, img_path=path, img_shape=image.shape[:2], ori_shape=image.shape[:2]))
        except Exception as error:  # a transform may raise anything
            return Item(name, result=_failure(f'{name}: test_pipeline fails on this image of {_size(image)}', error))
        return Item(name, image, data)

    def _read(self, source: Source, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns an image to look at, (H, W, 3) uint8 BGR, and what the pipeline's first step makes of it."""
        if self.takes_bands:
            bands, shown = as_bands(source, name, self._reader)
            return shown[..., ::-1], bands
        image = as_bgr(source, name, self.channel_order, self._reader.color_type, self._reader.imdecode_backend)
        return image, image.astype(np.float32) if self._reader.to_float32 else image

    @property
    def takes_bands(self) -> bool:
        """Whether images are read by `LoadBands`, which takes no videos."""
        return isinstance(self._reader, LoadBands)

    def _run(self, batch: list[Item]) -> None:
        """Gives the items of a batch their results."""
        if not batch:
            return
        try:
            with torch.no_grad():
                self._finish(batch, self.model.test_step(_collated(batch)))
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
        _trim()

    def _finish(self, batch: list[Item], samples: list[SegDataSample], cuts: list[bool] | None = None) -> None:
        """Gives the items of a batch their predictions, all or none."""
        labels = [sample.pred_sem_seg.data[0].cpu().numpy().astype(self._label_type) for sample in samples]
        confidences = [confidence_of(sample).cpu().numpy() if self.with_confidence else None for sample in samples]
        for item, found, sure, cut in zip(batch, labels, confidences, cuts or [False] * len(batch), strict=True):
            item.result = Prediction(item.name, item.image[..., ::-1], found, self.classes, self.palette, sure, cut)
            item.data = None

    def run_streams(self, batch: list[Item], states: list[StreamState | None]) -> list[StreamState | None]:
        """Gives the next frames of streams their results; returns the streams' states after them.

        Raises:
            InputError: The model fails on them.
        """
        names = ', '.join(item.name for item in batch)
        try:
            with torch.no_grad():
                if not hasattr(self.model, 'segment'):
                    self._finish(batch, self.model.test_step(_collated(batch)))
                    return states
                data = self.model.data_preprocessor(_collated(batch), False)
                inputs = data['inputs']
                samples, state = self.model.segment(
                    inputs, data['data_samples'], StreamState.joined(states, tuple(inputs.shape[2:])))
                self._finish(batch, samples, state.at_cut())
                return [state[row:row + 1] for row in range(len(batch))]
        except InputError:
            raise
        except Exception as error:  # a model may raise anything
            raise _failure(f'{names}: the model fails on frames of {_size(batch[0].image)}', error) from error


def _collated(batch: list[Item]) -> dict[str, list]:
    return {key: [item.data[key] for item in batch] for key in ('inputs', 'data_samples')}


def _result(item: Item, on_error: str) -> Prediction | InputError:
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


def _build_pipeline(model: nn.Module) -> tuple[mmcv.transforms.LoadImageFromFile | LoadBands, Compose]:
    """Returns the step of `test_pipeline` that reads images, and the rest but for annotations."""
    cfg = getattr(model, 'cfg', None)
    if cfg is None or not cfg.get('test_pipeline'):
        raise InputError('the model has no cfg with a test_pipeline; build it by mmseg.apis.init_model, or set '
                         'model.cfg to its config')
    reader, pipeline = build_test_pipeline(cfg.test_pipeline, cfg.get('default_scope'))
    is_stock = isinstance(reader, mmcv.transforms.LoadImageFromFile) and reader.color_type in COLOR_TYPES
    if not is_stock and not isinstance(reader, LoadBands):
        raise InputError(f'test_pipeline must begin with LoadImageFromFile and a color_type of {COLOR_TYPES}, or with '
                         f'LoadBands, got {cfg.test_pipeline[0]}')
    return reader, pipeline
