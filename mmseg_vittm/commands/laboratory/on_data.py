"""A config on another data set: its sections of data, and the number of classes of its heads."""
import copy
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config, ConfigDict

from ...datasets.listing import datasets_of
from ...errors import InputError
from ...stack import DATASETS
from ..configs.sections import SECTIONS
from ..configs.values import LOADERS

DATA_SECTIONS = (*LOADERS, 'val_evaluator', 'test_evaluator', 'test_pipeline', 'tta_pipeline', 'total_batch_size')
SIZED = ('data_preprocessor.size', 'backbone.img_size', 'test_cfg.crop_size')  # of a model, in pixels: the crop's
HEADS = ('decode_head', 'auxiliary_head')


def on_data(cfg: Config, data_cfg: Config) -> Config:
    """Returns a config on the data of another one.

    Its dataloaders, evaluators, pipelines and batch are the other's, its heads have as many classes as the data, and
    sizes of the model that were the crop's are the other's crop's. Variables of its file are the other's too: those
    that have been read before mean nothing any more.

    Args:
        cfg: A config of a model and its training; it stays as it is.
        data_cfg: A config that has data, such as one of `configs/_base_/datasets`.

    Raises:
        InputError: A config lacks its sections, or the classes of the data are unknown.
    """
    if cfg.get('model') is None:
        raise InputError(f'{cfg.filename}: has no model; give a whole config, not one of its parts')
    if data_cfg.get('train_dataloader') is None or data_cfg.get('val_dataloader') is None:
        raise InputError(f'{data_cfg.filename}: has no train_dataloader and val_dataloader; give a config of data')
    merged = {name: copy.deepcopy(value) for name, value in cfg.items()
              if name in SECTIONS and name not in DATA_SECTIONS}
    for name, value in data_cfg.items():
        if name in DATA_SECTIONS or name not in SECTIONS:
            merged[name] = copy.deepcopy(value)
    merged = Config(merged, filename=cfg.filename)
    _resize(merged.model, cfg.get('crop_size'), data_cfg.get('crop_size'))
    classes = len(classes_of_data(data_cfg))
    for head in _heads(merged.model):
        for name in ('num_classes', 'out_channels'):
            if head.get(name) is not None:
                head[name] = classes
    return merged


def classes_of_data(cfg: Config) -> list[str]:
    """Returns the names of the classes that a config's validation data have.

    Raises:
        InputError: Neither the config nor the class of its data set says them.
    """
    for dataset in datasets_of(cfg.get('val_dataloader') or {}):
        kind = dataset.get('type')
        kind = DATASETS.get(kind) if isinstance(kind, str) else kind
        found = (dataset.get('metainfo') or {}).get('classes') or getattr(kind, 'METAINFO', {}).get('classes')
        if found:
            return list(found)
    raise InputError(f'{cfg.filename}: the classes of its data are unknown; give the data set metainfo=dict(classes='
                     '[...]), or a type that has them')


def _heads(model: ConfigDict) -> Iterator[ConfigDict]:
    for name in HEADS:
        found = model.get(name) or []
        yield from [found] if isinstance(found, dict) else found


def _resize(model: ConfigDict, old: Any, new: Any) -> None:
    """Gives a model the crop of its new data, wherever it has that of the old."""
    if not old or not new or list(old) == list(new):
        return
    for place in SIZED:
        section, name = place.split('.')
        part = model.get(section) or {}
        if isinstance(part.get(name), (list, tuple)) and list(part[name]) == list(old):
            part[name] = tuple(new)
            if part.get('stride') is not None:
                part['stride'] = tuple(round(step * size / before)
                                       for step, size, before in zip(part['stride'], new, old, strict=True))
