"""A config's parts built once to see whether they can be, before anything is written: nothing of them is kept."""
import contextlib
import copy
import os
import traceback
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import mmengine.registry
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset, InfiniteSampler
from mmengine.evaluator import BaseMetric
from mmengine.hooks import EMAHook
from mmengine.model import BaseTTAModel
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmseg.evaluation import IoUMetric
from mmseg.models import EncoderDecoder
from torch import nn

from ...classification.classifier import ImageClassifier
from ...classification.config_checks import is_classifier, is_image_set
from ...classification.trial_batch import try_batch
from ...datasets.checked_dataset import check_skip_options
from ...datasets.listing import SKIP_OPTIONS, datasets_of
from ...errors import CheckpointError, InputError, OutputError, one_line, shown
from .checks import SPLITS
from .classes import accepts, find_class, has_own, of_library, registry_of
from .sections import items_of
from .traceless import build_on_meta, nothing_drawn, nothing_said

PLAIN_SAMPLERS = ('mmengine', 'mmseg_vittm')  # whose samplers ask a data set for nothing but its length
READ_FILES = ('VPD', )


def try_to_build(cfg: Config, job: str) -> None:
    """Builds what a job builds of a config, as far as that needs no data and writes nothing, and drops it.

    Only classes of known libraries are built, and no model, optimizer or dataloader with a part of a user's own: what
    that would do cannot be known.

    Args:
        cfg: The config, checked by `check_config`; it stays as it is.
        job: `'train'`, `'test'` or `'infer'`.

    Raises:
        InputError: A part refuses its arguments, or cannot be made of them; names the part and the reason.
    """
    cfg = copy.deepcopy(cfg)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmseg'), nothing_drawn(), nothing_said():
        model = _try_model(cfg)
        if job == 'infer':
            _try_each(cfg, 'test_pipeline', mmengine.registry.TRANSFORMS)
            return
        if job == 'train':
            _try_optimizer(cfg, model)
            _check_scaling(cfg)
        _try_hooks(cfg, model if job == 'train' else None)
        splits = [split for split in (('train', 'val') if job == 'train' else ('test', ))
                  if all(cfg.get(name) is not None for name in SPLITS[split])]
        for split in splits:
            _try_data(cfg, f'{split}_dataloader', model)
            if split != 'train':
                _try_evaluator(cfg, f'{split}_evaluator')


def _try_model(cfg: Config) -> nn.Module | None:
    """Builds the model without weights, and returns it; None where a part is a user's own, or is read from files."""
    if has_own(cfg.model) or _reads_files(cfg.model):
        return None
    settings = copy.deepcopy(cfg.model)
    _leave_downloads(settings)
    with _named(cfg, 'model'):
        model = build_on_meta(lambda: mmengine.registry.MODELS.build(copy.deepcopy(settings)))
    _check_memory(cfg, model)
    _check_test_mode(cfg, model)
    return model


def _reads_files(node: Any) -> bool:
    """Whether a part of a model reads its weights where it is constructed, as MMSegmentation's `VPD`."""
    if isinstance(node, dict):
        return str(node.get('type')).rpartition('.')[2] in READ_FILES or any(
            _reads_files(value) for _, value in items_of(node))
    return isinstance(node, (list, tuple)) and any(map(_reads_files, node))


def _leave_downloads(node: Any) -> None:
    """Has no part of a model fetch weights where it is constructed, as MMSegmentation's `TIMMBackbone` does."""
    if isinstance(node, dict):
        if node.get('pretrained') is True:
            node['pretrained'] = False
        for _, value in items_of(node):
            _leave_downloads(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _leave_downloads(value)


@contextlib.contextmanager
def _named(cfg: Config, section: str) -> Iterator[None]:
    """Turns errors of building a section into one that names it."""
    try:
        yield
    except (InputError, CheckpointError, OutputError):
        raise
    except Exception as error:  # whatever the classes of a config raise
        reason, remedy = one_line(error), 'correct its settings'
        if isinstance(error, ImportError) or 'please install' in reason.lower():
            remedy = 'install what it names, or use something else'
        elif not str(error):  # a bare assertion
            reason += f': {shown(traceback.extract_tb(error.__traceback__)[-1].line or "")}'
            remedy += ', or what they name'
        raise InputError(f'{cfg.filename}: {section} cannot be built ({reason}); {remedy}') from error


def _check_memory(cfg: Config, model: nn.Module) -> None:
    """Checks that a model's weights are fewer than the machine has memory for.

    Raises:
        InputError: They are not.
    """
    needed = sum(one.numel() * one.element_size() for one in (*model.parameters(), *model.buffers()))
    if not hasattr(os, 'sysconf') or 'SC_PHYS_PAGES' not in os.sysconf_names:
        return
    there = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    if needed > there:
        raise InputError(f'{cfg.filename}: the weights of the model take {needed / 2**30:,.0f} GiB, and this machine '
                         f'has {there / 2**30:,.0f}; give it smaller sizes')


def _check_test_mode(cfg: Config, model: nn.Module) -> None:
    """Checks `test_cfg` of MMSegmentation's segmentors and ours, which they read when the first image comes.

    Raises:
        InputError: It says no known mode, or lacks the window of `'slide'`.
    """
    while isinstance(model, BaseTTAModel):
        model = model.module
    inference = getattr(type(model), 'inference', None)
    if not isinstance(model, EncoderDecoder) or inference is not EncoderDecoder.inference and not getattr(
            inference, '__module__', '').startswith('mmseg_vittm.'):
        return
    mode = model.test_cfg.get('mode', 'whole') if isinstance(model.test_cfg, dict) else None
    if mode not in ('slide', 'whole'):
        raise InputError(f"{cfg.filename}: model.test_cfg must be a dict with mode='slide' or 'whole', got "
                         f'{shown(repr(model.test_cfg))}')
    window = [model.test_cfg.get(name) for name in ('crop_size', 'stride')]
    if mode == 'slide' and not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in window):
        raise InputError(f"{cfg.filename}: model.test_cfg with mode='slide' needs crop_size=(H, W) and stride=(H, W), "
                         f'got {shown(repr(window))}')


