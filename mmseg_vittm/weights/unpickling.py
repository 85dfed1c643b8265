"""Reading `torch.save` files without running code in them, and without disturbing another thread.

`torch.load(weights_only=True)` unpickles. It takes its list of allowed classes from the process, so that
`torch.serialization.safe_globals` would show ours to every thread; here the reading thread alone sees them. What NumPy
and mmengine would unpickle themselves, trusting sizes, flags and methods that a file claims, goes to stand-ins.
"""
import contextlib
import contextvars
import importlib
import math
import pickletools
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import _weights_only_unpickler as unpickler

from ..errors import CheckpointError, shown
from .plain import bytes_of_tensors, rebuild

GETATTR = 'builtins.getattr'
HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
STATISTICS = ('min', 'max', 'mean', 'current')
ASKED = '_get_allowed_globals', '_get_user_allowed_globals'  # where torch's unpickler looks for what it may take
_reading = contextvars.ContextVar('reading', default=False)
_install = threading.Lock()


class Dtype:
    """Stands in for `numpy.dtype`: numbers and strings, whatever state the file gives them."""

    def __init__(self, name: str, align: bool = False, copy: bool = False):
        value = np.dtype(name) if isinstance(name, str) else None
        if value is None or value.kind not in 'biufcSU' or value.itemsize == 0:
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
        whole = isinstance(shape, tuple) and all(isinstance(side, int) and side >= 0 for side in shape)
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
        return _history_buffer()(*lines, length)


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


def _history_buffer() -> type | None:
    """Returns mmengine's `HistoryBuffer`, None where mmengine is not installed: no file needs it then."""
    try:
        return importlib.import_module('mmengine.logging.history_buffer').HistoryBuffer
    except ImportError:
        return None


# What pickles of mmengine's Runner name beyond what torch.load takes by itself, and what they get.
STAND_INS = {'numpy.dtype': Dtype, 'numpy.ndarray': Array, 'builtins.slice': slice, GETATTR: _getattr_of_history,
             'builtins.bytes': _no_bytes} | {
    f'numpy.{core}.multiarray.{name}': stand_in for core in ('_core', 'core')
    for name, stand_in in (('scalar', _scalar), ('_reconstruct', _reconstruct))}


def _allow_in_this_thread() -> None:
    """Makes torch's unpickler ask, at every global, whether this thread is reading for us.

    Other threads get the answers that they got before, from the process's lists, which nobody here writes to. What this
    thread does not get is `bytearray`, which torch allows: it takes as much memory as a file says.

    Raises:
        CheckpointError: This version of PyTorch has another unpickler.
    """
    with _install:
        of_torch, of_users = (getattr(unpickler, name, None) for name in ASKED)
        if hasattr(of_users, 'before'):
            return
        if of_torch is None or of_users is None:
            raise CheckpointError(f'PyTorch {torch.__version__} reads files in a way that is not known here; give a '
                                  '.safetensors file, or install an earlier PyTorch')
        stand_ins = STAND_INS | ({HISTORY: History} if _history_buffer() else {})
        plain = {name: value for name, value in of_torch().items() if value is not bytearray}

        def known() -> dict[str, Any]:
            return plain if _reading.get() else of_torch()

        def allowed() -> dict[str, Any]:
            return of_users() | stand_ins if _reading.get() else of_users()
        allowed.before = of_users
        unpickler._get_allowed_globals, unpickler._get_user_allowed_globals = known, allowed


def load(file: BinaryIO, map_location: Any) -> Any:
    """Unpickles a `torch.save` file: tensors, plain data, NumPy arrays and mmengine's history buffers.

    Args:
        file: The opened file.
        map_location: As in `torch.load`.

    Raises:
        CheckpointError: The file asks for more, by name; or is damaged.
        Exception: Whatever torch's unpickler and readers meet in a damaged file.
    """
    _allow_in_this_thread()
    token = _reading.set(True)
    try:
        size = file.seek(0, 2)
        file.seek(0)
        if file.read(4) == b'PK\x03\x04':
            _check_archive(file)
        file.seek(0)
        content = rebuild(torch.load(file, map_location=map_location, weights_only=True), (Array, Dtype, History))
        if bytes_of_tensors(content) > size:
            raise CheckpointError('tensors in it are larger than the file: it is damaged')
        return content
    except CheckpointError:
        raise
    except Exception as error:
        names = list(dict.fromkeys(_refused(file)))
        if not names:
            raise
        raise CheckpointError(f'it asks for {", ".join(map(shown, names[:4]))}{" ..." * (len(names) > 4)}, which '
                              'could run code') from error
    finally:
        _reading.reset(token)


def _check_archive(file: BinaryIO) -> None:
    """Compares the checksums of a zip archive, as torch does not, and refuses records that unpack to more."""
    with zipfile.ZipFile(file) as archive:
        records = archive.infolist()
        if any(record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size
               for record in records) or len({record.filename for record in records}) < len(records):
            raise CheckpointError('it is a zip archive, but not as torch.save writes them')
        broken = archive.testzip()
        if broken is not None:
            raise CheckpointError(f'the checksum of {shown(broken)} in it is wrong: it is damaged (or was saved '
                                  'without checksums)')


def _refused(file: BinaryIO) -> Iterator[str]:
    """Yields what the pickles in a file ask for that is not allowed; of any format and protocol, for the message.

    `torch.serialization.get_unsafe_globals_in_checkpoint` does so for zip archives of protocol 2.
    """
    allowed = {*unpickler._get_allowed_globals(), *unpickler._get_user_allowed_globals(),
               *(f'{HISTORY}.{name}' for name in STATISTICS)}
    with contextlib.suppress(Exception):  # archives may be damaged in any way
        for stream, is_read in _pickles(file):
            for name, opcode in _named(stream):
                if name not in allowed or name == GETATTR and (opcode == 'STACK_GLOBAL' or not is_read):
                    yield name


def _pickles(file: BinaryIO) -> Iterator[tuple[BinaryIO, bool]]:
    """Yields the pickles in a zip archive, in a tar archive (never read) or one after the other, as far as they go."""
    file.seek(0)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for record in archive.infolist():
                if record.filename.endswith('.pkl') and record.compress_type == zipfile.ZIP_STORED:
                    yield archive.open(record), True
        return
    file.seek(0)
    if tarfile.is_tarfile(file):
        file.seek(0)
        with tarfile.open(fileobj=file, mode='r:') as archive:
            for member in archive:
                if member.isfile():
                    yield archive.extractfile(member), False
    file.seek(0)
    for _ in range(5):  # magic number, protocol, system, the object, keys of its storages; then bytes
        yield file, True


def _named(stream: BinaryIO) -> Iterator[tuple[str, str]]:
    """Yields the globals of a pickle, as `module.name`, and by which opcode; ends where it does, or is damaged."""
    strings, memo = ['', ''], {}
    with contextlib.suppress(Exception):  # pickletools raises whatever it meets
        for code, argument, _ in pickletools.genops(stream):
            if code.name in ('GLOBAL', 'INST'):
                module, _, name = argument.partition(' ')
                yield f'{"builtins" if module == "__builtin__" else module}.{name}', code.name
            elif code.name == 'STACK_GLOBAL':
                yield '.'.join(strings[-2:]), code.name
            elif code.name == 'MEMOIZE':
                memo[len(memo)] = strings[-1]
            elif code.name.endswith('GET'):
                strings.append(memo.get(argument, ''))
            elif isinstance(argument, str):
                strings.append(argument)
