"""What was read from a checkpoint, in plain containers: a file decides values, never how they behave."""
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator
from types import FunctionType
from typing import Any

import torch

from ..errors import CheckpointError
from .pickle_bounds import DAMAGED, DEEPEST

CONTAINERS = (dict, OrderedDict, Counter, list, tuple, set)


def rebuild(value: Any, stand_ins: tuple[type, ...]) -> Any:
    """Rebuilds containers without attributes of a file's making, and what stands in for other classes.

    Pickles may give an OrderedDict any attribute, `items` too. Of these only `_metadata`, the versions of modules,
    is kept. Tensors stay what they are, and shared where they are shared.

    Args:
        value: What was unpickled.
        stand_ins: Classes whose `rebuilt()` returns what an object stands for.

    Raises:
        CheckpointError: Containers hold themselves or are nested too deep; something in it is damaged, or is a class.
    """
    done: dict[int, tuple[Any, Any]] = {}
    unfinished: set[int] = set()

    def visit(value: Any, depth: int) -> Any:
        kind = type(value)
        if kind not in CONTAINERS + stand_ins:
            if isinstance(value, (type, FunctionType)):
                raise CheckpointError('it holds a class or a function, which no checkpoint needs')
            return value
        if id(value) in unfinished or depth > DEEPEST:
            raise CheckpointError(DAMAGED)
        if id(value) in done:
            return done[id(value)][1]
        unfinished.add(id(value))
        if kind in stand_ins:
            result = value.rebuilt()
        elif issubclass(kind, dict):
            result = kind()
            for key, item in kind.items(value):
                key = visit(key, depth + 1)
                if not isinstance(key, Hashable):
                    raise CheckpointError(f'a dict in it has a {type(key).__name__} for a key: it is damaged')
                result[key] = visit(item, depth + 1)
            if kind is OrderedDict and '_metadata' in vars(value):
                result._metadata = _versions(vars(value)['_metadata'])
        else:
            result = kind([visit(item, depth + 1) for item in value])
        unfinished.discard(id(value))
        done[id(value)] = value, result  # the value too: its id must not be given away
        return result

    return visit(value, 0)


def _versions(metadata: Any) -> OrderedDict:
    """Returns the versions of modules that `Module.state_dict` notes."""
    if not isinstance(metadata, dict) or not all(
            isinstance(name, str) and isinstance(entry, dict) and type(entry.get('version', 1)) in (int, type(None))
            for name, entry in dict.items(metadata)):
        raise CheckpointError("the '_metadata' of its weights is damaged")
    return OrderedDict((name, {'version': entry['version']} if 'version' in entry else {})
                       for name, entry in dict.items(metadata))


def bytes_of_tensors(content: Any) -> int:
    """Returns the bytes of all tensors in rebuilt containers, shared memory counted once."""
    storages = [tensor.untyped_storage() for tensor in tensors_in(content)]
    return sum({(storage.data_ptr(), storage.device): storage.nbytes() for storage in storages}.values())


def bytes_of_values(content: Any) -> int:
    """Returns the bytes that the tensors in rebuilt containers would take if none shared its memory, or repeated it."""
    return sum({id(tensor): tensor.numel() * tensor.itemsize for tensor in tensors_in(content)}.values())


def tensors_in(content: Any) -> Iterator[torch.Tensor]:
    """Yields the tensors in rebuilt containers that have memory."""
    waiting, seen = [content], set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, torch.Tensor):
            if item.layout == torch.strided and item.device.type != 'meta':
                yield item
        elif isinstance(item, CONTAINERS) and id(item) not in seen:
            seen.add(id(item))
            waiting.extend([*item.keys(), *item.values()] if isinstance(item, dict) else item)


def is_plain(tensor: Any) -> bool:
    """Returns whether a tensor is one that weights can be copied from: strided numbers that are there."""
    return type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.layout == torch.strided \
        and tensor.device.type != 'meta' and not tensor.is_quantized
