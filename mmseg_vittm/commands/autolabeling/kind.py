"""What kind of data set pseudo-labels become: that of the config's own training data."""
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ...datasets.label_checks import IGNORED, label_table
from ...datasets.listing import datasets_of
from ...errors import InputError, one_line, shown
from ...stack import DATASETS
from ..configs.parts import file_of

MOST = 12  # classes that are named
PREFIX = dict(img_path='images/training', seg_map_path='annotations/training')


@dataclass(frozen=True)
class SetKind:
    """How a data set names and numbers its files.

    Attributes:
        type: The class of data sets that reads it.
        images: Folder of the images, relative.
        annotations: Folder of the label files, relative.
        img_suffix: What names of images end in.
        seg_map_suffix: What takes its place in names of label files.
        reduce_zero_label: Whether label files number classes from 1, 0 being unlabelled.
        numbers: What stands in a label file for each class, (classes,) uint8.
        void: What stands there for no label.
        classes: Names of the classes, where the data set knows them.
    """
    type: str
    images: str
    annotations: str
    img_suffix: str
    seg_map_suffix: str
    reduce_zero_label: bool
    numbers: np.ndarray
    void: int
    classes: tuple[str, ...]

    def names_of(self, image: str) -> tuple[str, str]:
        """Returns what an image and its labels are called, relative to their folders.

        The image keeps its name where that ends as the data set's do; else that ending comes after it, so that no two
        images share one: readers go by what is in a file.
        """
        name = image if image.endswith(self.img_suffix) else image + self.img_suffix
        return name, name[:len(name) - len(self.img_suffix)] + self.seg_map_suffix

    def plain(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return dict(images=self.images, annotations=self.annotations, img_suffix=self.img_suffix,
                    seg_map_suffix=self.seg_map_suffix, numbers=self.numbers.tolist(), void=self.void)


def kind_of_set(cfg: Config, classes: tuple[str, ...]) -> SetKind:
    """Returns the kind of a config's training data, or of its test data where it has none.

    Args:
        cfg: The config, checked.
        classes: Names of the model's classes.

    Raises:
        InputError: The data set cannot be built, has other classes than the model, or its label files cannot number
            them all.
    """
    found = [dataset for loader in ('train_dataloader', 'test_dataloader')
             for dataset in datasets_of(cfg.get(loader) or {})]
    if not found:
        raise InputError(f'{file_of(cfg)}: has no dataset, so that nobody knows how its label files number classes; '
                         'give a config with a train_dataloader')
    own = {key: value for key, value in found[0].items() if key not in ('bad_data', 'max_skipped')}
    prefix = dict(own.get('data_prefix') or {})
    own.update(pipeline=[], lazy_init=True)
    try:
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmseg'):
            dataset = DATASETS.build(own)
    except Exception as error:  # whatever a data set's class raises
        raise InputError(f'{file_of(cfg)}: its dataset {own.get("type")} cannot be built ({one_line(error)}); correct '
                         'its settings') from error
    names = tuple(dataset.metainfo.get('classes') or ())
    if names and names != classes:
        raise InputError(f'{file_of(cfg)}: its dataset has the classes {_listed(names)}, the checkpoint '
                         f'{_listed(classes)}; give the config that it was trained with')
    reduce = bool(getattr(dataset, 'reduce_zero_label', False))
    table = label_table(reduce, dataset.metainfo.get('label_map'))
    numbers, void = [np.flatnonzero(table == number)[:1] for number in range(len(classes))], 0 if reduce else IGNORED
    if len(classes) >= IGNORED or not all(map(len, numbers)):
        raise InputError(f'{file_of(cfg)}: label files of 8 bits cannot number its {len(classes)} classes and pixels '
                         'without a label')
    kind = own['type'] if dataset.metainfo.get('label_map') else 'BaseSegDataset'  # which has no other numbers
    return SetKind(kind, *_folders(prefix), *(getattr(dataset, name, None) or default for name, default in (
        ('img_suffix', '.jpg'), ('seg_map_suffix', '.png'))), reduce, np.array(numbers, np.uint8)[:, 0], void, names)


def _listed(names: tuple[str, ...]) -> str:
    return ', '.join(map(shown, names[:MOST])) + ', ...' * (len(names) > MOST)


def _folders(prefix: dict[str, Any]) -> tuple[str, str]:
    """Returns the folders of images and labels: the data set's own, where both are folders of their own below it."""
    given = [prefix.get(name) for name in PREFIX]
    parts = [PurePosixPath(one).parts if isinstance(one, str) else () for one in given]
    if all(parts) and not any('..' in one or one[0] == '/' for one in parts) and not any(
            one == other[:len(one)] for one, other in (parts, parts[::-1])):
        return str(PurePosixPath(*parts[0])), str(PurePosixPath(*parts[1]))
    return tuple(PREFIX.values())
