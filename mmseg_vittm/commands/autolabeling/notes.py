"""Notes: which files runs have written into a folder, noted before they are, so that nothing else is ever removed."""
import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ...errors import InputError
from ...outputs import PARTIAL, not_written, remove_empty, write_whole

NOTES = 'autolabel.jsonl'
UNFINISHED = re.compile(rf'\..*\.[0-9a-f]{{16}}{re.escape(PARTIAL)}(\..*)?')  # of `whole_file`, whose process died


class Notes:
    """The images of a set and their labels, a line of a file for each: `[image, labels, SHA-256 of the image]`.

    Args:
        folder: The set's folder; names are relative to it, with `/`.
    """

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / NOTES
        self.files: dict[str, tuple[str, str]] = {}  # labels and SHA-256 by image

    @property
    def names(self) -> Iterator[str]:
        """The names of all files."""
        for image, (labels, _) in self.files.items():
            yield from (image, labels)

    def read(self) -> None:
        """Reads what earlier runs noted; the last line may be there in part, where one was killed.

        Raises:
            InputError: It is something else.
        """
        try:
            for line in self.path.read_text().split('\n')[:-1]:
                image, labels, digest = json.loads(line)
                if not _is_below(image) or not _is_below(labels):
                    raise ValueError('a file elsewhere')
                self.files[image] = labels, digest
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise InputError(f'{self.path}: is not what tools/autolabel.py writes; give another out=DIR') from error

    def add(self, image: str, labels: str, digest: str) -> None:
        """Notes files that are about to be written.

        Raises:
            OutputError: It cannot be.
        """
        if self.files.get(image) == (labels, digest):
            return
        self.files[image] = labels, digest
        try:
            with open(self.path, 'a') as file:
                file.write(json.dumps([image, labels, digest]) + '\n')
        except OSError as error:
            raise not_written(self.path, error) from error

    def write(self) -> None:
        """Writes all notes anew, each file once.

        Raises:
            OutputError: It cannot be.
        """
        write_whole(self.path, ''.join(json.dumps([image, *rest]) + '\n' for image, rest in self.files.items()))

    def remove_unfinished(self) -> None:
        """Removes what processes that were killed were writing."""
        for folder in {self.folder, *((self.folder / name).parent for name in self.names)}:
            for path in folder.glob('.*') if folder.is_dir() else ():
                if UNFINISHED.fullmatch(path.name):
                    path.unlink(missing_ok=True)

    def remove_files(self) -> None:
        """Removes what is noted, and folders that are empty then; last the notes, so that it can be gone on with."""
        folders = set()
        for name in self.names:
            (self.folder / name).unlink(missing_ok=True)
            folders.update(folder for folder in PurePosixPath(name).parents if folder.name)
        remove_empty(self.folder / folder for folder in sorted(folders, key=lambda one: -len(one.parts)))
        self.files = {}
        self.write()


def _is_below(name: str) -> bool:
    """Whether a name is that of a file below a folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and bool(path.name) and '..' not in path.parts
