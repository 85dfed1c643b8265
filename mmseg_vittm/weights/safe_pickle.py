"""Reading `torch.save` files without running code in them.

Three walls, each enough for what it stands for: the globals that a file names are compared with a list before anything
is unpickled, `torch.load(weights_only=True)` unpickles, and NumPy's own unpickling, which trusts the sizes and flags
that a file claims, is replaced by stand-ins that do not.
"""
import importlib
import math
import pickletools
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import torch
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals

from ..errors import CheckpointError
from .plain_data import bytes_of_tensors, normalise

# What checkpoints are made of, as pickles name it: torch.load's list, but for what only takes memory (bytearray).
KNOWN = re.compile(r'collections\.(?:OrderedDict|Counter)|builtins\.(?:set|complex|slice|getattr)|_codecs\.encode|'
                   r'torch\.(?:[A-Z]\w*|\w+\d\w*|bool|device|per_\w+|[\w.]*Storage|[\w.]*Tensor)|'
                   r'torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2|torch\.nn\.parameter\.Parameter|'
                   r'torch\.serialization\._get_layout|'
                   r'numpy\.(?:ndarray|dtype|_?core\.multiarray\.(?:scalar|_reconstruct))|'
                   r'mmengine\.logging\.history_buffer\.HistoryBuffer(?:\.(?:min|max|mean|current))?')
GETATTR = 'builtins.getattr'  # left to `_history_getattr`, which sees of what
STATISTICS = ('min', 'max', 'mean', 'current')
_LOADING = threading.Lock()  # torch keeps its list of allowed globals per process


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


class Array(np.ndarray):
    """Stands in for `numpy.ndarray`: as many bytes as its shape and dtype need, or an error."""

    def __new__(cls, *_):
        """Makes an empty array, which `__setstate__` fills."""
        return super().__new__(cls, (0,), np.int8)

    def __setstate__(self, state: tuple) -> None:
        """Fills the array from NumPy's state: version, shape, dtype, whether in Fortran order, bytes."""
        _, shape, dtype, fortran, data = state
        whole = all(isinstance(side, int) and side >= 0 for side in shape)
        if not whole or not isinstance(dtype, Dtype) or not isinstance(data, bytes) \
                or len(data) != math.prod(shape) * dtype.value.itemsize:
            raise CheckpointError('it holds a NumPy array whose bytes do not fit its shape')
        super().__setstate__((1, shape, dtype.value, bool(fortran), data))


def _scalar(dtype: Dtype, data: bytes) -> np.generic:
    """Stands in for NumPy's `scalar`."""
    if not isinstance(dtype, Dtype) or not isinstance(data, bytes) or len(data) != dtype.value.itemsize:
        raise CheckpointError('it holds a NumPy number whose bytes do not fit its type')
    return np.frombuffer(data, dtype.value)[0]


def _reconstruct(*_) -> Array:
    """Stands in for NumPy's `_reconstruct`: the array comes with the state that follows."""
    return Array()


def history_buffer() -> type | None:
    """Returns mmengine's `HistoryBuffer`, None where mmengine is not installed: no file needs it then."""
    try:
        return importlib.import_module('mmengine.logging.history_buffer').HistoryBuffer
    except ImportError:
        return None


def _history_getattr(owner: Any, name: str, *_) -> Any:
    """Stands in for `builtins.getattr`, which the pickles of history buffers ask for.

    The real one would let a file reach any attribute of anything.
    """
    if owner is not None and owner is history_buffer() and name in STATISTICS:
        return getattr(owner, name)
    owner = getattr(owner, '__qualname__', None) or type(owner).__name__
    raise CheckpointError(f'it asks for builtins.getattr({shown(owner)}, {shown(name)}), which no checkpoint needs')


def stand_ins() -> list[tuple[Any, str]]:
    """Returns what `torch.load(weights_only=True)` must know to read checkpoints that mmengine's Runner wrote."""
    multiarrays = [f'numpy.{core}.multiarray' for core in ('_core', 'core')]
    buffer = history_buffer()
    return [(Dtype, 'numpy.dtype'), (Array, 'numpy.ndarray'), (slice, 'builtins.slice'),
            (_history_getattr, GETATTR),
            *((_scalar, f'{module}.scalar') for module in multiarrays),
            *((_reconstruct, f'{module}._reconstruct') for module in multiarrays),
            *([(buffer, 'mmengine.logging.history_buffer.HistoryBuffer')] if buffer else [])]


def shown(text: Any) -> str:
    """Returns a name out of a file as it may be shown: one line, no control characters, not too long."""
    if not isinstance(text, str):
        return f'a {type(text).__name__}'
    text = text if len(text) <= 160 else f'{text[:157]}...'
    return text if text.isprintable() else ascii(text)


