"""Files and folders that are written whole: under a name of their own, then renamed."""
import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .paths import make_folder, missing_folders, not_written, remove_empty, target_of

PARTIAL = '.part'  # in the names of what is being written: `.NAME.RANDOM.part.ENDING`
EARLIER = '.earlier'  # at the end of the name of a folder that is being replaced
# What file systems that cannot sync a directory answer.
NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)


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
    target = target_of(Path(path))
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


def write_whole(path: str | Path, content: bytes | str) -> None:
    """Writes a file that is there whole or not at all; see `whole_file`. Text as UTF-8."""
    with whole_file(path) as partial:
        partial.write_bytes(content if isinstance(content, bytes) else content.encode())


@contextlib.contextmanager
def whole_folder(path: Path, replaced: Callable[[Path], Iterable[Path]]) -> Iterator[Path]:
    """Gives a folder to write files to, which takes the place of `path` where the block ends without an error.

    The folder given stands beside `path`, under a name of its own; it is removed where the block fails, and what was at
    `path` stays as it was.

    Args:
        path: The folder.
        replaced: Returns which of the files in an earlier folder at `path` the new ones replace; all others stay.

    Raises:
        OutputError: An `OSError` within the block, which should do nothing but write; or in replacing the folder.
    """
    target = Path(os.path.realpath(path))
    partial, missing = partial_name(target), missing_folders(target.parent)
    try:
        make_folder(partial)
        yield partial
        if target.is_dir():
            _replace(target, partial, replaced)
        else:
            os.rename(partial, target)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        remove_empty(missing)


def _replace(target: Path, partial: Path, replaced: Callable[[Path], Iterable[Path]]) -> None:
    """Puts a folder in the place of another, whose further files it takes over."""
    earlier = partial.with_name(partial.name + EARLIER)
    os.rename(target, earlier)
    try:
        os.rename(partial, target)
    except BaseException:
        os.rename(earlier, target)
        raise
    for file in replaced(earlier):
        file.unlink()
    for file in earlier.iterdir():
        os.rename(file, target / file.name)
    earlier.rmdir()


def partial_name(path: Path) -> Path:
    """Returns a name in the same folder, with the same ending, that no other process has."""
    return path.with_name(f'.{path.stem[:32]}.{secrets.token_hex(8)}{PARTIAL}{path.suffix[:16]}')


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
