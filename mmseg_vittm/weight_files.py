"""Reading checkpoint files without running code in them, and unwrapping what training loops wrap weights in."""
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from .errors import CheckpointError


def _history_buffer_getattr(owner: Any, name: str) -> Any:
    """Stands in for `builtins.getattr`, which the pickles of mmengine's history buffers ask for.

    The real one would let a file reach any attribute of anything.
    """
    if getattr(owner, '__name__', None) == 'HistoryBuffer' and name in ('min', 'max', 'mean', 'current'):
        return getattr(owner, name)
    raise CheckpointError(f'it asks for the attribute {name!r} of {owner!r}, which no checkpoint needs')


def mmengine_safe_globals() -> list:
    """Returns what `torch.load(weights_only=True)` must know to read checkpoints that mmengine's Runner wrote.

    These are the data types of its message hub: history buffers and NumPy arrays and scalars. The list is
    empty where mmengine is not installed: nothing needs it then.
    """
    try:
        buffers = importlib.import_module('mmengine.logging.history_buffer')
    except ImportError:
        return []
    multiarray = importlib.import_module('numpy._core.multiarray' if hasattr(np, '_core') else
                                         'numpy.core.multiarray')
    functions = [getattr(multiarray, name) for name in ('scalar', '_reconstruct')]
    named = [(function, f'{package}.multiarray.{function.__name__}')
             for function in functions for package in ('numpy._core', 'numpy.core')]
    kinds = {type(np.dtype(kind)) for kind in '?bhilqBHILQefdg'}
    return [buffers.HistoryBuffer, np.ndarray, np.dtype, slice, *kinds, *named,
            (_history_buffer_getattr, 'builtins.getattr')]


def read_file(path: str | Path) -> Any:
    """Reads a `.safetensors` or a `torch.save` file onto the CPU; code in it is never run.

    Raises:
        CheckpointError: The file is missing or damaged, or holds more than tensors and plain data.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f'{path}: no such checkpoint file; give the path of a local .pth or .safetensors file')
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        # Only what is not allowed already: leaving the context takes it all back, from whoever allowed it.
        missing = [item for item in mmengine_safe_globals() if item not in torch.serialization.get_safe_globals()]
        with torch.serialization.safe_globals(missing):
            return torch.load(path, map_location='cpu', weights_only=True)
    except (SafetensorError, CheckpointError) as error:
        raise CheckpointError(f'{path} cannot be loaded: {error}; is the file complete, and a checkpoint?') from error
    except Exception as error:  # torch raises whatever its unpickler and zip reader meet
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        for line in str(error).splitlines():
            if 'Unsupported' in line or 'GLOBAL' in line:
                reason = [line.strip()]
                break
        raise CheckpointError(f'{path} cannot be loaded: {reason[0]} ({type(error).__name__}). Either it is damaged '
                              '(copy it again), or it holds more than weights, which is refused because loading it '
                              'could run code; ask for a file of tensors, .safetensors best') from error


def read_state_dict(path: str | Path) -> tuple[dict[str, Tensor], str]:
    """Reads a file's weights and undoes the wrappers around them.

    Known wrappers: a `state_dict` or `model` key, `AveragedModel` (an `n_averaged` entry, every key prefixed
    by `module.`), `torch.compile` (`_orig_mod.`), and any of them inside another.

    Returns:
        The weights by name, and a word on the wrappers found, empty for none.

    Raises:
        CheckpointError: As `read_file`, or there are no weights in it.
    """
    state, wrappers = read_file(path), []
    while isinstance(state, Mapping):
        key = next((k for k in ('state_dict', 'model') if isinstance(state.get(k), Mapping)), None)
        if key is not None:
            state = state[key]
            wrappers.append(key)
            continue
        state = dict(state)
        if state.pop('n_averaged', None) is not None:
            wrappers.append('AveragedModel')
        prefix = next((p for p in ('state_dict.', 'module.', '_orig_mod.')
                       if state and all(str(name).startswith(p) for name in state)), None)
        if prefix is None:
            break
        state = {name[len(prefix):]: value for name, value in state.items()}
        if prefix == '_orig_mod.':
            wrappers.append('torch.compile')
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f'{path}: there are no weights in this file')
    others = [str(name) for name, value in state.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if others:
        raise CheckpointError(f'{path}: expected tensors by name, but these entries are none: {", ".join(others[:8])}'
                              f'{" ..." if len(others) > 8 else ""}; give a file that holds a state dict')
    return state, ' in '.join(dict.fromkeys(wrappers))
