"""Configs of classifiers: told from others, and their data looked at before anything starts."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict

from ..errors import DataError, InputError
from .classes import difference, folders_in, read_class_list
from .classifier import ImageClassifier
from .image_folders import ImageFolders, list_classes
from .image_shards import ImageShards
from .shard_index import shard_files


def is_classifier(cfg: Mapping) -> bool:
    """Whether a config's model is an `ImageClassifier`."""
    model = cfg.get('model')
    return isinstance(model, dict) and _is(model, ImageClassifier)


def is_image_set(dataset: ConfigDict) -> bool:
    """Whether a dataset's config is of classified images."""
    return _is(dataset, ImageFolders) or _is(dataset, ImageShards)


def check_images(cfg: Mapping, datasets: Sequence[tuple[str, ConfigDict]]) -> None:
    """Checks that folders and shards of classified images are there, and that their classes are one another's.

    Args:
        cfg: The config.
        datasets: Those to be read, each with the name of its dataloader.

    Raises:
        InputError: A folder or a shard is missing, there are no classes, those of two datasets differ, or the model has
            another number of them.
    """
    known = [(loader, dataset, _classes_of(dataset)) for loader, dataset in datasets if is_image_set(dataset)]
    for loader, dataset, classes in known[1:]:
        first, of_first, others = known[0]
        found = difference(classes, others, loader, first, _is_numbered(dataset) or _is_numbered(of_first))
        if found:
            raise InputError(f'{_place_of(dataset)}: {found}; both need the same classes in the same order')
    if known and is_classifier(cfg):
        loader, dataset, classes = known[0]
        count = cfg['model'].get('num_classes', 1000)
        if len(classes) != count:
            raise InputError(f'{_place_of(dataset)}: {len(classes)} classes ({loader}), the model has '
                             f'num_classes={count}; set model.num_classes={len(classes)}, or give data of {count} '
                             'classes')


def _is(node: Mapping, kind: type) -> bool:
    name = node.get('type')
    return name is kind or isinstance(name, str) and name.rpartition('.')[2] == kind.__name__


def _is_numbered(dataset: ConfigDict) -> bool:
    return _is(dataset, ImageShards) and type(dataset.get('classes')) is int


def _classes_of(dataset: ConfigDict) -> list[str]:
    """Returns the names of a dataset's classes, once its folder or its shards are there."""
    root = dataset.get('data_root') or ''
    if _is(dataset, ImageShards):
        shard_files(dataset.get('shards') or '', root)
        return read_class_list(dataset.get('classes', 'classes.txt'), root)
    folder = _folder(dataset)
    if not folder.is_dir():
        raise DataError(folder.absolute(), 'no such folder', 'give data_root=DIR, the folder that holds it'
                        + _meant(Path(root), folder.name))
    if not folders_in(folder) and any(folder.iterdir()):
        raise DataError(folder.absolute(), 'no folders of classes in it, but files', 'sort them into a folder for each '
                        "class; for ImageNet's val, docs/imagenet.md says how")
    return list_classes(folder, dataset.get('classes'), root)


def _meant(root: Path, name: str) -> str:
    """Returns a question after the data root that was meant, where the folder is nearby."""
    near = [root / 'ILSVRC' / 'Data' / 'CLS-LOC', root / 'Data' / 'CLS-LOC', root / 'imagenet', root.parent]
    found = next((path for path in near if root.name and (path / name).is_dir()), None)
    return f". Did you mean data_root='{found}'?" if found else ''


def _folder(dataset: ConfigDict) -> Path:
    prefix: Any = dataset.get('data_prefix') or {}
    folder = prefix.get('img_path') or 'train' if isinstance(prefix, dict) else None
    if not isinstance(folder, str):
        raise InputError(f'data_prefix must be dict(img_path=FOLDER), the folder with those of the classes, got '
                         f'{prefix!r}')
    return Path(dataset.get('data_root') or '', folder)


def _place_of(dataset: ConfigDict) -> str:
    return str(dataset.get('data_root') or '.') if _is(dataset, ImageShards) else str(_folder(dataset))
