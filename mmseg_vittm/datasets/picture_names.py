"""Names of what is written of each image of a data set: no two images share one."""
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import NamedTuple

from mmengine.dataset import BaseDataset

from ..errors import InputError

ENDING = '.png'


class Pictures(NamedTuple):
    """The images of one data set: their paths, and the folder that they are below; empty where unknown."""
    paths: Sequence[str]
    folder: str = ''


def pictures_of(dataset: BaseDataset, samples: Iterable[dict] | None = None) -> Pictures:
    """Returns the images of a dataset.

    Args:
        dataset: The dataset.
        samples: What it says of each sample, or None to ask it.
    """
    samples = map(dataset.get_data_info, range(len(dataset))) if samples is None else samples
    return Pictures([str(sample['img_path']) for sample in samples if sample.get('img_path')],
                    str((dataset.data_prefix or {}).get('img_path') or dataset.data_root or ''))


def name_pictures(datasets: Sequence[Pictures]) -> dict[str, str]:
    """Returns what to call a PNG of each image: its path below the folder that holds all images, ending in `.png`.

    `DIR/a/x.jpg` becomes `a/x.png`, as benchmarks want predictions. Where two images would then share a name, such as
    `x.jpg` and `x.webp`, all keep their endings too, `a/x.jpg.png`. Names that differ only in case, or in
    how an accent is written, are one on some disks: of `X.jpg` and `x.jpg` the second becomes `x.jpg~2.png`.

    Args:
        datasets: The images of each data set.

    Returns:
        Names by path, relative and with `/` between folders: as many as there are images.

    Raises:
        InputError: One image's name would be a folder of another's.
    """
    files = {os.path.abspath(path) for dataset in datasets for path in dataset.paths}
    if not files:
        return {}
    folders = {os.path.abspath(dataset.folder) for dataset in datasets if dataset.folder}
    root = os.path.commonpath([*folders, *map(os.path.dirname, files)])
    below = {path: PurePath(os.path.relpath(path, root)).as_posix() for path in sorted(files)}
    names = {path: os.path.splitext(name)[0] + ENDING for path, name in below.items()}
    if _clash(names.values()) is not None:
        names = _with_endings(below)
    if (clash := _clash(names.values())) is not None:
        raise InputError(f'{clash}: what is written of one image would be the folder of another; rename one')
    return {path: names[os.path.abspath(path)] for dataset in datasets for path in dataset.paths}


def _with_endings(below: dict[str, str]) -> dict[str, str]:
    """Returns names with the images' endings; those that would still meet are numbered."""
    names, seen = {}, set()
    for path, name in below.items():
        own, number = name + ENDING, 1
        while _folded(own) in seen:
            number += 1
            own = f'{name}~{number}{ENDING}'
        seen.add(_folded(own))
        names[path] = own
    return names


def _folded(name: str) -> str:
    """Returns what a name has in common with those that some disks take for it."""
    return unicodedata.normalize('NFC', unicodedata.normalize('NFC', name).casefold())


def _clash(names: Iterable[str]) -> str | None:
    """Returns a name that comes twice, or that is a folder of another; None where there is none."""
    names = [_folded(name) for name in names]
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    folders = {parent for name in seen for parent in _parents(name)}
    return min(seen & folders, default=None)


def _parents(name: str) -> Iterable[str]:
    """Yields the folders of a relative name: of `a/b/c`, `a` and `a/b`."""
    at = name.find('/')
    while at >= 0:
        yield name[:at]
        at = name.find('/', at + 1)
