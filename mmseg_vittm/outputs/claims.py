"""What is to be written, checked before anything long starts: nothing is made, nothing replaced unasked."""
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from .paths import mode_of, not_written, target_of

NAMED = 3  # of many files, how many an error names


def refuse_existing(paths: Iterable[str | Path], overwrite: bool) -> None:
    """Checks that nothing is there yet, or may be replaced.

    Raises:
        InputError: One of the paths exists, and `overwrite` is False; names those that do.
        OutputError: A path cannot be, such as one with too long a name.
    """
    there = [str(path) for path in paths if mode_of(Path(path)) is not None]
    if there and not overwrite:
        more = f' and {len(there) - NAMED} others' if len(there) > NAMED else ''
        raise InputError(f'{", ".join(there[:NAMED])}{more}: there already; give another name, or overwrite=True')


def refuse_inputs(outputs: Iterable[str | Path], inputs: Iterable[str | Path]) -> None:
    """Checks that no file or folder to write is one to read, by whatever name: links, other spellings.

    Raises:
        InputError: One is; names both.
    """
    given = {file_identity(path): path for path in inputs}
    given.pop(None, None)
    for path in outputs:
        if (own := given.get(file_identity(path))) is not None:
            raise InputError(f'{own}: is an input, and {path} would be written over it; choose another place')


def refuse_data_folder(folder: str | Path, argument: str, data: Iterable[tuple[Path, bool]]) -> None:
    """Checks that a folder to write to is none that a data set's files are listed in.

    Args:
        folder: The folder.
        argument: The name of the argument that it was given by.
        data: Folders of the data, without links, each with whether all that is below it is listed too.

    Raises:
        InputError: It is one.
    """
    target = Path(os.path.realpath(folder))
    for place, is_listed in data:
        if target == place or is_listed and place in target.parents:
            raise InputError(f'{folder}: {argument} would write among the data in {place}; choose another folder')


def file_identity(path: str | Path) -> tuple[int, int] | None:
    """Returns what the names of a file or folder have in common, links to it too; None where nothing is."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def claim_file(path: str | Path, overwrite: bool) -> Path:
    """Checks that a file can be written, before anything long starts; makes nothing.

    Raises:
        InputError: It is there already, and `overwrite` is False.
        OutputError: It cannot be written: a folder is there, its own folder cannot be made, or may not be written to.
    """
    path = Path(path)
    refuse_existing([path], overwrite)
    target = target_of(path)
    _claim_place(target.parent, path, target.name)
    return path


def claim_folder(path: str | Path, files: Iterable[str] = (), overwrite: bool = False) -> Path:
    """Checks that files can be written into a folder, before anything long starts; makes nothing.

    Args:
        path: The folder.
        files: Names of these files.
        overwrite: Whether those that are there may be replaced.

    Raises:
        InputError: One of the files is there already, and `overwrite` is False.
        OutputError: The folder cannot be made or written to.
    """
    path = Path(path)
    _claim_place(path, path)
    refuse_existing([path / name for name in files], overwrite)
    return path


def _claim_place(folder: Path, path: Path, name: str = '') -> None:
    """Checks that a folder is there or can be made, and may be written to; `path` is what the error names.

    Args:
        folder: The folder.
        path: What is to be written.
        name: A file's name in the folder.
    """
    folder, names = folder.absolute(), [name]
    while (mode := mode_of(folder)) is None:
        names.append(folder.name)
        folder = folder.parent
    if stat.S_ISLNK(mode) and not folder.exists():
        raise not_written(path, FileNotFoundError(errno.ENOENT, ''))
    if not folder.is_dir():
        raise not_written(path, NotADirectoryError(errno.ENOTDIR, ''))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise not_written(path, PermissionError(errno.EACCES, ''))
    if hasattr(os, 'pathconf') and max(len(os.fsencode(one)) for one in names) > os.pathconf(folder, 'PC_NAME_MAX'):
        raise not_written(path, OSError(errno.ENAMETOOLONG, ''))
