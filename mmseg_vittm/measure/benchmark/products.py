"""The matrix products of a forward pass alone: the time below which no implementation with the same products comes."""
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ..conditions import synchronize


class ProductRecorder(TorchDispatchMode):
    """Notes every matrix product, convolution and attention that runs under it.

    Weights are kept as they are. Activations are replaced by random tensors of their shape, stride and type, one of
    each kind, so that nothing of the forward pass stays in memory.

    Args:
        model: Whose weights are kept.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.calls: list[tuple[Callable, list, dict]] = []
        self._weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
        self._stand_ins: dict[tuple, Tensor] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Runs an operation, and notes it if it is a product."""
        kwargs = kwargs or {}
        if func._overloadpacket in flop_registry or 'scaled_dot_product' in func.name():
            self.calls.append((func, [self._stand_in(arg) for arg in args],
                               {name: self._stand_in(arg) for name, arg in kwargs.items()}))
        return func(*args, **kwargs)

    def _stand_in(self, value: object) -> object:
        if not isinstance(value, Tensor):
            return value
        if value.untyped_storage().data_ptr() in self._weights:
            return value.detach()
        kind = value.shape, value.stride(), value.dtype, value.device
        if kind not in self._stand_ins:
            self._stand_ins[kind] = torch.empty_strided(*kind[:2], dtype=value.dtype, device=value.device).normal_()
        return self._stand_ins[kind]


def product_seconds(recorder: ProductRecorder, device: torch.device) -> float:
    """Returns how long the noted products take, one after the other, without anything between them."""
    synchronize(device)
    start = time.perf_counter()
    for func, args, kwargs in recorder.calls:
        func(*args, **kwargs)
    synchronize(device)
    return time.perf_counter() - start
