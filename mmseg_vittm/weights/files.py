"""Checkpoint files of every kind: read without running code in them, unwrapped from what training loops add."""
import contextvars
import importlib
import json
import logging
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import safe_open
from torch import Tensor

from ..errors import CheckpointError
from . import safe_pickle
from .config_text import code_in
from .plain_data import is_plain
from .safe_pickle import shown

_trusted = contextvars.ContextVar('trusted', default=False)
REMEDY = ('if you trust where it is from, and only then, read it by --trust-checkpoint or in '
          '`with mmseg_vittm.trust_checkpoints():`')


class trust_checkpoints:  # noqa: N801  (like torch.set_grad_enabled: a function, and a context)
    """Lets checkpoint files run code while they are read: from this call on, or within a `with` block.

    Each such file is read by `torch.load(weights_only=False)`, with a warning that names it. It holds for this thread.

    Args:
        trust: False takes it back.
    """

    def __init__(self, trust: bool = True):
        self._before = _trusted.set(trust)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_) -> None:
        _trusted.reset(self._before)


def is_safetensors(path: str | Path) -> bool:
    """Returns whether a file is in the safetensors format, by its first bytes: a length, and JSON of that length."""
    with open(path, 'rb') as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b'{' and struct.unpack('<Q', start[:8])[0] <= os.path.getsize(path) - 8


def trusted() -> bool:
    """Returns whether `trust_checkpoints` holds."""
    return _trusted.get()


def existing(path: str | Path) -> Path:
    """Returns the path of a checkpoint, `~` expanded.

    Raises:
        CheckpointError: There is no such file, or it is an address.
    """
    if '://' in str(path):
        raise CheckpointError(f'{path}: no such checkpoint file: it is an address; download it and give the path of '
                              'the local file')
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f'{path}: no such checkpoint file; give the path of a local .pth or .safetensors file')
    return path


def read_file(path: str | Path, map_location: Any = 'cpu') -> Any:
    """Reads a safetensors or a `torch.save` file, which it is by its content; code in it is never run.

    What a pickle may hold: tensors, plain data, NumPy arrays of numbers and strings, and mmengine's history buffers.

    Args:
        path: The file.
        map_location: As in `torch.load`.

    Raises:
        CheckpointError: The file is missing or damaged, or holds more than that; names what it asks for.
    """
    path = existing(path)
    try:
        if is_safetensors(path):
            return _read_safetensors(path, map_location)
        with open(path, 'rb') as file:
            if path.suffix.lower() == '.safetensors':
                safe_pickle.load(file, map_location)  # for its error, which names what it asks for
                raise CheckpointError('by its content it is no .safetensors file but one of torch.save; rename it')
            if trusted():
                return _read_trusted(file, path, map_location)
            content = safe_pickle.load(file, map_location)
        _check_configs(content)
        return content
    except CheckpointError as error:
        raise CheckpointError(f'{path} cannot be loaded: {error}; take a complete file of tensors, .safetensors best, '
                              f'or, {REMEDY}') from error
    except Exception as error:  # torch, zipfile and safetensors raise whatever they meet
        raise CheckpointError(f'{path} cannot be loaded: {_reason(error)}. Either it is damaged (copy it again), or it '
                              'holds more than weights, which is refused because loading it could run code; take a '
                              f'file of tensors, .safetensors best, or, {REMEDY}') from error


def read_metadata(path: str | Path) -> dict[str, str]:
    """Returns the texts in a safetensors file's header; nothing for other files."""
    path = existing(path)
    if not is_safetensors(path):
        return {}
    with safe_open(path, 'pt') as file:
        return file.metadata() or {}


def read_dataset_meta(path: str | Path) -> Any:
    """Returns `dataset_meta`, classes and palette, from a safetensors file's header; None where it has none.

    Raises:
        CheckpointError: It is no JSON.
    """
    text = read_metadata(path).get('dataset_meta')
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f'{path}: the dataset_meta in its header is no JSON; convert the checkpoint again '
                              '(tools/convert_checkpoint.py)') from error


