"""ImageFolders: a folder of images for each class, as ImageNet comes."""
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import DataError, InputError
from ..stack import DATASETS, MMLogger
from .classes import folders_in, read_class_list, some
from .image_set import ImageSet
from .names import Names

ENDINGS = ('.jpeg', '.jpg', '.png', '.webp', '.bmp', '.ppm', '.tif', '.tiff')


@DATASETS.register_module()
class ImageFolders(ImageSet):
    """Images in a folder for each class: `DATA_ROOT/train/CLASS/*.JPEG`, folders in it too.

    Labels number the classes in the order of their names, or of the lines of `classes`.

    Args:
        data_root: The folder of the data.
        data_prefix: `dict(img_path=...)`, the folder in it that has the classes' folders.
        classes: A file with the name of a class on each line: others are left out. None takes every folder.
        pipeline: Transforms of a sample, such as `DecodeImage` and `TimmTransform`.
        test_mode: Whether scores are computed on it.
        lazy_init: Whether to list the images later, when they are needed.

    Raises:
        InputError: There are no classes, a class has no folder or no images.
    """

    def __init__(self, data_root: str | None = '', data_prefix: dict = dict(img_path='train'),  # noqa: B006, C408
                 classes: str | None = None, pipeline: list = [], test_mode: bool = False,  # noqa: B006
                 lazy_init: bool = False):
        self.classes = classes
        super().__init__(data_root, dict(data_prefix), pipeline, test_mode, lazy_init)

    @property
    def folder(self) -> Path:
        """The folder that has the classes' folders."""
        return Path(self.data_prefix['img_path'])

    def class_names(self) -> list[str]:
        """Returns the names of the classes; see there."""
        return list_classes(self.folder, self.classes, self.data_root)

    def read_list(self) -> int:
        """Lists the images of every class."""
        counts, empty = [], []

        def names() -> Iterator[str]:
            for name in self._metainfo['classes']:
                images = list(_images_in(self.folder / name))
                counts.append(len(images))
                empty.extend([name] * (not images))
                yield from (f'{name}/{image}' for image in images)
        self._names = Names(names())
        if empty:
            raise DataError(self.folder, f'no images for {len(empty)} of {len(counts)} classes: {some(empty)}',
                            f'put images ({" ".join(ENDINGS)}) into their folders, or take the classes out')
        self._ends = np.cumsum(counts)
        MMLogger.get_current_instance().info(f'{self.folder}: {len(self._names):,} images of {len(counts)} classes')
        return len(self._names)

    def sample(self, index: int) -> dict:
        """Returns the file and the label of an image."""
        return dict(img_path=os.path.join(self.folder, self._names[index]),
                    label=int(np.searchsorted(self._ends, index, side='right')))


def list_classes(folder: Path, classes: str | None, data_root: str | None) -> list[str]:
    """Returns the classes of a folder of folders.

    Args:
        folder: The folder.
        classes: The file of their names, see `read_class_list`; None takes all.
        data_root: See there.

    Raises:
        InputError: There are less than two, one of the file has no folder, or it is no file.
    """
    there = folders_in(folder)
    if classes is None:
        if len(there) < 2:
            raise DataError(folder, f'{len(there)} folders, but a data set of images has one for each of its classes',
                            'give data_root=DIR, whose folders train/ and val/ have a folder of images for each class')
        return there
    if type(classes) is int:
        raise InputError(f'classes must be a file with the name of a folder on each line, or None, got {classes}')
    names = read_class_list(classes, data_root)
    missing = sorted(set(names) - set(there))
    if missing:
        raise DataError(folder, f'no folder for {len(missing)} of the {len(names)} classes of {classes}: '
                        f'{some(missing)}', 'add them, or correct the file')
    return names


def _images_in(folder: Path) -> Iterator[str]:
    """Yields the images below a folder, relative to it, in order; each folder once, whatever links lead there.

    Raises:
        DataError: A folder in it cannot be read.
    """
    def unreadable(error: OSError) -> None:
        raise DataError(error.filename, f'cannot be read ({error.strerror})', 'make it a readable folder') from error
    seen = {os.path.realpath(folder)}
    for path, inner, files in os.walk(folder, onerror=unreadable, followlinks=True):
        targets = {name: os.path.realpath(os.path.join(path, name)) for name in sorted(inner)}
        inner[:] = [name for name, target in targets.items() if target not in seen and not seen.add(target)]
        relative = os.path.relpath(path, folder)
        for name in sorted(files):
            if name.lower().endswith(ENDINGS) and not name.startswith('.'):
                yield name if relative == '.' else f'{relative}/{name}'
