"""PseudoSet: a folder of pseudo-labels, begun by one run and gone on with by others of the same settings."""
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...engine.state.changed_settings import differences
from ...errors import InputError, shown
from ...outputs import claim_file, claim_folder, refuse_inputs, whole_file, write_whole
from .kind import SetKind

SETTINGS = 'autolabel.json'
REPORT = 'report.json'
SNIPPET = 'dataset.py'
REPLACING = 'replacing'  # in the settings, while files of an earlier run are being removed
NAMED = 5  # differences of settings
LONGEST = 2**22  # characters of settings that are read


class PseudoSet:
    """Where pseudo-labels of some images go.

    An image and its labels are written whole, and are done once both are there.

    Args:
        out: The folder.
        kind: How its files are called, and classes numbered.
        images: The images, as paths relative to the folder that they come from, with `/`.

    Raises:
        InputError: Two images would get one name.
        OutputError: Nothing can be written there.
    """

    def __init__(self, out: str, kind: SetKind, images: list[str]):
        self.folder, self.kind = Path(out), kind
        self.names = {image: kind.names_of(image) for image in images}
        taken = {}
        for image, (name, _) in self.names.items():
            if (other := taken.setdefault(name, image)) != image:
                raise InputError(f'{image} and {other} would both be called {name}; rename one of them')
        claim_folder(self.folder)
        for image in images:
            for path in self.paths_of(image):
                claim_file(path, overwrite=True)

    def paths_of(self, image: str) -> tuple[Path, Path]:
        """Returns where an image and its labels go."""
        name, labels = self.names[image]
        return self.folder / self.kind.images / name, self.folder / self.kind.annotations / labels

    def is_done(self, image: str) -> bool:
        """Whether an image and its labels are there."""
        return all(os.path.isfile(path) for path in self.paths_of(image))

    def refuse_inputs(self, files: list[str | Path]) -> None:
        """Checks that nothing to write is a file to read.

        Raises:
            InputError: Something is.
        """
        own = [path for image in self.names for path in self.paths_of(image)]
        refuse_inputs([*own, *(self.folder / name for name in (SETTINGS, REPORT, SNIPPET))], files)

    def begin(self, settings: dict[str, Any], overwrite: bool = False) -> None:
        """Notes under which settings the labels are made; goes on with an earlier run's of the same.

        Args:
            settings: What decides the labels, as JSON has it.
            overwrite: Remove what an earlier run wrote, and begin anew.

        Raises:
            InputError: An earlier run had other settings, which it names; or what is there is no set of pseudo-labels.
            OutputError: It cannot be written.
        """
        earlier = self._earlier()
        if earlier is not None:
            replacing = earlier.pop(REPLACING, False)
            differ = [one for one in differences(earlier, settings) if one.name not in ('config', 'checkpoint.file')]
            if differ and not overwrite:
                more = f' and {len(differ) - NAMED} more' if len(differ) > NAMED else ''
                raise InputError(f'{self.folder}: holds labels made under other settings: '
                                 f'{"; ".join(map(str, differ[:NAMED]))}{more}; give another out=DIR, or '
                                 'overwrite=True to make them anew')
            if overwrite or replacing:
                self._write_settings(settings | {REPLACING: True})
                self._remove_earlier(earlier)
        self._write_settings(settings)

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

    def _earlier(self) -> dict[str, Any] | None:
        """Returns the settings of an earlier run; None where nothing is there."""
        path = self.folder / SETTINGS
        try:
            text = path.read_text() if path.stat().st_size <= LONGEST else ''
            settings = json.loads(text)
            if not isinstance(settings, dict) or not isinstance(settings.get('kind'), dict):
                raise ValueError('no settings')
        except FileNotFoundError:
            settings = None
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f'{path}: is not what tools/autolabel.py writes; give another out=DIR') from error
        places = (self.kind.images, self.kind.annotations, REPORT, SNIPPET)
        there = [self.folder / name for name in places if os.path.lexists(self.folder / name)]
        if settings is None and there:
            raise InputError(f'{there[0]}: there already, and not made by tools/autolabel.py ({SETTINGS} is missing in '
                             f'{self.folder}); give another out=DIR')
        return settings

    def _write_settings(self, settings: dict[str, Any]) -> None:
        write_whole(self.folder / SETTINGS, json.dumps(settings, indent=1) + '\n')

    def _remove_earlier(self, earlier: dict[str, Any]) -> None:
        """Removes what an earlier run wrote: label files, and the images that belong to them."""
        kinds = [kind for kind in (earlier['kind'], self.kind.plain()) if _is_kind(kind)]
        for kind in kinds:
            images, annotations = (self.folder / kind[name] for name in ('images', 'annotations'))
            suffix, ending = kind['seg_map_suffix'], kind['img_suffix']
            for path in [*annotations.rglob(f'*{suffix}')] if annotations.is_dir() else ():
                name = path.relative_to(annotations).as_posix()
                (images / f'{name[:len(name) - len(suffix)]}{ending}').unlink(missing_ok=True)
                path.unlink()
        for name in (REPORT, SNIPPET, 'report.png', 'report.svg'):
            (self.folder / name).unlink(missing_ok=True)


def _is_kind(kind: Any) -> bool:
    """Whether settings say how their files were called, below their own folder."""
    names = [kind.get(name) for name in ('images', 'annotations', 'img_suffix', 'seg_map_suffix')]
    return all(isinstance(name, str) and name for name in names) and not any(
        '..' in Path(name).parts or os.path.isabs(name) or '/' in ending
        for name, ending in zip(names[:2], names[2:], strict=True))


def checkpoint_settings(file: str, sha256: str) -> dict[str, str]:
    """Returns what settings say of a checkpoint: its weights are compared, not where it is."""
    return dict(sha256=sha256, file=shown(str(file)))
