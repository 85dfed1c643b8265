"""Images and their labels, paired by name."""
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...datasets.bands.reading import RASTERS
from ...errors import DataError, InputError

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.ppm', '.pgm', '.jp2', *RASTERS)
NAMED = 3  # of many files, how many an error names
TAIL = re.compile(r'[_.-](?=[A-Za-z])')  # where what says the kind of a file begins: `_sat`, `-mask`, `.label`


class Pair(NamedTuple):
    """An image and its label; None where the label is drawn from polygons."""
    image: Path
    label: Path | None


def files_below(folder: Path, endings: Sequence[str] = IMAGES) -> list[Path]:
    """Returns the files of some endings in a folder and those in it, in the order of their names.

    Hidden files and folders are left out.

    Raises:
        DataError: It is no folder, or has no such file.
    """
    if not folder.is_dir():
        raise DataError(folder, 'no such folder', 'give the folder of the images, or of the labels')
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        found += [Path(place, name) for name in names
                  if name.lower().endswith(tuple(map(str.lower, endings))) and not name.startswith('.')]
    if not found:
        raise DataError(folder, 'the folder is empty' if not any(folder.iterdir()) else
                        f'no file in it ends in {", ".join(sorted(endings))}', 'give the folder that has the files')
    return sorted(found)


def pair(images: Path, labels: Path, allow_missing: bool, label_ending: str = '') -> tuple[list[Pair], list[str]]:
    """Pairs the images below a folder with the labels below another, by their paths there.

    Endings may differ, and what all images, or all labels, end their names with: `a_sat.jpg` and `a_mask.png`.

    Args:
        images: Folder of the images.
        labels: Folder of the labels.
        allow_missing: Leave out what has no partner.
        label_ending: What the names of labels end in; files that do not are no labels.

    Returns:
        The pairs, and what was left out.

    Raises:
        DataError: A folder is missing or empty, or a file has no partner.
        InputError: Two files share a name.
    """
    image_files = files_below(images)
    label_files = files_below(labels, [label_ending] if label_ending else IMAGES)
    image_names, label_names = _names(image_files, images), _names(label_files, labels)
    if not image_names.keys() & label_names.keys():
        image_names, label_names = _without_tails(image_names, label_names)
    if not image_names.keys() & label_names.keys():
        raise DataError(labels, f'no label is named as an image of {images} is: {label_files[0].name} and '
                        f'{image_files[0].name}', 'name labels as their images, endings apart')
    alone = [image_names[name] for name in image_names if name not in label_names]
    strays = [label_names[name] for name in label_names if name not in image_names]
    for files, kind, missing, folder in ((alone, 'image', 'label', labels), (strays, 'label', 'image', images)):
        if files and not allow_missing:
            raise DataError(files[0], f'this {kind} has no {missing} in {folder}{_and_others(files)}',
                            f'add the {missing}, or remove the {kind}, or leave such files out by allow_missing=True')
    left_out = [f'{file}: without label' for file in alone] + [f'{file}: without image' for file in strays]
    return [Pair(file, label_names[name]) for name, file in image_names.items() if name in label_names], left_out


def _and_others(files: Sequence[Path]) -> str:
    others = len(files) - 1
    if not others:
        return ''
    names = ', '.join(file.name for file in files[1:NAMED])
    return f', nor have {others} others ({names}{", ..." if others >= NAMED else ""})'


def _names(files: Iterable[Path], root: Path) -> dict[str, Path]:
    """Returns files by their path below a folder, without ending."""
    found: dict[str, Path] = {}
    for file in files:
        name = file.relative_to(root).with_suffix('').as_posix()
        if name in found:
            raise InputError(f'{file}: and {found[name].name} have the same name; keep one of them there')
        found[name] = file
    return found


def _without_tails(images: dict[str, Path], labels: dict[str, Path]) -> tuple[dict[str, Path], dict[str, Path]]:
    """Returns files by their names without what all images end with, and all labels: so that most pairs come about."""
    choices = [(ours, theirs) for ours in _shortened(images) for theirs in _shortened(labels)]
    return max(choices, key=lambda choice: len(choice[0].keys() & choice[1].keys()))


def _shortened(names: dict[str, Path]) -> list[dict[str, Path]]:
    """Returns files by their names, and by names without each tail that all have; where that leaves each its own."""
    several = len(names) > 1
    shared = os.path.commonprefix([name[::-1] for name in names])[::-1] if several else next(iter(names))
    found = [names]
    for tail in TAIL.finditer(shared):
        cut = len(shared) - tail.start()
        shorter = {name[:-cut]: file for name, file in names.items()}
        if len(shorter) == len(names) and all(name and name[-1] != '/' for name in shorter):
            found.append(shorter)
    return found