def _try_hooks(cfg: Config, model: nn.Module | None) -> None:
    """Builds the hooks that are not a user's own, but those that ask for what the Runner makes.

    A hook that averages weights makes its copy of the model, if one is given: only then it looks at its arguments.
    """
    hooks = [(f'default_hooks.{name}', one) for name, one in items_of(cfg.get('default_hooks') or {})]
    custom = cfg.get('custom_hooks') or []
    hooks += [(f'custom_hooks.{number}', one) for number, one in enumerate(custom)]
    for place, one in hooks:
        if not isinstance(one, dict):
            continue
        target = find_class(registry_of('HOOKS', cfg.get('default_scope') or 'mmseg'), one.get('type'))
        if not of_library(target) or has_own(one):
            continue
        own = {name: value for name, value in items_of(one) if name != 'priority'}
        with _named(cfg, place):
            try:
                hook = mmengine.registry.HOOKS.build(ConfigDict(own))
                if model is not None and isinstance(hook, EMAHook):
                    hook.before_run(SimpleNamespace(model=model))
            except RuntimeError as error:
                if 'get_instance' in str(error):  # ManagerMixin: of what the Runner has yet to make
                    continue
                raise


def _check_scaling(cfg: Config) -> None:
    """Checks `auto_scale_lr`, which training only reads once its logs have begun.

    Raises:
        InputError: It lacks a value.
    """
    scaled = cfg.get('auto_scale_lr') or {}
    if scaled.get('enable') and not isinstance(scaled.get('base_batch_size'), int):
        raise InputError(f'{cfg.filename}: auto_scale_lr needs base_batch_size, a whole number')


def _try_each(cfg: Config, section: str, registry: mmengine.registry.Registry, node: Any = None) -> None:
    """Builds each element of a list that is not a user's own."""
    for number, one in enumerate(cfg[section] if node is None else node):
        if isinstance(one, dict) and not has_own(one):
            with _named(cfg, f'{section}.{number}'):
                registry.build(copy.deepcopy(one))


def _try_optimizer(cfg: Config, model: nn.Module | None) -> None:
    """Builds the optimizer and its schedules for a model."""
    settings = copy.deepcopy(cfg.optim_wrapper)
    if has_own(settings):
        return
    clip = settings.get('clip_grad') or {}
    for name in ('max_norm', 'clip_value', 'norm_type'):
        if isinstance(clip, dict) and name in clip and not isinstance(clip[name], (int, float)):
            raise InputError(f'{cfg.filename}: optim_wrapper.clip_grad.{name} must be a number, got '
                             f'{shown(repr(clip[name]))}')
    if settings.get('optimizer') is None and 'constructor' not in settings:
        raise InputError(f'{cfg.filename}: optim_wrapper has no optimizer; give it one')
    optimizer = settings.get('optimizer') or {}
    target = find_class(registry_of('OPTIMIZERS', cfg.get('default_scope') or 'mmseg'), optimizer.get('type'))
    if model is None or any(one.__module__.startswith('torch.distributed') for one in getattr(target, '__mro__', ())):
        return
    optimizer.pop('fused', None)  # not of weights that are only thought of
    with _named(cfg, 'optim_wrapper'):
        wrapper = build_optim_wrapper(model, settings)
    if not isinstance(wrapper, OptimWrapper) or isinstance(wrapper, OptimWrapperDict):
        return
    schedules = cfg.get('param_scheduler')
    for number, one in enumerate(schedules if isinstance(schedules, (list, tuple)) else [schedules]):
        if isinstance(one, dict) and not has_own(one):
            one = copy.deepcopy(one)
            one.setdefault('end', 1 << 30)
            with _named(cfg, f'param_scheduler.{number}'):
                mmengine.registry.PARAM_SCHEDULERS.build(one, default_args=dict(optimizer=wrapper, epoch_length=1))


