"""`DrawnSet`: a data set that a program draws where it is first used, complete or not at all."""
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.dist import is_main_process
from rich.progress import track

from ...errors import DataError, InputError
from ...outputs import not_written
from ...stack import MMLogger

SPLITS = ('training', 'validation')

Key = tuple[int, int]  # number of the split, number of the picture or clip in it


@dataclass(frozen=True)
class DrawnSet:
    """A kind of data set that a program draws.

    Attributes:
        title: What it holds, such as 'toy scenes'.
        default_root: The folder into which it is drawn unasked.
        training: Folders of its training split, as `data_prefix` names them.
        record: Name of the file that says which set a folder holds.
        version: Of the drawing; raise it with any change that changes a picture: a set on disk from another version is
            then refused, not mixed in.
        least: The least value of each of its parameters, which are integers.
        files: Returns the key of each picture or clip of a set with these parameters, and the files it is drawn into,
            relative to the set's folder.
        draw: Draws one of them into its files, given the parameters, its key and the paths.
    """
    title: str
    default_root: str
    training: dict[str, str]
    record: str
    version: int
    least: dict[str, int]
    files: Callable[[dict[str, int]], Iterable[tuple[Key, Sequence[str]]]]
    draw: Callable[[dict[str, int], Key, Sequence[Path]], None]

    def prepare(self, data_root: str, parameters: dict[str, int], check_files: bool = True, draw: bool = False) -> None:
        """Sees to it that `data_root` holds the set: draws it if there is nothing, checks it if there is something.

        A set appears under its name only when it is complete: it is drawn into a folder of its own beside `data_root`
        and renamed. Of several processes that draw at once the first to finish wins and the others use its result.

        Args:
            data_root: The folder of the set.
            parameters: Which set, see `least`.
            check_files: Whether every file of the set must be there and hold something.
            draw: Whether to draw it where nothing is there, whichever folder that is.

        Raises:
            DataError: `data_root` holds nothing, and is not to be drawn.
            InputError: A parameter makes no set; `data_root` holds another set, something else, or this set with files
                missing.
            OutputError: The set cannot be drawn there.
        """
        for name, least in self.least.items():
            if not isinstance(parameters[name], int) or parameters[name] < least:
                raise InputError(f'{name} must be an integer of at least {least}, got {parameters[name]!r}')
        self.check_drawn(data_root, draw)
        root = Path(os.path.realpath(data_root))
        if _is_nothing(root):
            self._draw_all(root, parameters)
        self._check(root, parameters, check_files)

    def check_drawn(self, data_root: str, draw: bool = False) -> None:
        """Checks that there is something in `data_root`, or that the set may be drawn there.

        Raises:
            DataError: Neither.
        """
        root = Path(os.path.realpath(data_root))
        if not draw and root != Path(os.path.realpath(self.default_root)) and _is_nothing(root):
            raise DataError(
                root, 'the folder is empty' if os.path.exists(root) else 'no such folder',
                f'{self.title} are drawn unasked only into {self.default_root}; correct data_root, or have them drawn '
                'there by cfg_options train_dataloader.dataset.draw=True val_dataloader.dataset.draw=True '
                'test_dataloader.dataset.draw=True')

    def _draw_all(self, root: Path, parameters: dict[str, int]) -> None:
        """Draws the set beside `root` and renames it to `root`, unless that now exists."""
        MMLogger.get_current_instance().info(f'Drawing the {self.title} into {root} (once)')
        draft = root.parent / f'.{root.name}.{uuid.uuid4().hex}.tmp'
        try:
            items = [*self.files(parameters)]
            for key, names in track(items, f'Drawing {self.title}', disable=not is_main_process()):
                paths = [draft / name for name in names]
                for folder in {path.parent for path in paths}:
                    folder.mkdir(parents=True, exist_ok=True)
                self.draw(parameters, key, paths)
            (draft / self.record).write_text(json.dumps(self._recorded(parameters), indent=2) + '\n')
            try:
                os.rename(draft, root)
            except OSError:
                if not (root / self.record).exists():  # which another process has drawn meanwhile
                    raise
        except OSError as error:
            raise not_written(root, error) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _recorded(self, parameters: dict[str, int]) -> dict[str, int]:
        return dict(drawing_version=self.version, **parameters)

    def _check(self, root: Path, parameters: dict[str, int], check_files: bool) -> None:
        """Raises an error unless `root` holds the set, whole where `check_files` is set."""
        remedy = f'Choose another data_root, or delete {root} yourself if you can do without it; it is then drawn anew.'
        record = self._recorded(parameters)
        try:
            found = json.loads((root / self.record).read_text())
            found = {name: found[name] for name in record}
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f'{root} exists but is no set of {self.title}: its {self.record} is missing or '
                             f'unreadable. {remedy}') from error
        different = [f'{name} is {found[name]} there, {value} was asked for' for name, value in record.items()
                     if found[name] != value]
        if different:
            raise InputError(f'{root} holds other {self.title}: {"; ".join(different)}. {remedy}')
        if not check_files:
            return
        wanted = [str(root / name) for _, names in self.files(parameters) for name in names]
        folders = {os.path.dirname(path) for path in wanted}
        present = {entry.path for folder in folders if os.path.isdir(folder) for entry in os.scandir(folder)
                   if entry.stat().st_size}
        missing = [path for path in wanted if path not in present]
        if missing:
            raise InputError(f'{len(missing)} of the {len(wanted)} files of {root} are missing or empty, the first is '
                             f'{missing[0]}. {remedy}')


def _is_nothing(root: Path) -> bool:
    try:
        return not os.path.exists(root) or os.path.isdir(root) and not any(os.scandir(root))
    except OSError as error:
        raise DataError(root, f'cannot be read ({error.strerror})', 'choose another data_root') from error
