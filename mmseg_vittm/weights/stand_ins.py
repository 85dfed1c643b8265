"""What unpickling gets in place of functions and classes that trust what a file claims.

NumPy, mmengine and torch would take sizes, flags, methods and attributes as the file has them: memory for as many
numbers as it says, views beyond the memory that they are of, and any name that `getattr` can reach.
"""
import importlib
import math
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import CheckpointError, shown
from .pickle_bounds import LARGEST_KEY, MOST_KEYS

GETATTR = 'builtins.getattr'
HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
STATISTICS = ('min', 'max', 'mean', 'current')


class Dtype:
    """Stands in for `numpy.dtype`: numbers and strings, whatever state the file gives them."""

    def __init__(self, name: str, align: bool = False, copy: bool = False):
        value = np.dtype(name) if isinstance(name, str) and re.fullmatch(r'[<>|=]?[biufcSU]\d{1,9}', name) else None
        if value is None or value.itemsize == 0:
            raise CheckpointError(f'it holds a NumPy array of {shown(name)}, which no checkpoint needs')
        self.value = value

    def __setstate__(self, state: tuple) -> None:
        """Takes the byte order of NumPy's state; sizes, fields and flags are those of the name."""
        self.value = self.value.newbyteorder(state[1])

    def rebuilt(self) -> np.dtype:
        """Returns the dtype."""
        return self.value


class Array:
    """Stands in for `numpy.ndarray`: as many bytes as its shape and dtype need, or an error."""
    value = np.zeros(0, np.int8)

    def __setstate__(self, state: tuple) -> None:
        """Takes NumPy's state: version, shape, dtype, whether in Fortran order, bytes."""
        _, shape, dtype, fortran, data = state
        whole = isinstance(shape, tuple) and len(shape) <= 64 and all(
            isinstance(side, int) and 0 <= side < 2**63 for side in shape)
        if not whole or not isinstance(dtype, Dtype) or not isinstance(data, bytes) \
                or len(data) != math.prod(shape) * dtype.value.itemsize:
            raise CheckpointError('it holds a NumPy array whose bytes do not fit its shape')
        self.value = np.frombuffer(data, dtype.value).reshape(shape, order='F' if fortran else 'C').copy()

    def rebuilt(self) -> np.ndarray:
        """Returns the array."""
        return self.value


class History:
    """Stands in for mmengine's `HistoryBuffer`, whose class keeps the methods that its pickles bring."""
    state: dict = {}

    def __setstate__(self, state: dict) -> None:
        """Takes the buffer's attributes."""
        self.state = state

    def rebuilt(self) -> Any:
        """Returns the buffer: two lines of numbers of one length."""
        lines = [getattr(self.state.get(name), 'value', None) for name in ('_log_history', '_count_history')]
        length = self.state.get('max_length')
        if not all(isinstance(line, np.ndarray) and line.ndim == 1 and line.dtype.kind in 'biuf' for line in lines) \
                or len(lines[0]) != len(lines[1]) or type(length) is not int:
            raise CheckpointError('a history buffer in it is damaged')
        return history_buffer()(*lines, length)


def _scalar(dtype: Dtype, data: bytes) -> np.generic:
    """Stands in for NumPy's `scalar`."""
    if not isinstance(dtype, Dtype) or not isinstance(data, bytes) or len(data) != dtype.value.itemsize:
        raise CheckpointError('it holds a NumPy number whose bytes do not fit its type')
    return np.frombuffer(data, dtype.value)[0]


def _reconstruct(*_) -> Array:
    """Stands in for NumPy's `_reconstruct`: the array comes with the state that follows."""
    return Array()


def _no_bytes(*given: Any) -> bytes:
    """Stands in for `bytes`, by which empty ones are pickled."""
    if given:
        raise CheckpointError('it asks for builtins.bytes of something, which no checkpoint needs')
    return b''


def _getattr_of_history(owner: Any, name: str, *_) -> str:
    """Stands in for `getattr`, which pickles of history buffers call; the real one would reach anything."""
    if owner is History and name in STATISTICS:
        return name
    owner = getattr(owner, '__qualname__', None) or type(owner).__name__
    raise CheckpointError(f'it asks for {GETATTR}({shown(owner)}, {shown(name)}), which no checkpoint needs')


def _slice(*bounds: int | None) -> slice:
    """Stands in for `slice`."""
    if not all(bound is None or isinstance(bound, int) for bound in bounds):
        raise CheckpointError('it holds a slice of what are no numbers')
    return slice(*bounds)


def _encode(text: str, encoding: str) -> bytes:
    """Stands in for `_codecs.encode`, by which bytes are pickled; other codecs multiply what they are given."""
    if not isinstance(text, str) or encoding != 'latin1':
        raise CheckpointError('it asks for _codecs.encode in another way than bytes are pickled')
    return text.encode('latin1')


def check_keys(keys: Iterable[Any]) -> None:
    """Checks what will be hashed, before it is: texts, numbers, and few small tuples of them.

    Raises:
        CheckpointError: There is more to it.
    """
    unusual = 0
    for key in keys:
        if isinstance(key, int) and key.bit_length() > 64:
            raise CheckpointError('a set or dict in it has keys that no checkpoint needs: it is damaged')
        if key is None or isinstance(key, (str, bytes, int, float)):
            continue
        unusual, waiting, parts = unusual + 1, [key], 0
        while waiting and parts <= LARGEST_KEY:
            part = waiting.pop()
            parts += 1
            waiting += part if isinstance(part, tuple) else ()
        if unusual > MOST_KEYS or parts > LARGEST_KEY:
            raise CheckpointError('a set or dict in it has keys that no checkpoint needs: it is damaged')


def _set(items: Iterable = ()) -> set:
    """Stands in for `set`."""
    items = list(items)
    check_keys(items)
    return set(items)