def named_globals(stream: BinaryIO) -> Iterator[tuple[str, str]]:
    """Yields the globals that a pickle asks for, as `module.name`, and by which opcode.

    Ends where the pickle does, or is damaged.
    """
    memo, strings = {}, ['', '']
    try:
        for code, argument, _ in pickletools.genops(stream):
            if code.name in ('GLOBAL', 'INST'):
                name = argument.replace(' ', '.', 1)
                yield re.sub(r'^__builtin__\.', 'builtins.', name), code.name
            elif code.name == 'STACK_GLOBAL':
                yield '.'.join(strings[-2:]), code.name
            elif code.name == 'MEMOIZE':
                memo[len(memo)] = strings[-1]
            elif code.name.endswith('PUT'):
                memo[argument] = strings[-1]
            elif code.name.endswith('GET'):
                strings.append(memo.get(argument, ''))
            elif isinstance(argument, str):
                strings.append(argument)
    except Exception:  # pickletools raises whatever it meets; torch.load will say what is wrong
        return


def check_globals(stream: BinaryIO, readable: bool = True) -> None:
    """Looks through a pickle for globals that no checkpoint needs.

    Args:
        stream: The pickle.
        readable: Whether it will be unpickled at all, so that what `getattr` is for will be seen then.

    Raises:
        CheckpointError: There are some; names them.
    """
    allowed = {entry[1] if isinstance(entry, tuple) else f'{entry.__module__}.{entry.__qualname__}'
               for entry in get_safe_globals()}
    refused = list(dict.fromkeys(
        name for name, opcode in named_globals(stream) if not KNOWN.fullmatch(name) and name not in allowed
        or name == GETATTR and (opcode == 'STACK_GLOBAL' or not readable)))
    if refused:
        raise CheckpointError(f'it asks for {", ".join(map(shown, refused[:4]))}'
                              f'{" ..." if len(refused) > 4 else ""}, which could run code')


def _check_zip(file: BinaryIO) -> int:
    """Looks through the zip archive that `torch.save` writes; returns the bytes of its tensors.

    Raises:
        CheckpointError: Its pickle asks for more than checkpoints need, a checksum is wrong, or it is another archive.
    """
    with zipfile.ZipFile(file) as archive:
        records = archive.infolist()
        for record in records:
            if record.filename.endswith('.pkl') and record.compress_type == zipfile.ZIP_STORED:
                with archive.open(record) as stream:
                    check_globals(stream)
        if any(record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size
               for record in records) or len({record.filename for record in records}) < len(records):
            raise CheckpointError('it is a zip archive, but not as torch.save writes them')
        broken = archive.testzip()
        if broken is not None:
            raise CheckpointError(f'the checksum of {shown(broken)} in it is wrong: it is damaged (or was saved '
                                  'without checksums)')
        return sum(record.file_size for record in records if '/data/' in record.filename)


def _check_tar(file: BinaryIO) -> None:
    """Looks through an archive of PyTorch before 0.2, which is never read.

    Raises:
        CheckpointError: Always.
    """
    with tarfile.open(fileobj=file, mode='r:') as archive:
        for member in archive:
            if member.isfile():
                check_globals(archive.extractfile(member), readable=False)
    raise CheckpointError('it is a .tar file as PyTorch wrote them before version 0.2; save it again with a newer one')


def inspect(file: BinaryIO) -> int:
    """Looks through a `torch.save` file of any age without unpickling it.

    Returns:
        How many bytes of tensors it can hold.

    Raises:
        CheckpointError: It asks for globals that no checkpoint needs, or is damaged.
        Exception: It is no such file; whatever the readers of archives raise.
    """
    start, size = file.read(4), file.seek(0, 2)
    file.seek(0)
    if start == b'PK\x03\x04':
        return _check_zip(file)
    if size >= tarfile.BLOCKSIZE and tarfile.is_tarfile(file):
        file.seek(0)
        _check_tar(file)
    file.seek(0)
    for _ in range(5):  # magic number, protocol, system, the object, keys of its storages; then bytes
        check_globals(file)
    return size - file.tell()


def load(file: BinaryIO, map_location: Any) -> Any:
    """Unpickles a `torch.save` file: tensors, plain data, and mmengine's history buffers.

    Args:
        file: The opened file.
        map_location: As in `torch.load`.

    Raises:
        CheckpointError: The file is damaged, or asks for more.
        Exception: Whatever torch's unpickler and readers meet.
    """
    room = inspect(file)
    file.seek(0)
    with _LOADING:
        before, own, buffer = get_safe_globals(), stand_ins(), history_buffer()
        names = {name for _, name in own}
        # The class keeps the methods that its buffers bring, so a file could change those of all others. The first
        # buffer made registers mmengine's own.
        methods = dict(buffer()._statistics_methods) if buffer else {}
        clear_safe_globals()
        add_safe_globals([*own, *(entry for entry in before if not isinstance(entry, tuple)
                                  and f'{entry.__module__}.{entry.__qualname__}' not in names
                                  or isinstance(entry, tuple) and entry[1] not in names)])
        try:
            content = torch.load(file, map_location=map_location, weights_only=True)
        finally:
            clear_safe_globals()
            add_safe_globals(before)
            if buffer:
                buffer._statistics_methods.clear()
                buffer._statistics_methods.update(methods)
    content = normalise(content, Array, buffer)
    if bytes_of_tensors(content) > room:
        raise CheckpointError('tensors in it are larger than the file: it is damaged')
    return content