def _try_data(cfg: Config, section: str, model: nn.Module | None) -> None:
    """Builds the datasets of a dataloader without reading files, their pipelines, and the rest of the dataloader.

    A classifier is given what comes out of them.
    """
    loader, training = copy.deepcopy(cfg[section]), section.startswith('train')
    if not isinstance(loader, dict):  # of a loop of one's own
        return
    if not isinstance(loader.get('dataset'), dict):
        raise InputError(f'{cfg.filename}: {section} has no dataset; give it one')
    # What a wrapper of one's own makes of the datasets in it is its own affair.
    for dataset in () if has_own(loader.dataset, without='pipeline') else datasets_of(loader.dataset):
        _try_each(cfg, f'{section}.dataset.pipeline', mmengine.registry.TRANSFORMS, dataset.get('pipeline') or [])
        own = {name: value for name, value in items_of(dataset) if name not in SKIP_OPTIONS}
        options = {name: dataset[name] for name in SKIP_OPTIONS if name in dataset}
        if options:
            check_skip_options(**options)
        own.update(pipeline=[], lazy_init=True)
        target = find_class(registry_of('DATASETS', cfg.get('default_scope') or 'mmseg'), own.get('type'))
        if isinstance(target, type) and issubclass(target, BaseDataset):
            with _named(cfg, f'{section}.dataset'):
                mmengine.registry.DATASETS.build(ConfigDict(own))
    loader['dataset'] = _Samples()
    for name, registry in (('sampler', 'DATA_SAMPLERS'), ('batch_sampler', 'DATA_SAMPLERS'),
                           ('collate_fn', 'FUNCTIONS'), ('worker_init_fn', 'FUNCTIONS')):
        one = loader.get(name)
        one = one.get('type') if isinstance(one, dict) else one
        target = None if one is None else find_class(registry_of(registry, cfg.get('default_scope') or 'mmseg'), one)
        if target is not None and target.__module__.split('.')[0] not in PLAIN_SAMPLERS:
            return
    with _named(cfg, section):
        built = Runner.build_dataloader(loader, seed=0)
    if not training and isinstance(built.sampler, InfiniteSampler):
        raise InputError(f'{cfg.filename}: {section}.sampler never ends, which is for training; give DefaultSampler')
    dataset = cfg[section].dataset
    if isinstance(model, ImageClassifier) and is_image_set(dataset) and not has_own(dataset):
        if training and isinstance(cfg[section].get('batch_size'), int):
            model.check_batch(cfg[section].batch_size)
        with _named(cfg, section):
            try_batch(model, dataset.get('pipeline') or [], built.collate_fn, training)


class _Samples(BaseDataset):
    """Stands for a data set that nobody has read."""

    def __init__(self):
        super().__init__(lazy_init=True)
        self.data_list, self._fully_initialized, self.serialize_data = [{}] * 16, True, False

    def __len__(self) -> int:
        return len(self.data_list)


def _try_evaluator(cfg: Config, section: str) -> None:
    """Builds those metrics of an evaluator that own no folder, as MMSegmentation's `CityscapesMetric` does."""
    settings = cfg[section]
    if isinstance(settings, dict) and 'metrics' in settings:
        settings = [] if settings.get('type', 'Evaluator') != 'Evaluator' else settings['metrics']
    for one in settings if isinstance(settings, (list, tuple)) else [settings]:
        if not isinstance(one, dict) or has_own(one):
            continue
        own = ConfigDict(copy.deepcopy(one))
        target = find_class(registry_of('METRICS', cfg.get('default_scope') or 'mmseg'), own.get('type'))
        if is_classifier(cfg) and target.__module__.startswith('mmseg.'):
            raise InputError(f'{cfg.filename}: {section}: {target.__name__} scores segmentations, and the model is a '
                             'classifier; give TopAccuracy')
        if target is IoUMetric:
            own.output_dir = None
        elif 'output_dir' in accepts(target).names or hasattr(target, '__del__') or target.__module__.split('.')[
                0] not in ('mmengine', 'mmseg'):
            continue
        with _named(cfg, section):
            _try_metric(mmengine.registry.METRICS.build(own))


def _try_metric(metric: BaseMetric) -> None:
    if not isinstance(metric, IoUMetric):
        return
    areas = [torch.ones(2)] * 4
    metric.total_area_to_metrics(*areas, metric.metrics, metric.nan_to_num, metric.beta)
