"""Paths to write to: what is there, folders made and removed, and why something could not be written."""
import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from ..errors import OutputError, one_line

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
ROOM = 'make room on that disk, or choose another place'
REMEDIES = {
    **dict.fromkeys(NO_ROOM, ROOM),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), 'choose a place that you may write to'),
    errno.ENAMETOOLONG: 'choose a shorter name',
    errno.EISDIR: 'it is a folder; choose a name for a file',
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), 'a file is where a folder would be; choose another place'),
}


def not_written(path: str | Path, error: OSError) -> OutputError:
    """Returns the error that says that a file or folder could not be written, why, and the remedy."""
    return OutputError(path, os.strerror(error.errno) if error.errno else one_line(error),
                       REMEDIES.get(error.errno, 'choose another place'))


def mode_of(path: Path) -> int | None:
    """Returns the kind and permissions of what is at a path, links included; None where nothing is."""
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # too long a name, a zero byte
        raise not_written(path, error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error))) from error


def target_of(path: Path) -> Path:
    """Returns the file that is written by a path: where it leads to, if it is a link.

    Raises:
        OutputError: A folder, device or pipe is there, which a file would replace.
    """
    target = Path(os.path.realpath(path))
    mode = mode_of(target)
    if mode is not None and stat.S_ISDIR(mode):
        raise not_written(path, IsADirectoryError(errno.EISDIR, ''))
    if mode is not None and not stat.S_ISREG(mode):
        raise OutputError(path, 'it is a device or a pipe', 'choose a name for a file')
    return target


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


def missing_folders(path: Path) -> list[Path]:
    """Returns those of a folder and the folders above it that are not there, the deepest first."""
    return [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]


def remove_empty(folders: Iterable[Path]) -> None:
    """Removes those of some folders that nothing is in."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
