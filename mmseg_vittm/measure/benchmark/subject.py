"""A segmentor under measurement: what it is measured on, and the calls so far."""
from collections import Counter
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ...errors import InputError, one_line
from ...inference.precision import computing_in
from ...stack import MMLogger
from ..complexity.counting import count_parameters, multiply_adds, multiply_adds_on, varies_with_image
from .building import Built, Settings
from .images import Crops, Images
from .peak import peak_mib
from .stages import Call, StageTimer

COUNTED = 8  # items on which a model is counted whose cost depends on what they show


class Subject:
    """One segmentor under measurement.

    Args:
        built: The segmentor.
        source: What it is measured on.
        settings: Device, precision and protocol, those that it was built by.
    """

    def __init__(self, built: Built, source: Images | Crops, settings: Settings):
        self.built, self.source, self.settings = built, source, settings
        self.model, self.path = built.model, built.path
        self.timer = StageTimer(self.model, settings.device)
        self.calls: list[Call] = []
        self.inputs: Counter[tuple[int, int]] = Counter()
        self.largest = (0, 0)  # pixels of the largest input so far, and its item
        self.peak_mib: float | None = None

    def prepare(self, index: int) -> tuple[Tensor, Callable[[], object]]:
        """Returns the inputs (B, 3, H, W) of item `index`, and the call of the model on it.

        Raises:
            InputError: The image cannot be prepared.
        """
        inputs, data_samples = self.source.prepare(index, self.model)
        return inputs, partial(self.model, inputs, data_samples, mode=self.source.mode)

    @torch.no_grad()
    def run(self, index: int, keep: bool = True) -> Call:
        """Prepares item `index`, untimed, and times the model on it; `keep=False` forgets the call.

        Raises:
            InputError: The image cannot be prepared, or the model fails on it.
        """
        inputs, predict = self.prepare(index)
        try:
            with computing_in(self.settings.dtype, self.settings.device):
                call = self.timer.time(predict)
        except RuntimeError as error:
            raise InputError(f'{self.path}: the model fails on {self.source.name(index)}, an input of '
                             f'{tuple(inputs.shape)} ({one_line(error)})') from error
        if keep:
            self.calls.append(call)
            self.inputs[tuple(inputs.shape[2:])] += 1
            self.largest = max(self.largest, (inputs.numel(), index))
        return call

    @torch.no_grad()
    def measure_peak(self) -> None:
        """Measures the peak memory of the largest of the items so far, apart from the times."""
        _, predict = self.prepare(self.largest[1])
        with computing_in(self.settings.dtype, self.settings.device):
            self.peak_mib = peak_mib(self.model, predict, self.settings.device)

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
            if varies_with_image(self.model):
                return self._gflops_as_run()
            total = sum(multiply_adds(self.model, (1, *shape), self.built.blueprint)[0] * count
                        for shape, count in shapes.items())
        except Exception as error:  # whatever a model of others raises, the times are worth more than the count
            MMLogger.get_current_instance().warning(f'{self.path}: its GFLOPs cannot be counted ({one_line(error)})')
            return None
        return total / 1e9 / len(self.calls) / self.settings.batch_size or None

    @torch.no_grad()
    def _gflops_as_run(self) -> float:
        """Returns `gflops` of a model whose cost depends on the image: the mean over the first `COUNTED` items."""
        total, items = 0, min(COUNTED, len(self.calls))
        for index in range(items):
            windows = []
            hook = self.model.backbone.register_forward_pre_hook(
                lambda _, arguments, windows=windows: windows.append(arguments[0].clone()))
            try:
                self.prepare(index)[1]()
            finally:
                hook.remove()
            total += sum(multiply_adds_on(self.model, inputs)[0] for inputs in windows)
        return total / 1e9 / items / self.settings.batch_size