def _counter(counts: dict | None = None) -> Counter:
    """Stands in for `Counter`."""
    counts = {} if counts is None else counts
    if not isinstance(counts, dict):
        raise CheckpointError('a counter in it is damaged')
    return Counter(counts)


def _ordered_dict(pairs: Iterable = ()) -> OrderedDict:
    """Stands in for `OrderedDict`; with pairs, as Python 2 pickles it."""
    if not isinstance(pairs, (list, tuple)) or not all(isinstance(pair, (list, tuple)) and len(pair) == 2
                                                       for pair in pairs):
        raise CheckpointError('a dict in it is damaged')
    check_keys(key for key, _ in pairs)
    return OrderedDict((key, value) for key, value in pairs)


def _view(rebuild: Callable) -> Callable:
    """Returns what stands in for one of torch's functions that make a tensor of a storage.

    They give a storage more memory where a tensor needs it; and they hang hooks of the file's on the tensor.
    """
    def rebuilt(storage: torch.storage.TypedStorage, offset: int, size: tuple, stride: tuple, *others: Any) -> Tensor:
        numbers = (offset, *size, *stride)
        if not isinstance(storage, torch.storage.TypedStorage) or len(size) != len(stride) or not all(
                isinstance(number, int) and 0 <= number < 2**63 for number in numbers):
            raise CheckpointError('a tensor in it is damaged')
        dtype = next((other for other in others if isinstance(other, torch.dtype)), storage.dtype)
        end = 0 if 0 in size else offset + 1 + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
        if end * dtype.itemsize > storage._untyped_storage.nbytes():
            raise CheckpointError('tensors in it are larger than the file: it is damaged')
        gradient, _, *more = others or (False, None)
        return rebuild(storage, offset, size, stride, *((gradient, OrderedDict(), *more) if others else ()))
    return rebuilt


def _parameter(data: Tensor, requires_grad: bool = True, *_) -> nn.Parameter:
    """Stands in for `_rebuild_parameter` and `_rebuild_parameter_with_state`: without hooks and attributes."""
    if not isinstance(data, Tensor):
        raise CheckpointError('a parameter in it is damaged')
    return nn.Parameter(data, bool(requires_grad))


def _of_type(function: Callable, kind: type, arguments: tuple, *_) -> Tensor:
    """Stands in for `_rebuild_from_type_v2`: a tensor with attributes, without them."""
    if function is _of_type or function not in OF_TORCH.values():
        raise CheckpointError('a tensor in it is damaged')
    tensor = function(*arguments)
    return tensor if type(tensor) is kind else tensor.as_subclass(kind)


def _layout(name: str) -> torch.layout:
    """Stands in for `_get_layout`."""
    layout = getattr(torch, str(name).removeprefix('torch.'), None) if isinstance(name, str) else None
    if not isinstance(layout, torch.layout):
        raise CheckpointError('a tensor in it is of an unknown layout')
    return layout


def _sparse(layout: torch.layout, data: tuple) -> Tensor:
    """Stands in for `_rebuild_sparse_tensor`, whose parts must be there in full: torch compares every index."""
    whole = isinstance(layout, torch.layout) and isinstance(data, tuple) and all(
        part.numel() * part.itemsize <= part.untyped_storage().nbytes() for part in data if isinstance(part, Tensor))
    if not whole:
        raise CheckpointError('a sparse tensor in it is damaged')
    return torch._utils._rebuild_sparse_tensor(layout, data)


def history_buffer() -> type | None:
    """Returns mmengine's `HistoryBuffer`, None where mmengine is not installed: no file needs it then."""
    try:
        return importlib.import_module('mmengine.logging.history_buffer').HistoryBuffer
    except ImportError:
        return None


# What pickles of mmengine's Runner name beyond what torch.load takes by itself, and what they get.
OF_OTHERS = {'numpy.dtype': Dtype, 'numpy.ndarray': Array, 'builtins.slice': _slice, GETATTR: _getattr_of_history,
             'builtins.bytes': _no_bytes} | {
    f'numpy.{core}.multiarray.{name}': stand_in for core in ('_core', 'core')
    for name, stand_in in (('scalar', _scalar), ('_reconstruct', _reconstruct))}
# What torch.load takes by itself, and gets here.
OF_TORCH = {
    'collections.OrderedDict': _ordered_dict, 'collections.Counter': _counter, 'builtins.set': _set,
    '_codecs.encode': _encode, 'torch.serialization._get_layout': _layout,
    'torch._utils._rebuild_tensor': _view(torch._utils._rebuild_tensor),
    'torch._utils._rebuild_tensor_v2': _view(torch._utils._rebuild_tensor_v2),
    'torch._utils._rebuild_tensor_v3': _view(torch._utils._rebuild_tensor_v3),
    'torch._utils._rebuild_sparse_tensor': _sparse, 'torch._utils._rebuild_parameter': _parameter,
    'torch._utils._rebuild_parameter_with_state': _parameter,
    'torch._tensor._rebuild_from_type_v2': _of_type}
# What it takes and does not get: as much memory as a file says, or tensors that no model has.
REFUSED = {'builtins.bytearray', 'torch._utils._rebuild_qtensor', 'torch._utils._rebuild_wrapper_subclass',
           'torch._utils._rebuild_device_tensor_from_numpy', 'torch._utils._rebuild_device_tensor_from_cpu_tensor'}
CALLED = {*OF_OTHERS, *OF_TORCH, HISTORY, 'torch._utils._rebuild_meta_tensor_no_storage', 'torch.Size', 'torch.device',
          'builtins.complex'}
BUILT = {*OF_OTHERS, HISTORY, 'collections.OrderedDict'}  # what may get a state after it was made
