"""A segmentor scored in detail on a split of its config's data, in one process or several."""
import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import get_world_size
from mmengine.registry import DefaultScope
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ...datasets.bands.load_bands import LoadBands
from ...datasets.checked_transforms import steps_in
from ...datasets.listing import built_folders, built_leaves
from ...engine.checked_data import checked, num_classes
from ...engine.processes.named_deaths import named_deaths
from ...engine.runner import StrictRunner
from ...errors import InputError
from ...evaluation.detailed_metric import DetailedMetric, check_ratio
from ...inference.fast import optimize_if_possible
from ...inference.slide_segmentor import SlideSegmentor
from ...measure.conditions import describe_machine, versions
from ...outputs import claim_folder, refuse_data_folder
from ...weights.whole_model import load_model
from ..configs.checks import check_config
from ..configs.reading import check_data
from ..trial.whole import try_to_build
from .results import FILES, Results

SPLITS = ('val', 'test')


@dataclass(frozen=True)
class Wishes:
    """How an evaluation is to be made.

    Attributes:
        out: The folder to write to.
        split: One of `SPLITS`.
        dtype: See `optimize`.
        compile: See `optimize`.
        worst: How many of the worst images to show.
        boundary: Width of the boundary bands as a share of the image's diagonal.
        overwrite: Replace the files of an earlier evaluation.
        allow_partial: Load what fits of a checkpoint.
    """
    out: str
    split: str = 'test'
    dtype: str = 'fp32'
    compile: bool = False
    worst: int = 20
    boundary: float = 0.02
    overwrite: bool = False
    allow_partial: bool = False


def prepare_evaluation(cfg: Config, wishes: Wishes, trial: bool = True) -> DetailedMetric:
    """Sets a config up for an evaluation: its test split is then the one to score, its metric the one returned.

    Args:
        cfg: The config, of `load_config`.
        wishes: How it is to be made.
        trial: Whether to see, by `try_to_build`, if the config's parts can be built.

    Raises:
        InputError: The config has no such data, it is missing, a part cannot be built, or results are there already.
        OutputError: Nothing can be written to the folder.
    """
    if not wishes.out:
        raise InputError('out: the name of the folder is empty')
    if wishes.split not in SPLITS:
        raise InputError(f'split={wishes.split!r}: must be one of {list(SPLITS)}')
    check_ratio(wishes.boundary)
    claim_folder(wishes.out, FILES, wishes.overwrite)
    loader = cfg.get(f'{wishes.split}_dataloader')
    if loader is None:
        other = SPLITS[1 - SPLITS.index(wishes.split)]
        raise InputError(f'{cfg.filename}: has no {wishes.split}_dataloader, whose images are scored; give it one, or '
                         f"split='{other}'")
    metric = DetailedMetric(ignore_index=_void(cfg, wishes.split), boundary=wishes.boundary, worst=wishes.worst,
                            prefix='details')
    cfg.test_dataloader = copy.deepcopy(loader)
    cfg.test_cfg, cfg.test_evaluator = dict(type='TestLoop'), dict(type='DetailedMetric')
    cfg.default_hooks, cfg.custom_hooks = {}, []
    check_config(cfg, 'measure')
    check_data(cfg, ('test_dataloader',))
    if trial:
        try_to_build(cfg, 'test')
    return metric


def _void(cfg: Config, split: str) -> int:
    """Returns the label of void pixels: what the split's metric says, or else 255."""
    metrics = cfg.get(f'{split}_evaluator') or []
    metrics = metrics.get('metrics', metrics) if isinstance(metrics, dict) else metrics
    metrics = [metrics] if isinstance(metrics, dict) else metrics
    return next((one['ignore_index'] for one in metrics if isinstance(one, dict) and 'ignore_index' in one), 255)


def evaluate(cfg: Config, checkpoint: str, metric: DetailedMetric, wishes: Wishes,
             progress: Callable[[int, int, str], None]) -> Results | None:
    """Scores a checkpoint on the test split of a config.

    Args:
        cfg: The config, of `prepare_evaluation`.
        checkpoint: The file of the whole model.
        metric: Counts; of `prepare_evaluation`.
        wishes: How it is to be made.
        progress: Is told how many images are done, how many there are, and what goes on.

    Returns:
        What was found, in the main process; None in others.

    Raises:
        CheckpointError: The checkpoint cannot be read, or does not fit.
        InputError: Data are bad, or the folder for results is one of the data's.
        TrainingError: A data worker or another process died.
    """
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmseg'), named_deaths():
        loader = _loader(cfg, wishes.out)
        metric.dataset_meta = loader.dataset.metainfo
        model = _model(cfg, checkpoint, wishes)
        _score(model, loader, metric, progress)
    if metric.details is None:
        return None
    classes, palette = loader.dataset.metainfo['classes'], loader.dataset.metainfo.get('palette')
    if not palette:
        palette = np.random.default_rng(0).integers(0, 256, (len(classes), 3)).tolist()
    device = next(model.parameters()).device
    conditions = dict(device=describe_machine(device), dtype=wishes.dtype, processes=get_world_size(),
                      versions=versions())
    return Results(
        config=str(cfg.filename), checkpoint=checkpoint, split=wishes.split, details=metric.details,
        worst=metric.worst, palette=palette, boundary=wishes.boundary, conditions=conditions,
        is_bgr=_gives_bgr(cfg, next(built_leaves(loader.dataset))),
        left_out=getattr(loader.dataset, 'left_out', []))


def _gives_bgr(cfg: Config, dataset: Dataset) -> bool:
    """Whether a data set's pipeline reads images with blue first, as MMSegmentation's does; if unknown, by the cfg."""
    for step in steps_in(getattr(dataset, 'pipeline', ())):
        if isinstance(step, (LoadBands, LoadImageFromFile)):
            return isinstance(step, LoadImageFromFile)
    return bool((cfg.model.get('data_preprocessor') or {}).get('bgr_to_rgb'))


def _loader(cfg: Config, out: str) -> DataLoader:
    dataset = checked(cfg.test_dataloader.dataset)
    dataset.setdefault('test_mode', True)
    dataset.setdefault('num_classes', num_classes(cfg))
    loader = StrictRunner.build_dataloader(dict(copy.deepcopy(cfg.test_dataloader), dataset=dataset), seed=0)
    if not loader.dataset.metainfo.get('classes'):
        raise InputError(f'{cfg.filename}: the data set does not name its classes; set metainfo=dict(classes=[...], '
                         'palette=[[red, green, blue], ...]) in its config')
    for leaf in built_leaves(loader.dataset):
        refuse_data_folder(out, 'out', built_folders(leaf))
    return loader


def _model(cfg: Config, checkpoint: str, wishes: Wishes) -> nn.Module:
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='.*avg_non_ignore.*')  # about a loss that is not computed here
        model = load_model(cfg, checkpoint, get_device(), wishes.allow_partial)
    if isinstance(model, SlideSegmentor):
        model.test_cfg['with_confidence'] = True
    return optimize_if_possible(model, wishes.dtype, wishes.compile)


@torch.no_grad()
def _score(model: nn.Module, loader: DataLoader, metric: DetailedMetric,
           progress: Callable[[int, int, str], None]) -> None:
    done, total = 0, len(loader.dataset)
    for batch in loader:
        samples = [sample.to_dict() for sample in model.test_step(batch)]
        metric.process(batch, samples)
        done = min(total, done + len(samples) * get_world_size())
        progress(done, total, 'scored')
    metric.evaluate(total)
