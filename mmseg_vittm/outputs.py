"""Files and folders to write: nothing that is there already is replaced unasked."""
from collections.abc import Iterable
from pathlib import Path

from .errors import InputError


def refuse_existing(paths: Iterable[str | Path], overwrite: bool) -> None:
    """Checks that nothing is there yet, or may be replaced.

    Raises:
        InputError: One of the paths exists, and `overwrite` is False; names those that do.
    """
    there = [] if overwrite else [str(path) for path in paths if Path(path).exists()]
    if there:
        raise InputError(f'{", ".join(there)}: there already; give another name, or overwrite=True')


def claim_file(path: str | Path, overwrite: bool) -> Path:
    """Checks that a file can be written, before anything long starts; makes its folder.

    Raises:
        InputError: It is there already and `overwrite` is False, or it cannot be written to.
    """
    path = Path(path)
    refuse_existing([path], overwrite)
    there = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, 'ab'):
            pass
    except OSError as error:
        raise InputError(f'{path}: cannot be written to ({error.strerror}); give another file') from error
    if not there:
        path.unlink()
    return path


def claim_folder(path: str | Path, files: Iterable[str], overwrite: bool) -> Path:
    """Makes a folder that files are to be written into.

    Args:
        path: The folder.
        files: Names of these files.
        overwrite: Whether those that are there may be replaced.

    Raises:
        InputError: It cannot be made, or one of the files is there already and `overwrite` is False.
    """
    path = Path(path)
    refuse_existing([path / name for name in files], overwrite)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'{path}: cannot be made a folder ({error.strerror}); give another') from error
    return path