def check_dataset_meta(meta: Any, path: str | Path) -> None:
    """Checks the classes (names) and the palette (as many RGB triples) of a checkpoint, where it has them.

    Raises:
        CheckpointError: They are something else.
    """
    def rgb(colour: Any) -> bool:
        return len(colour) == 3 and all(0 <= int(value) == value <= 255 for value in colour)

    try:
        classes, palette = (None, None) if meta is None else (meta.get('classes'), meta.get('palette'))
        names = classes is None or isinstance(classes, (list, tuple)) and all(type(name) is str for name in classes)
        colours = palette is None or len(palette) == 0 or (
            all(rgb(colour) for colour in palette) and (classes is None or len(palette) == len(classes)))
    except (AttributeError, TypeError, ValueError, OverflowError):
        names = colours = False
    if not (names and colours):
        raise CheckpointError(f"{path}: its dataset_meta is damaged: 'classes' must be names, 'palette' as many RGB "
                              'triples; save or convert the checkpoint again')


def _read_safetensors(path: Path, map_location: Any) -> dict[str, Tensor]:
    """Returns a safetensors file's weights, where `map_location` wants them if it is a device."""
    with safe_open(path, 'pt') as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
    if isinstance(map_location, (str, torch.device)):
        state = {name: tensor.to(map_location) for name, tensor in state.items()}
    return state


def _read_trusted(file: BinaryIO, path: Path, map_location: Any) -> Any:
    """Unpickles a file that the user vouches for."""
    _warn(f'{path} is read without protection, as you asked: code in it can run')
    return torch.load(file, map_location=map_location, weights_only=False)


def _warn(message: str) -> None:
    """Logs a warning by mmengine's logger, or Python's where mmengine is not installed."""
    try:
        logger = importlib.import_module('mmengine.logging').MMLogger.get_current_instance()
    except ImportError:
        logger = logging.getLogger(__package__)
    logger.warning(message)


def _check_configs(content: Any) -> None:
    """Looks through the configs that mmengine keeps in checkpoints as text, and would run as Python.

    Raises:
        CheckpointError: One is more than data; names what it asks for.
    """
    def inner(owner: Any, key: str) -> Any:
        return owner.get(key) if isinstance(owner, dict) else None

    meta, hub = inner(content, 'meta'), inner(inner(content, 'message_hub'), 'runtime_info')
    for owner, title in ((meta, 'meta'), (hub, 'message_hub.runtime_info')):
        for key in ('config', 'cfg'):
            text = inner(owner, key)
            name = code_in(text) if isinstance(text, str) else None
            if name is not None:
                raise CheckpointError(f'the config in its {title}[{key!r}] asks for {shown(name)}, which could run '
                                      'code')


def _reason(error: Exception) -> str:
    """Returns in one line what torch and the readers of archives say at length."""
    said = str(error).partition('\n\nCheck the documentation of torch.load')[0]
    if said.startswith('Weights only load failed'):  # advice to load it without protection, then the reason
        said = said.rpartition('WeightsUnpickler error:')[2].strip() or said.rpartition('\n\n')[2]
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f'{shown(lines[0]) if lines else "it ends too early"} ({type(error).__name__})'


def read_state_dict(path: str | Path) -> tuple[dict[str, Tensor], str]:
    """Reads a file's weights and undoes the wrappers around them.

    Known wrappers: a `state_dict` or `model` key, `AveragedModel` (an `n_averaged` entry, every key prefixed
    by `module.`), `torch.compile` (`_orig_mod.`), and any of them inside another.

    Returns:
        The weights by name, and a word on the wrappers found, empty for none.

    Raises:
        CheckpointError: As `read_file`, or there are no weights in it.
    """
    return unwrap(read_file(path), path)


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
