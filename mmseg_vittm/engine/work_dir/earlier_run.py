"""What an earlier run left in a work dir: it stays until the new run saves, and then moves to a folder of its own."""
import contextlib
import glob
import re
import time
from collections.abc import Iterable
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.runner import Runner

from ...outputs import not_written

CHECKPOINTS = ('iter_*.pth', 'epoch_*.pth', 'best_*.pth', 'stopped.pth', 'last_checkpoint')
PICTURES = ('pictures',)
_ASIDE = re.compile(r'earlier_(\d{8}_\d{6})(?:_(\d+))?')


class EarlierRun:
    """What a run finds in its folders and does not go on from.

    Nothing of it moves before the run has something of the same kind to save: a run that cannot start, or dies before
    that, leaves all as it was.

    Args:
        stays: Whether the run goes on from what is there, so that nothing moves.
        beyond: Checkpoints that move all the same: those after the one that it goes back to.
    """

    def __init__(self, stays: bool = False, beyond: Iterable[Path] = ()):
        self.stays = stays
        self.beyond = list(beyond)
        self._done: set[tuple[Path, bool]] = set()  # folders, and whether of their pictures
        self._aside: dict[Path, Path] = {}

    def make_way(self, folder: str | Path, patterns: tuple[str, ...], more: Iterable[str] = ()) -> Path | None:
        """Moves what an earlier run left in a folder into a subfolder, at the first call; in the main process alone.

        Args:
            folder: The folder.
            patterns: Of the names that make way.
            more: Names that go with them, if there are any.

        Returns:
            The subfolder, or None where there was nothing to move.

        Raises:
            OutputError: They cannot be moved; those that were are back again.
        """
        folder = Path(folder)
        kind = (folder, patterns == PICTURES)
        if kind in self._done:
            return None
        self._done.add(kind)
        if self.stays:
            more = ()
            patterns = () if patterns == PICTURES else tuple(
                glob.escape(path.name) for path in self.beyond if path.parent == folder)
        aside = set_aside(folder, patterns, more, self._aside.get(folder))
        if aside is not None:
            self._aside[folder] = aside
        return aside


def make_way(runner: Runner, folder: str | Path, patterns: tuple[str, ...], more: Iterable[str] = ()) -> None:
    """Lets an earlier run make way for a run that is about to save, see `EarlierRun`, and says so.

    Args:
        runner: The run. One that is no `StrictRunner` overwrites, as in mmengine.
        folder: Where it saves.
        patterns: `CHECKPOINTS` or `PICTURES`.
        more: See `EarlierRun.make_way`.
    """
    earlier = getattr(runner, 'earlier_run', None)
    if earlier is None or not is_main_process():
        return
    aside = earlier.make_way(folder, patterns, more)
    if aside is not None:
        what = 'pictures' if patterns == PICTURES else 'checkpoints'
        runner.logger.warning(f'The {what} of an earlier run were moved to {aside}')


def set_aside(folder: Path, patterns: Iterable[str], more: Iterable[str] = (), into: Path | None = None) -> Path | None:
    """Moves files out of a folder into a subfolder `earlier_TIME`.

    Args:
        folder: The folder.
        patterns: Of their names.
        more: Names that go with them, if there are any.
        into: A subfolder made before, to use again.

    Returns:
        The subfolder, or None where there was nothing to move.

    Raises:
        OutputError: They cannot be moved; those that were are back again.
    """
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    if not found:
        return None
    found |= {folder / name for name in more if (folder / name).is_file()}
    moved, aside = [], into
    try:
        aside = into or _new_subfolder(folder)
        # The newest checkpoint last: a kill on the way leaves it where a resumed run looks for it.
        for path in sorted(found, key=lambda path: (_number(path), path.name)):
            with contextlib.suppress(FileNotFoundError):  # gone, where nothing can lock
                path.rename(aside / path.name)
                moved.append(path)
    except OSError as error:
        for path in moved:
            (aside / path.name).rename(path)
        if aside is not into:
            aside.rmdir()
        raise not_written(folder, error) from error
    return aside


def earlier_folders(folders: Iterable[Path]) -> list[Path]:
    """Returns the subfolders that earlier runs were moved to, the newest first."""
    found = []
    for folder in folders:
        for path in folder.iterdir() if folder.is_dir() else ():
            match = _ASIDE.fullmatch(path.name)
            if match and path.is_dir():
                found.append((match[1], int(match[2] or 1), path))
    return [path for *_, path in sorted(found, reverse=True)]


def _new_subfolder(folder: Path) -> Path:
    """Makes a subfolder with a name that no other has, of another process neither."""
    name, number = f'earlier_{time.strftime("%Y%m%d_%H%M%S")}', 1
    while True:
        aside = folder / (name if number == 1 else f'{name}_{number}')
        try:
            aside.mkdir()
            return aside
        except FileExistsError:
            number += 1


def _number(path: Path) -> int:
    numbers = re.findall(r'\d{1,18}', path.name)
    return int(numbers[-1]) if numbers else -1
