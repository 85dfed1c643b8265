"""The scores of finished runs, each computed once and kept beside its checkpoint."""
import copy
import hashlib
import json
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmseg.evaluation import IoUMetric

from ...engine.checked_data import checked
from ...engine.state.saved_settings import plain
from ...errors import InputError
from ...inference.fast import optimize_if_possible
from ...measure.conditions import resolve_device
from ...outputs import write_whole
from ...stack import DATASETS
from ...weights.whole_model import load_model
from .laboratory import Laboratory
from .plan import WINDOWS, Run

SCORES = 'scores.json'  # in a run's folder
VALIDATION, SHIFT = 'validation', 'shift'
SCORED = ('val_dataloader', 'test_dataloader')


def loaders(cfg: Config) -> dict[str, ConfigDict]:
    """Returns the dataloaders that a config is scored on: validation, and the shift where tests read others.

    Raises:
        InputError: It has no validation.
    """
    if cfg.get('val_dataloader') is None:
        raise InputError(f'{cfg.filename}: has no val_dataloader, whose images are scored; give it one, val_cfg and '
                         'val_evaluator')
    found = {VALIDATION: cfg.val_dataloader}
    test = cfg.get('test_dataloader')
    if test is not None and _images(test) != _images(cfg.val_dataloader):
        found[SHIFT] = test
    return found


def _images(loader: ConfigDict) -> Any:
    return {key: value for key, value in plain(loader.dataset).items() if key != 'pipeline'}


def in_windows(cfg: Config, image_size: tuple[int, int]) -> Config | None:
    """Returns a config whose model is tested by sliding windows: the crop of training, by steps of two thirds of it.

    Args:
        cfg: The config.
        image_size: Height and width of the images; where they fit into the crop, there is nothing to slide, and None is
            returned.

    Raises:
        InputError: The config has no crop.
    """
    crop = cfg.model.get('data_preprocessor', {}).get('size') or cfg.get('crop_size')
    if not crop:
        raise InputError(f'{cfg.filename}: scores: windows need crop_size, or the size of model.data_preprocessor')
    if all(side <= own for side, own in zip(image_size, crop, strict=True)):
        return None
    cfg = copy.deepcopy(cfg)
    stride = tuple(max(1, round(side * 2 / 3)) for side in crop)
    cfg.model.test_cfg = dict(mode='slide', crop_size=tuple(crop), stride=stride)
    return cfg


def ways(laboratory: Laboratory, data: str, row: str) -> dict[str, Config]:
    """Returns the configs by which a row's models predict: as they are, and in windows where the row asks for it."""
    cfg, found = laboratory.config(data, row), {}
    if WINDOWS in laboratory.plan.rows[row].scores:
        found[WINDOWS] = in_windows(cfg, laboratory.plan.data[data].image_size)
    return {'': cfg} | {way: own for way, own in found.items() if own is not None}


def score_run(laboratory: Laboratory, run: Run) -> dict[str, dict]:
    """Returns the scores of a finished run; computed where they are not there for its checkpoint yet.

    Returns:
        By name, such as `'validation'` or `'shift, windows'`: `mIoU` and `aAcc`, the `IoU` of every class in percent,
        None for a class that neither occurs nor is predicted, and how many `images`.

    Raises:
        CheckpointError: The checkpoint does not fit the model.
        InputError: The data cannot be read.
    """
    path, kept = laboratory.folder(run) / SCORES, kept_scores(laboratory, run)
    wanted = dict(_wanted(laboratory, run))
    missing = {name: one for name, one in wanted.items() if name not in kept}
    if missing:
        laboratory.check_data(run, SCORED)
    for name, (cfg, loader) in missing.items():
        kept[name] = score(cfg, loader, str(laboratory.checkpoint(run)))
        content = dict(checkpoint=laboratory.identity(run), scores={
            one: dict(settings=_digest(*wanted[one]), score=kept[one]) for one in wanted if one in kept})
        write_whole(path, json.dumps(content, indent=1) + '\n')
    return {name: kept[name] for name in wanted}


def kept_scores(laboratory: Laboratory, run: Run) -> dict[str, dict]:
    """Returns those scores of a run that are there, and are of its checkpoint and of the config's data."""
    if not laboratory.is_done(run):
        return {}
    try:
        content = json.loads((laboratory.folder(run) / SCORES).read_text(encoding='utf-8'))
        scores = content['scores'] if content['checkpoint'] == laboratory.identity(run) else {}
        return {name: scores[name]['score'] for name, (cfg, loader) in _wanted(laboratory, run)
                if name in scores and scores[name]['settings'] == _digest(cfg, loader)}
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # none yet, or of another make: computed anew
        return {}


def _wanted(laboratory: Laboratory, run: Run) -> Iterator[tuple[str, tuple[Config, ConfigDict]]]:
    for way, cfg in ways(laboratory, run.data, run.row).items():
        for split, loader in loaders(cfg).items():
            yield ', '.join(filter(None, (split, way))), (cfg, loader)


def _digest(cfg: Config, loader: ConfigDict) -> str:
    """Returns what tells settings of a test apart, wherever the data lie."""
    settings = plain([cfg.model, loader.dataset])
    settings[1].pop('data_root', None)
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


@torch.no_grad()
def score(cfg: Config, loader: ConfigDict, checkpoint: str) -> dict[str, Any]:
    """Scores a checkpoint through the fast path, in float32.

    Args:
        cfg: The config of the model.
        loader: The dataloader whose images are scored.
        checkpoint: The checkpoint.

    Returns:
        See `score_run`.

    Raises:
        CheckpointError: It does not fit.
        InputError: The data cannot be read.
    """
    device = resolve_device(None)
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='.*avg_non_ignore.*')  # about a loss that is not computed here
        model = optimize_if_possible(load_model(copy.deepcopy(cfg), checkpoint, str(device)))
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmseg'):
        dataset = DATASETS.build(checked(loader.dataset) | dict(test_mode=True))
        metric = IoUMetric(iou_metrics=['mIoU'], prefix='score')
    metric.dataset_meta = dataset.metainfo
    for number in range(len(dataset)):
        item = dataset[number]
        samples = model.test_step({key: [value] for key, value in item.items()})
        metric.process({}, [sample.to_dict() for sample in samples])
    areas = [sum(parts) for parts in zip(*metric.results, strict=True)]
    found = IoUMetric.total_area_to_metrics(*areas, metrics=['mIoU'])
    ious = [100 * float(value) for value in found['IoU']]
    there = [value for value in ious if value == value]
    return dict(mIoU=sum(there) / len(there), aAcc=100 * float(found['aAcc']), images=len(dataset),
                IoU={name: value if value == value else None
                     for name, value in zip(dataset.metainfo['classes'], ious, strict=True)})
