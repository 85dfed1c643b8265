"""Weight files of every kind, read without running code in them."""
import contextvars
import importlib
import logging
import os
import stat
import struct
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import safe_open
from torch import Tensor

from ..errors import CheckpointError, one_line, shown
from . import unpickling
from .other_files import what_else

_trusted = contextvars.ContextVar('trusted', default=False)
TRUST = 'in `with mmseg_vittm.trust_checkpoints():`'
REMEDY = f'if you trust where it is from, and only then, read it {TRUST}'


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
        CheckpointError: There is no such file, it is an address, or no regular file, which might never end.
    """
    if '://' in str(path):
        raise CheckpointError(f'{path}: no such checkpoint file: it is an address; download it and give the path of '
                              'the local file')
    expanded = Path(os.path.expanduser(path))
    try:
        mode = expanded.stat().st_mode
    except (OSError, ValueError) as error:  # missing, or no name that a file can have
        reason = '' if isinstance(error, (FileNotFoundError, NotADirectoryError)) else f' ({_said(error)})'
        raise CheckpointError(f'{path}: no such checkpoint file{reason}; give the path of a local .pth or .safetensors '
                              'file') from error
    if not stat.S_ISREG(mode):
        kind = 'a folder' if stat.S_ISDIR(mode) else 'a device or a pipe'
        raise CheckpointError(f'{path}: no such checkpoint file: it is {kind}; give the path of a local .pth or '
                              '.safetensors file')
    return expanded


def read_weights_file(path: str | Path, map_location: Any = 'cpu') -> Any:
    """Reads a safetensors or a `torch.save` file, which it is by its content; code in it is never run.

    What a pickle may hold: tensors, plain data, NumPy arrays of numbers and strings, and mmengine's history buffers.

    Args:
        path: The file.
        map_location: As in `torch.load`.

    Raises:
        CheckpointError: The file is missing, damaged or of another kind; or holds more than that, which is named.
    """
    path = existing(path)
    try:
        if is_safetensors(path):
            return _read_safetensors(path, map_location)
        other = what_else(path)
        if other is not None:
            raise CheckpointError(f'{path} cannot be loaded: {other}')
        with open(path, 'rb') as file:
            if path.suffix.lower() == '.safetensors':
                unpickling.load(file, map_location)  # for its error, which names what it asks for
                raise CheckpointError('by its content it is no .safetensors file but one of torch.save; rename it')
            if trusted():
                return _read_trusted(file, path, map_location)
            return unpickling.load(file, map_location)
    except unpickling.NeedsTrust as error:
        raise CheckpointError(f'{path} cannot be loaded: {error}; take a complete file of tensors, .safetensors best, '
                              f'or, {REMEDY}') from error
    except CheckpointError as error:
        raise error if str(path) in str(error) else CheckpointError(
            f'{path} cannot be loaded: {error}; take a complete file of tensors, .safetensors best') from error
    except OSError as error:
        raise CheckpointError(f'{path} cannot be read ({_said(error)}); make it a file that you may read, or copy it '
                              'again') from error
    except Exception as error:  # torch, zipfile and safetensors raise whatever they meet
        raise CheckpointError(f'{path} cannot be loaded: {_reason(error)}. It is damaged, or no checkpoint: copy or '
                              'download it again, .safetensors best') from error


def _said(error: Exception) -> str:
    return getattr(error, 'strerror', None) or one_line(error)


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


def _reason(error: Exception) -> str:
    """Returns in one line what torch and the readers of archives say at length."""
    said = str(error).partition('\n\nCheck the documentation of torch.load')[0]
    if said.startswith('Weights only load failed'):  # advice to load it without protection, then the reason
        said = said.rpartition('WeightsUnpickler error:')[2].strip() or said.rpartition('\n\n')[2]
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f'{shown(lines[0]) if lines else "it ends too early"} ({type(error).__name__})'
