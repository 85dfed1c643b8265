"""Files and folders to write: nothing that is there is replaced unasked, and a file is there whole or not at all."""
import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import InputError, OutputError, one_line

PARTIAL = '.part'  # in the names of files that are being written: `.NAME.RANDOM.part.ENDING`
NAMED = 3  # of many files, how many an error names
ROOM = 'make room on that disk, or choose another place'
REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), ROOM),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), 'choose a place that you may write to'),
    errno.ENAMETOOLONG: 'choose a shorter name',
    errno.EISDIR: 'it is a folder; choose a name for a file',
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), 'a file is where a folder would be; choose another place'),
}
# What file systems that cannot sync a directory answer.
NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)


def not_written(path: str | Path, error: OSError) -> OutputError:
    """Returns the error that says that a file or folder could not be written, why, and the remedy."""
    return OutputError(path, os.strerror(error.errno) if error.errno else one_line(error),
                       REMEDIES.get(error.errno, 'choose another place'))


def refuse_existing(paths: Iterable[str | Path], overwrite: bool) -> None:
    """Checks that nothing is there yet, or may be replaced.

    Raises:
        InputError: One of the paths exists, and `overwrite` is False; names those that do.
        OutputError: A path cannot be, such as one with too long a name.
    """
    there = [str(path) for path in paths if _mode(Path(path)) is not None]
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
    target = _target(path)
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


def make_folder(path: str | Path) -> Path:
    """Makes a folder and those above it, where they are missing.

    Raises:
        OutputError: It cannot be made.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(path, error) from error
    return path


@contextlib.contextmanager
def whole_file(path: str | Path, durable: bool = False) -> Iterator[Path]:
    """Gives a path to write a file to, which takes the place of `path` where the block ends without an error.

    At every moment either the earlier file or the new one is there, whole. The path given has a name of its own, with
    the same ending, in the same folder, which is made; it is removed where the block fails, and so is a folder that was
    made for it. Of a link, the file that it leads to is written.

    Args:
        path: The file.
        durable: Synchronise with the disk, so that when this returns, the file survives a power cut.

    Raises:
        OutputError: An `OSError` within the block, which should do nothing but write; or on renaming; or a folder or
            device is there.
    """
    target = _target(Path(path))
    partial = partial_name(target)
    missing = missing_folders(target.parent)
    try:
        make_folder(target.parent)
        yield partial
        if durable:
            sync(partial)
        os.replace(partial, target)
        if durable:
            sync(target.parent)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        with contextlib.suppress(NotADirectoryError):
            partial.unlink(missing_ok=True)
        remove_empty(missing)


def partial_name(path: Path) -> Path:
    """Returns a name in the same folder, with the same ending, that no other process has."""
    return path.with_name(f'.{path.stem[:32]}.{secrets.token_hex(8)}{PARTIAL}{path.suffix[:16]}')


def missing_folders(path: Path) -> list[Path]:
    """Returns those of a folder and the folders above it that are not there, the deepest first."""
    return [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]


def remove_empty(folders: Iterable[Path]) -> None:
    """Removes those of some folders that nothing is in."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def write_whole(path: str | Path, content: bytes | str) -> None:
    """Writes a file that is there whole or not at all; see `whole_file`. Text as UTF-8."""
    with whole_file(path) as partial:
        partial.write_bytes(content if isinstance(content, bytes) else content.encode())


def sync(path: str | Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk, where the file system can do that."""
    is_folder = os.path.isdir(path)
    if is_folder and os.name == 'nt':  # folders cannot be opened
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not is_folder or error.errno not in NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def _target(path: Path) -> Path:
    """Returns the file that is written by a path: where it leads to, if it is a link.

    Raises:
        OutputError: A folder, device or pipe is there, which a file would replace.
    """
    target = Path(os.path.realpath(path))
    mode = _mode(target)
    if mode is not None and stat.S_ISDIR(mode):
        raise not_written(path, IsADirectoryError(errno.EISDIR, ''))
    if mode is not None and not stat.S_ISREG(mode):
        raise OutputError(path, 'it is a device or a pipe', 'choose a name for a file')
    return target


def _mode(path: Path) -> int | None:
    """Returns the kind and permissions of what is at a path, links included; None where nothing is."""
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # too long a name, a zero byte
        raise not_written(path, error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error))) from error


def _claim_place(folder: Path, path: Path, name: str = '') -> None:
    """Checks that a folder is there or can be made, and may be written to; `path` is what the error names.

    Args:
        folder: The folder.
        path: What is to be written.
        name: A file's name in the folder.
    """
    folder, names = folder.absolute(), [name]
    while (mode := _mode(folder)) is None:
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
