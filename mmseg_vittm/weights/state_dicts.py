"""Weights by name, out of what training loops and wrappers put around them."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import CheckpointError, shown
from .files import read_weights_file
from .plain import is_plain


def read_state_dict(path: str | Path) -> tuple[dict[str, Tensor], str]:
    """Reads a file's weights and undoes the wrappers around them.

    Known wrappers: a `state_dict` or `model` key, `AveragedModel` (an `n_averaged` entry, every key prefixed
    by `module.`), `torch.compile` (`_orig_mod.`), and any of them inside another.

    Returns:
        The weights by name, and a word on the wrappers found, empty for none.

    Raises:
        CheckpointError: As `read_weights_file`, or there are no weights in it.
    """
    return unwrap(read_weights_file(path), path)


def unwrap(state: Any, path: str | Path) -> tuple[dict[str, Tensor], str]:
    """Undoes the wrappers around weights that were read from a file; see `read_state_dict`."""
    wrappers = []
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
                       if state and all(isinstance(name, str) and name.startswith(p) for name in state)), None)
        if prefix is None:
            break
        state = {name[len(prefix):]: value for name, value in state.items()}
        if prefix == '_orig_mod.':
            wrappers.append('torch.compile')
    check_weights(state, path)
    return state, ' in '.join(dict.fromkeys(wrappers))


def check_weights(state: Any, path: str | Path) -> None:
    """Checks that this is a dict of tensors by name.

    Raises:
        CheckpointError: It is not, or is empty; names the file, and what is no tensor.
    """
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f'{path}: there are no weights in this file')
    others = [shown(name) for name, value in state.items() if not (isinstance(name, str) and is_plain(value))]
    if others:
        raise CheckpointError(f'{path}: expected tensors by name, but these entries are none: {", ".join(others[:8])}'
                              f'{" ..." if len(others) > 8 else ""}; give a file that holds a state dict')
