"""What was read from a checkpoint, rebuilt from plain containers: a file decides values, never how they behave."""
from collections import Counter, OrderedDict
from typing import Any

import numpy as np
import torch

from ..errors import CheckpointError

DEEPEST = 200  # levels of containers; mmengine's checkpoints have about 8


def normalise(value: Any, array: type, buffer: type | None) -> Any:
    """Rebuilds dicts, lists, tuples and sets, so that none has attributes of a file's making.

    Pickles may give an OrderedDict any attribute, `items` too. Of these only `_metadata`, the versions of modules,
    is kept. Tensors stay what they are, and shared where they are shared.

    Args:
        value: What was unpickled.
        array: The class of its arrays, which become `numpy.ndarray`.
        buffer: mmengine's `HistoryBuffer`, or None where it is not installed.

    Raises:
        CheckpointError: Containers hold themselves or are nested too deep, or a history buffer is damaged.
    """
    done: dict[int, tuple[Any, Any]] = {}
    unfinished: set[int] = set()

    def rebuild(value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is array:
            return np.array(value, copy=True, subok=False)
        if kind not in (dict, OrderedDict, Counter, list, tuple, set) and (buffer is None or kind is not buffer):
            return value
        if id(value) in done:
            return done[id(value)][1]
        if id(value) in unfinished or depth > DEEPEST:
            raise CheckpointError('its containers hold themselves, or are nested too deep: it is damaged')
        unfinished.add(id(value))
        if kind is buffer:
            result = _rebuild_buffer(value, rebuild(dict(vars(value)), depth + 1))
        elif kind in (dict, OrderedDict, Counter):
            result = kind()
            for key, item in kind.items(value):
                result[key] = rebuild(item, depth + 1)
            metadata = vars(value).get('_metadata') if kind is OrderedDict else None
            if metadata is not None:
                result._metadata = _rebuild_metadata(metadata)
        else:
            result = kind([rebuild(item, depth + 1) for item in value])
        unfinished.discard(id(value))
        done[id(value)] = value, result  # the value too: its id must not be given away
        return result

    return rebuild(value, 0)


def _rebuild_buffer(value: Any, state: dict) -> Any:
    """Checks mmengine's history buffer: two lines of numbers of one length."""
    lines = [state.get(name) for name in ('_log_history', '_count_history')]
    if not all(isinstance(line, np.ndarray) and line.ndim == 1 and line.dtype.kind in 'biuf' for line in lines) \
            or len(lines[0]) != len(lines[1]) or type(state.get('max_length')) is not int:
        raise CheckpointError('a history buffer in it is damaged')
    vars(value).clear()
    vars(value).update({'_log_history': lines[0], '_count_history': lines[1], 'max_length': state['max_length']})
    return value


def _rebuild_metadata(metadata: Any) -> OrderedDict:
    """Returns the versions of modules that `Module.state_dict` notes."""
    if not isinstance(metadata, dict) or not all(
            isinstance(name, str) and isinstance(entry, dict) and type(entry.get('version', 1)) in (int, type(None))
            for name, entry in dict.items(metadata)):
        raise CheckpointError("the '_metadata' of its weights is damaged")
    return OrderedDict((name, dict(dict.items(entry))) for name, entry in dict.items(metadata))


def bytes_of_tensors(value: Any) -> int:
    """Returns the bytes of all storages of tensors in nested containers, shared ones once."""
    storages, seen, waiting = {}, set(), [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, torch.Tensor):
            if item.layout == torch.strided and item.device.type != 'meta':
                storage = item.untyped_storage()
                storages[storage.data_ptr(), storage.device] = storage.nbytes()
        elif isinstance(item, (dict, list, tuple, set)) and id(item) not in seen:
            seen.add(id(item))
            waiting.extend([*item.keys(), *item.values()] if isinstance(item, dict) else item)
    return sum(storages.values())


def is_plain(tensor: Any) -> bool:
    """Returns whether a tensor is one that weights can be copied from: strided numbers that are there."""
    return type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.layout == torch.strided \
        and tensor.device.type != 'meta' and not tensor.is_quantized
