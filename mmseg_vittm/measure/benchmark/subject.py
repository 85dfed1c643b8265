"""A config under measurement: its segmentor, what it is measured on, and the calls so far."""
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmseg.apis import init_model
from torch import nn

from ...errors import CheckpointError, InputError
from ...inference.fast import is_optimizable, optimize
from ...inference.precision import computing_in
from ...weights.whole_model import load_model
from ..complexity.counting import count_parameters, meta_copy, multiply_adds
from .images import Crops, Images
from .memory import peak_memory
from .products import ProductRecorder, product_seconds
from .profiling import profile_call
from .stages import Call, StageTimer, parts


@dataclass(frozen=True)
class Settings:
    """How a config is measured: what `tools/benchmark.py` was told."""
    device: torch.device
    dtype: str = 'fp32'
    compile: bool = False
    batch_size: int = 1
    throughput: bool = False
    real: bool = False
    image_size: tuple[int, int] | None = None
    products: bool = False
    allow_partial: bool = False


def build_segmentor(cfg: Config, checkpoint: str | None = None, allow_partial: bool = False) -> nn.Module:
    """Builds a config's segmentor on the CPU for inference, with random weights (seed 0) or a checkpoint's.

    Raises:
        CheckpointError: The checkpoint cannot be read, or does not fit the model exactly, unless `allow_partial`.
        InputError: The model cannot be built.
    """
    if 'model' not in cfg:
        raise InputError(f'{cfg.filename}: has no model; give a whole config, not one of its parts')
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', message='.*avg_non_ignore.*')  # about a loss that is not computed here
            model = init_model(cfg.copy(), device='cpu') if checkpoint is None else load_model(
                cfg, checkpoint, 'cpu', allow_partial)
    except CheckpointError:
        raise
    except Exception as error:  # what a config names may be missing, or built with the wrong arguments
        reason = str(error).strip().split('\n')[0]
        raise InputError(f'{cfg.filename}: the model cannot be built ({type(error).__name__}: {reason})') from error
    return revert_sync_batchnorm(model).eval()


class Subject:
    """One config under measurement; a SlideSegmentor is optimized, any other is run as it is.

    Args:
        path: The config as the user named it.
        cfg: The config.
        settings: Device, precision and protocol.
        checkpoint: Weights; None for random ones, which take as long.

    Raises:
        CheckpointError: The checkpoint cannot be read, or does not fit the model exactly.
        InputError: The config lacks what the protocol needs.
    """

    def __init__(self, path: str, cfg: Config, settings: Settings, checkpoint: str | None = None):
        self.path, self.cfg, self.settings, self.checkpoint = path, cfg, settings, checkpoint
        self.model = build_segmentor(cfg, checkpoint, settings.allow_partial)
        self.source = Crops(cfg, settings.batch_size) if settings.throughput else Images(
            cfg, settings.real, settings.batch_size, settings.image_size)
        self.blueprint = meta_copy(self.model)  # to count with: the model itself is about to be wrapped
        self.model.to(settings.device)
        if is_optimizable(self.model):
            optimize(self.model, settings.dtype, settings.compile)
        elif settings.compile:
            compile_parts(self.model)
        self.timer = StageTimer(self.model, settings.device)
        self.calls: list[Call] = []
        self.inputs: Counter[tuple[int, int]] = Counter()
        self.largest = (0, 0)  # pixels of the largest input so far, and its item
        self.peak_memory_mb: float | None = None
        self._recorded: dict[tuple, ProductRecorder] = {}

    @torch.no_grad()
    def run(self, index: int, keep: bool = True) -> Call:
        """Prepares item `index`, untimed, and times the model on it; `keep=False` forgets the call.

        Raises:
            InputError: The image cannot be prepared, or the model fails on it.
        """
        inputs, data_samples = self.source.prepare(index, self.model)

        def predict():
            return self.model(inputs, data_samples, mode=self.source.mode)

        try:
            with computing_in(self.settings.dtype, self.settings.device):
                call = self.timer.time(predict)
                if self.settings.products:
                    call.products = product_seconds(self._products(call.shapes, predict), self.settings.device)
        except RuntimeError as error:
            raise InputError(f'{self.path}: the model fails on {self.source.name(index)}, an input of '
                             f'{tuple(inputs.shape)} ({error})') from error
        if keep:
            self.calls.append(call)
            self.inputs[tuple(inputs.shape[2:])] += 1
            self.largest = max(self.largest, (inputs.numel(), index))
        return call

    def _products(self, shapes: list[tuple[int, ...]], predict: Callable[[], object]) -> ProductRecorder:
        """Returns the products of backbone and head for inputs of these shapes, noted once and run once."""
        key = tuple(shapes)
        if key not in self._recorded:
            recorder = self._recorded[key] = ProductRecorder(self.model)
            self.timer.record(recorder, predict)
            product_seconds(recorder, self.settings.device)
        return self._recorded[key]

    @torch.no_grad()
    def measure_memory(self) -> None:
        """Measures the peak memory of the largest of the items so far, apart from the times."""
        inputs, data_samples = self.source.prepare(self.largest[1], self.model)
        with computing_in(self.settings.dtype, self.settings.device):
            self.peak_memory_mb = peak_memory(
                self.model, lambda: self.model(inputs, data_samples, mode=self.source.mode), self.settings.device)

    @torch.no_grad()
    def profile(self) -> dict[str, float]:
        """Returns milliseconds by kind of operation on the largest of the items so far, apart from the times."""
        inputs, data_samples = self.source.prepare(self.largest[1], self.model)
        with computing_in(self.settings.dtype, self.settings.device):
            return profile_call(lambda: self.model(inputs, data_samples, mode=self.source.mode), self.settings.device)

    @property
    def parameters(self) -> int:
        """The parameters that inference uses."""
        return count_parameters(self.model)

    @property
    def windows_per_image(self) -> float | None:
        """How many inputs the backbone gets per image, the mean; None where it was never called."""
        windows = sum(shape[0] for call in self.calls for shape in call.shapes)
        return windows / len(self.calls) / self.settings.batch_size or None

    def gflops(self) -> float | None:
        """Returns 1e9 multiply-adds of the network per image, the mean, attention included; nothing after the head.

        None, with a warning, for a model that cannot be counted: its head has no plain forward pass.
        """
        shapes = Counter()
        for call in self.calls:
            for shape in call.shapes:
                shapes[shape[1:]] += shape[0]
        try:
            total = sum(multiply_adds(self.model, (1, *shape), self.blueprint)[0] * count
                        for shape, count in shapes.items())
        except Exception as error:  # whatever a model of others raises, the times are worth more than the count
            MMLogger.get_current_instance().warning(f'{self.path}: its GFLOPs cannot be counted ({error})')
            return None
        return total / 1e9 / len(self.calls) / self.settings.batch_size or None


def compile_parts(model: nn.Module) -> None:
    """Compiles a segmentor's backbone, neck and decode head; what surrounds them stays eager.

    Raises:
        InputError: It has no such parts.
    """
    found = list(parts(model))
    if not found:
        raise InputError(f'--compile: {type(model).__name__} has no backbone and decode head to compile; leave it out')
    for part, _ in found:
        part.forward = torch.compile(part.forward)
