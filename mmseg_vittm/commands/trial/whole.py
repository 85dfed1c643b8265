"""The trial of a whole config: its model, data and metrics, its hooks, optimizer and schedules."""
import copy
from types import SimpleNamespace

import mmengine.registry
from mmengine.config import Config, ConfigDict
from mmengine.hooks import EMAHook
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from ...errors import InputError, shown
from ..configs.checks import SPLITS
from ..configs.classes import find_class, has_own, of_library, registry_of
from ..configs.sections import items_of
from .data import try_data, try_evaluator
from .model import try_model
from .parts import named, try_each
from .traceless import nothing_drawn, nothing_said


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
        model = try_model(cfg)
        if job == 'infer':
            try_each(cfg, 'test_pipeline', mmengine.registry.TRANSFORMS)
            return
        if job == 'train':
            _try_optimizer(cfg, model)
            _check_scaling(cfg)
        _try_hooks(cfg, model if job == 'train' else None)
        splits = [split for split in (('train', 'val') if job == 'train' else ('test', ))
                  if all(cfg.get(name) is not None for name in SPLITS[split])]
        for split in splits:
            try_data(cfg, f'{split}_dataloader', model)
            if split != 'train':
                try_evaluator(cfg, f'{split}_evaluator')


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
        with named(cfg, place):
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
    with named(cfg, 'optim_wrapper'):
        wrapper = build_optim_wrapper(model, settings)
    if not isinstance(wrapper, OptimWrapper) or isinstance(wrapper, OptimWrapperDict):
        return
    schedules = cfg.get('param_scheduler')
    for number, one in enumerate(schedules if isinstance(schedules, (list, tuple)) else [schedules]):
        if isinstance(one, dict) and not has_own(one):
            one = copy.deepcopy(one)
            one.setdefault('end', 1 << 30)
            with named(cfg, f'param_scheduler.{number}'):
                mmengine.registry.PARAM_SCHEDULERS.build(one, default_args=dict(optimizer=wrapper, epoch_length=1))
