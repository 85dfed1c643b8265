"""Folders of files that belong together, such as the label maps of a video's frames: all of them there, or none."""
import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..outputs import make_folder, missing_folders, not_written, partial_name, remove_empty

EARLIER = '.earlier'  # at the end of the name of a folder that is being replaced


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
