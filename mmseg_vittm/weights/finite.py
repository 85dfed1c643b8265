"""Weights that are no numbers: NaN, infinite, or too large for the model's kind of number."""
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError, shown
from .plain import is_plain, tensors_in

SHOWN = 8  # names that an error lists
# Buffers that are infinite in good models: masks of attention, and the ranges that quantisation has not seen yet.
MAY_BE_INFINITE = re.compile(r'(.*[._])?(\w*mask|min_val|max_val)')
REMEDY = 'training diverged, or the file is damaged: take another checkpoint, such as an earlier one of the run'


def check_finite(state: Mapping[str, Any], path: str | Path, own: Mapping[str, Tensor] | None = None,
                 what: str = 'weights') -> None:
    """Checks that weights are numbers, and will be in the kind of number that a model has.

    Args:
        state: Weights by name; what is no tensor of floating-point numbers counts as good.
        path: The file, for the message.
        own: The model's weights by name, for their kinds; where a name is not in it, float32 is what float64 goes into.
        what: What they are, for the message.

    Raises:
        CheckpointError: Some are NaN, infinite or too large; says how many, and names the first.
    """
    faults = []
    for name, tensor in state.items():
        if not is_plain(tensor) or not (tensor.is_floating_point() or tensor.is_complex()):
            continue
        theirs = torch.float32 if tensor.dtype == torch.float64 else tensor.dtype
        target = own[name].dtype if own is not None and name in own else theirs
        fault = _fault(tensor, target, isinstance(name, str) and MAY_BE_INFINITE.fullmatch(name) is not None)
        if fault is not None:
            faults.append(f'{shown(name)} ({fault})')
    if faults:
        raise CheckpointError(f'{path}: {len(faults)} of {len(state)} {what} are no finite numbers: '
                              f'{", ".join(faults[:SHOWN])}{", ..." * (len(faults) > SHOWN)}; {REMEDY}')


def count_nan(content: Any) -> int:
    """Returns how many tensors in nested containers hold NaN."""
    return sum(_fault(tensor, tensor.dtype, True) is not None for tensor in tensors_in(content)
               if is_plain(tensor) and (tensor.is_floating_point() or tensor.is_complex()))


def _fault(tensor: Tensor, target: torch.dtype, may_be_infinite: bool) -> str | None:
    """Returns what is wrong with a tensor's numbers, None where they are finite as `target`. One pass, no memory."""
    if tensor.numel() == 0:
        return None
    numbers = torch.view_as_real(tensor.detach().resolve_conj()) if tensor.is_complex() else tensor.detach()
    numbers = numbers.float() if numbers.itemsize == 1 else numbers  # float8 has no minimum
    low, high = (end.item() for end in torch.aminmax(numbers))
    if low != low:  # NaN
        return f'{int(numbers.isnan().sum())} of {numbers.numel()} NaN'
    largest, furthest = _largest(target), max(-low, high)
    if furthest <= largest or may_be_infinite:
        return None
    if furthest == float('inf'):
        return f'{int(numbers.isinf().sum())} of {numbers.numel()} infinite'
    return f'up to {furthest:.2g}, too large for {str(target).removeprefix("torch.")}'


def _largest(kind: torch.dtype) -> float:
    return torch.finfo(kind).max if kind.is_floating_point or kind.is_complex else float('inf')
