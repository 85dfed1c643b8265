"""PseudoSet: a folder of pseudo-labels, begun by one run and gone on with by others of the same settings."""
import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from ...engine.state.changed_settings import differences
from ...engine.work_dir.lock import hold
from ...errors import InputError, shown
from ...outputs import claim_file, claim_folder, refuse_inputs, whole_file, write_whole
from .kind import SetKind
from .notes import NOTES, Notes

SETTINGS = 'autolabel.json'
REPORT = 'report.json'
SNIPPET = 'dataset.py'
PICTURES = ('report.png', 'report.svg')
FILES = (SETTINGS, NOTES, REPORT, SNIPPET, *PICTURES)  # all that is written beside images and labels
NAMED = 5  # differences of settings
LONGEST = 2**22  # characters of settings that are read
# Settings under which labels are the same: where files are, and first weights, which the checkpoint's replace.
ALIKE = re.compile(r'config|checkpoint\.file|(.*\.)?(init_cfg|pretrained)\b.*')


class PseudoSet:
    """Where pseudo-labels of some images go.

    An image and its labels are written whole, and are done once both are there. What is written is noted before, so
    that nothing else is ever replaced or removed.

    Args:
        out: The folder.
        kind: How its files are called, and classes numbered.
        images: The images, as paths relative to the folder that they come from, with `/`.

    Raises:
        InputError: Two images would get one name, or one the name of another's folder.
        OutputError: Nothing can be written there.
    """

    def __init__(self, out: str, kind: SetKind, images: list[str]):
        self.folder, self.kind = Path(out), kind
        self.names = {image: kind.names_of(image) for image in images}
        self._notes = Notes(self.folder)
        taken = {}
        for image, names in self.names.items():
            if (other := taken.setdefault(names[0], image)) != image:
                raise InputError(f'{image} and {other} would both be called {names[0]}; rename one of them')
        for which in (0, 1):
            by_name = {names[which]: image for image, names in self.names.items()}
            for name, image in by_name.items():
                for parent in map(str, PurePosixPath(name).parents):
                    if parent in by_name:
                        raise InputError(f'{by_name[parent]} would get {"its labels" if which else "a copy"} called '
                                         f'{parent}, which is the folder of {image}; rename one of them')
        claim_folder(self.folder)
        for image in images:
            for path in self.paths_of(image):
                claim_file(path, overwrite=True)

    def paths_of(self, image: str) -> tuple[Path, Path]:
        """Returns where an image and its labels go."""
        return tuple(self.folder / name for name in self._places_of(image))

    def labels_of(self, image: str, source: Path) -> np.ndarray | None:
        """Returns the labels of an image that is done, (H, W) uint8 as its file has them; else None.

        Args:
            image: The image, relative.
            source: Its file: an image with other content is not done.
        """
        copy, annotation = self.paths_of(image)
        _, digest = self._notes.files.get(self._places_of(image)[0], (None, None))
        if not annotation.is_file() or not all(path.is_file() and _digest(path) == digest for path in (copy, source)):
            return None
        try:
            with Image.open(annotation) as file:
                labels = np.asarray(file)
        except (OSError, SyntaxError, ValueError):  # damaged since
            return None
        return labels if labels.ndim == 2 and labels.dtype == np.uint8 else None

    def refuse_inputs(self, files: list[str | Path]) -> None:
        """Checks that nothing to write is a file to read.

        Raises:
            InputError: Something is.
        """
        own = [path for image in self.names for path in self.paths_of(image)]
        refuse_inputs([*own, *(self.folder / name for name in FILES)], files)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Holds the folder while the block runs.

        Raises:
            InputError: Another process holds it.
            OutputError: It cannot be made or written to.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(hold([self.folder], main=True))
            except InputError as error:
                raise InputError(f'{self.folder}: another process writes there; wait until it ends, or give another '
                                 'out=DIR') from error
            yield

    def begin(self, settings: dict[str, Any], overwrite: bool = False) -> None:
        """Notes under which settings the labels are made; goes on with an earlier run's of the same.

        Args:
            settings: What decides the labels, as JSON has it.
            overwrite: Remove what an earlier run wrote, and begin anew.

        Raises:
            InputError: An earlier run had other settings, or images that are no longer given, which it names; or what
                is there is no set of pseudo-labels, or not all of it.
            OutputError: It cannot be written.
        """
        earlier = self._earlier()
        if earlier is not None:
            self._notes.read()
        self._refuse_foreign(earlier)
        if earlier is not None and not overwrite:
            self._refuse_changed(earlier, settings)
        self._notes.remove_unfinished()
        if overwrite:
            for name in (REPORT, SNIPPET, *PICTURES):
                (self.folder / name).unlink(missing_ok=True)
            self._notes.remove_files()
        write_whole(self.folder / SETTINGS, json.dumps(settings, indent=1) + '\n')
        self._notes.write()

    def remove(self, image: str) -> None:
        """Removes what an earlier run wrote of an image; the copy first, without which none is done."""
        for path in self.paths_of(image):
            path.unlink(missing_ok=True)

    def write(self, image: str, source: Path, labels: np.ndarray, link: bool = False) -> None:
        """Writes an image's labels, as the kind of set numbers them, and the image itself: a copy, or a hard link.

        Args:
            image: The image, relative.
            source: Its file.
            labels: (H, W) uint8, as the label file has them.
            link: Link it where the disk can; the file is then one with the source.

        Raises:
            OutputError: It cannot be written.
        """
        copy, annotation = self.paths_of(image)
        self._notes.add(*self._places_of(image), _digest(source))
        with whole_file(annotation) as partial:
            Image.fromarray(labels).save(partial, format='PNG')
        content = None if link else source.read_bytes()
        with whole_file(copy) as partial:
            if content is None:
                try:
                    os.link(os.path.realpath(source), partial)
                except OSError:  # another disk, or one that knows no links
                    content = source.read_bytes()
            if content is not None:
                partial.write_bytes(content)

    def _places_of(self, image: str) -> tuple[str, str]:
        name, labels = self.names[image]
        return f'{self.kind.images}/{name}', f'{self.kind.annotations}/{labels}'

    def _earlier(self) -> dict[str, Any] | None:
        """Returns the settings of an earlier run; None where nothing is there."""
        path = self.folder / SETTINGS
        try:
            text = path.read_text() if path.stat().st_size <= LONGEST else ''
            settings = json.loads(text)
            if not isinstance(settings, dict) or not isinstance(settings.get('kind'), dict):
                raise ValueError('no settings')
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f'{path}: is not what tools/autolabel.py writes; give another out=DIR') from error
        return settings

    def _refuse_foreign(self, earlier: dict[str, Any] | None) -> None:
        """Checks that nothing is where something will be written, or read as part of the set, but an earlier run's."""
        folders = {self.kind.images, self.kind.annotations}
        places = folders.union(FILES) if earlier is None else folders.difference(
            str(earlier['kind'].get(name)) for name in ('images', 'annotations'))
        noted = set(self._notes.names)
        places = [*sorted(places), *(name for image in self.names for name in self._places_of(image)
                                     if name not in noted)]
        there = [self.folder / name for name in places if os.path.lexists(self.folder / name)]
        if there:
            raise InputError(f'{there[0]}: there already, and not made by tools/autolabel.py; give another out=DIR')

    def _refuse_changed(self, earlier: dict[str, Any], settings: dict[str, Any]) -> None:
        """Checks that an earlier run can be gone on with."""
        differ = [one for one in differences(earlier, settings) if not ALIKE.fullmatch(one.name)]
        if differ:
            raise InputError(f'{self.folder}: holds labels made under other settings: {_some(differ)}; give another '
                             'out=DIR, or overwrite=True to make them anew')
        given = {self._places_of(image)[0] for image in self.names}
        gone = [shown(name) for name, (labels, _) in self._notes.files.items() if name not in given and any(
            os.path.lexists(self.folder / one) for one in (name, labels))]
        if gone:
            raise InputError(f'{self.folder}: holds images that are no longer in the folder of images: {_some(gone)}; '
                             'put them back, give another out=DIR, or overwrite=True to remove them here too')


def _some(items: list) -> str:
    more = f' and {len(items) - NAMED} more' if len(items) > NAMED else ''
    return '; '.join(map(str, items[:NAMED])) + more


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def checkpoint_settings(file: str, sha256: str) -> dict[str, str]:
    """Returns what settings say of a checkpoint: its weights are compared, not where it is."""
    return dict(sha256=sha256, file=shown(str(file)))
