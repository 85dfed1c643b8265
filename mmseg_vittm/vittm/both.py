"""Both: what a model of two streams gives where both are asked for, so that a loss of one tensor is the sum of two."""
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

_OPERATORS = ('add', 'radd', 'sub', 'rsub', 'mul', 'rmul', 'truediv', 'rtruediv', 'pow', 'rpow', 'matmul', 'rmatmul',
              'neg', 'pos', 'abs', 'invert', 'and', 'or', 'lt', 'le', 'gt', 'ge', 'eq', 'ne')


class Both(NamedTuple):
    """The two streams' tensors, a tuple that PyTorch's functions take in place of one tensor.

    A function of it is computed once per stream. Where the result is a number to differentiate, as a loss is, it
    is the sum of both streams' numbers:

        cross_entropy(Both(p, m), target) == cross_entropy(p, target) + cross_entropy(m, target)

    So a criterion of logits that is a sum or mean, as all of `timm.loss`, minimises what the paper does: the sum of
    both heads' losses. A number without a gradient, such as an accuracy, is the memory stream's.

    Attributes:
        process: The process stream's.
        memory: The memory stream's.
    """
    process: Tensor
    memory: Tensor

    @classmethod
    def __torch_function__(cls, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Computes a function of tensors once per stream (PyTorch's protocol for types that are no tensors)."""
        process, memory = (function(*_stream(args, i), **_stream(kwargs or {}, i)) for i in range(2))
        return _joined(process, memory)

    def __getattr__(self, name: str) -> Any:
        """Returns a method of tensors, or what both say of themselves: `shape`, `dtype`, `device`."""
        if name.startswith('_') or not hasattr(Tensor, name):
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')
        method = getattr(Tensor, name)
        if callable(method):
            return partial(_call, method, self)
        return _joined(getattr(self.process, name), getattr(self.memory, name))

    def __getitem__(self, index: Any) -> Any:
        """Returns a stream's tensor by an integer; any other index is into both tensors."""
        return tuple.__getitem__(self, index) if isinstance(index, int) else _call(Tensor.__getitem__, self, index)


def _call(function: Callable, *args: Any, **kwargs: Any) -> Any:
    return Both.__torch_function__(function, (), args, kwargs)


def _stream(value: Any, i: int) -> Any:
    """Returns arguments with one stream's tensor in place of every `Both`."""
    if isinstance(value, Both):
        return tuple.__getitem__(value, i)
    if type(value) in (tuple, list):
        return type(value)(_stream(item, i) for item in value)
    if type(value) is dict:
        return {key: _stream(item, i) for key, item in value.items()}
    return value


def _joined(process: Any, memory: Any) -> Any:
    """Returns one result out of the streams' two."""
    if isinstance(process, Tensor):
        if process.ndim:
            return Both(process, memory)
        return process + memory if process.requires_grad or memory.requires_grad else memory
    if isinstance(process, (tuple, list)) and not isinstance(process, torch.Size):
        return type(process)([_joined(*pair) for pair in zip(process, memory, strict=True)])
    if process != memory:
        raise ValueError(f"the streams' tensors differ in this: {process} of process, {memory} of memory tokens; take "
                         '`.process` or `.memory`')
    return memory


def _operator(name: str) -> Callable:
    method = getattr(Tensor, name)
    return lambda self, *others: _call(method, self, *others)


for _name in _OPERATORS:
    setattr(Both, f'__{_name}__', _operator(f'__{_name}__'))
