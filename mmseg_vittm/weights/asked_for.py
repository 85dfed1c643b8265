"""What the pickles in a file ask for, by name, for the message where it is refused."""
import contextlib
import itertools
import pickletools
import tarfile
import zipfile
from collections.abc import Collection, Iterator
from typing import BinaryIO

from .stand_ins import GETATTR, HISTORY, STATISTICS

FURTHEST = 1_000_000  # opcodes that are looked at
MEMBERS = 100  # of an archive


def asked_for(file: BinaryIO, known: Collection[str]) -> list[str]:
    """Returns what the pickles in a file ask for that is not known, in any format and protocol.

    `torch.serialization.get_unsafe_globals_in_checkpoint` does so for zip archives of protocol 2.
    """
    known = {*known, *(f'{HISTORY}.{name}' for name in STATISTICS)}
    names = {}
    with contextlib.suppress(Exception):  # archives may be damaged in any way
        for stream, is_read in _pickles(file):
            for name, opcode in _named(stream):
                if name not in known or name == GETATTR and (opcode == 'STACK_GLOBAL' or not is_read):
                    names[name] = None
    return list(names)


def is_pickled(file: BinaryIO) -> bool:
    """Returns whether the first pickle in a file has an end, as far as it is looked for."""
    with contextlib.suppress(Exception):
        stream, _ = next(_pickles(file))
        return any(code.name == 'STOP' for code, _, _ in itertools.islice(pickletools.genops(stream), FURTHEST))
    return False


def _pickles(file: BinaryIO) -> Iterator[tuple[BinaryIO, bool]]:
    """Yields the pickles in a zip archive, in a tar archive (never read) or one after the other, as far as they go."""
    file.seek(0)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            pickles = (record for record in archive.infolist()
                       if record.filename.endswith('.pkl') and record.compress_type == zipfile.ZIP_STORED)
            for record in itertools.islice(pickles, MEMBERS):
                yield archive.open(record), True
        return
    file.seek(0)
    if tarfile.is_tarfile(file):
        file.seek(0)
        with tarfile.open(fileobj=file, mode='r:') as archive:
            for member in itertools.islice(archive, MEMBERS):
                if member.isfile():
                    yield archive.extractfile(member), False
    file.seek(0)
    for _ in range(5):  # magic number, protocol, system, the object, keys of its storages; then bytes
        yield file, True


def _named(stream: BinaryIO) -> Iterator[tuple[str, str]]:
    """Yields the globals of a pickle, as `module.name`, and by which opcode; ends where it does, or is damaged."""
    strings, memo = ['', ''], {}
    with contextlib.suppress(Exception):  # pickletools raises whatever it meets
        for code, argument, _ in itertools.islice(pickletools.genops(stream), FURTHEST):
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
