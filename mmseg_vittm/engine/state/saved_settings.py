"""The settings of a run as its checkpoints keep them: plain text that is read without running anything in it."""
import ast
import contextlib
import inspect
import json
import re
from typing import Any

from mmengine.config import Config

from ...errors import InputError
from ..distillation.options import SECTION as DISTILLATION
from ..distillation.options import DistillationOptions

SETTINGS = 'settings'  # in a checkpoint's `meta`
LONGEST = 2**18  # characters that are read; those of a config are some 20,000
DEEPEST = 40  # levels of dicts and lists; those of a config are about 8
# What of a config decides what a training computes. All else is paths, names, or the tests'.
PARTS = ('model', 'data_preprocessor', 'train_dataloader', 'val_dataloader', 'val_evaluator', 'val_cfg', 'train_cfg',
         'optim_wrapper', 'param_scheduler', 'auto_scale_lr', 'randomness', 'default_hooks', 'custom_hooks',
         DISTILLATION)
# What of these parts does not: how fast data are loaded, and what is logged, shown and kept, and how often.
LOADING = ('num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor', 'multiprocessing_context', 'timeout')
REPORTING = ('timer', 'logger', 'checkpoint', 'visualization', 'pictures', 'mean_loss')
TOTAL_BATCH = 'total_batch_size'


def settings_of(cfg: Config | dict, processes: int | None = 1) -> dict[str, Any]:
    """Returns what of a config decides what a training computes, in plain dicts, lists, numbers and strings.

    The batch is that of all processes together, since it may be divided otherwise.

    Args:
        cfg: The config.
        processes: How many train; None where that is not known.
    """
    settings = {part: plain(cfg[part]) for part in PARTS if cfg.get(part) is not None}
    for name in ('train_dataloader', 'val_dataloader'):
        loader = settings.get(name)
        if isinstance(loader, dict):
            settings[name] = {key: value for key, value in loader.items() if key not in LOADING}
    train = settings.get('train_dataloader')
    if isinstance(train, dict) and isinstance(train.get('batch_size'), int):
        batch = train.pop('batch_size')
        if processes is not None:
            settings[TOTAL_BATCH] = batch * processes
    loop = settings.get('train_cfg')
    if isinstance(loop, dict) and 'by_epoch' in loop:  # another way to say which
        by_epoch = loop.pop('by_epoch')
        loop.setdefault('type', 'EpochBasedTrainLoop' if by_epoch else 'IterBasedTrainLoop')
    hooks = settings.get('default_hooks')
    if isinstance(hooks, dict):
        settings['default_hooks'] = {key: value for key, value in hooks.items() if key not in REPORTING}
    if isinstance(settings.get('param_scheduler'), dict) and 'type' in settings['param_scheduler']:
        settings['param_scheduler'] = [settings['param_scheduler']]
    if settings.get(DISTILLATION):
        with contextlib.suppress(InputError):  # of a test, which needs no teacher; a training names what is wrong
            settings[DISTILLATION] = DistillationOptions.of(settings[DISTILLATION]).settings()
    return settings


def plain(value: Any) -> Any:
    """Returns a value of a config as JSON has it; classes and functions by their names."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, value))
    if value is None or type(value) in (bool, int, float, str):
        return value
    if inspect.isclass(value) or inspect.isroutine(value):
        return f'{value.__module__}.{value.__qualname__}'
    return re.sub(r' at 0x[0-9a-f]+', '', repr(value))


def read_settings(checkpoint: dict) -> dict[str, Any] | None:
    """Returns the settings that a checkpoint holds, or, without them, those of the config in it that mmengine saves.

    Nothing in the checkpoint is run, and no more is read than a config may hold.

    Args:
        checkpoint: A checkpoint of a training.

    Returns:
        See `settings_of`; None where the checkpoint holds no settings, or none that can be read.
    """
    meta = checkpoint.get('meta')
    text, config = (meta.get(name) for name in (SETTINGS, 'cfg')) if isinstance(meta, dict) else (None, None)
    try:
        if isinstance(text, str) and len(text) <= LONGEST:
            settings = json.loads(text)
        elif isinstance(config, str) and len(config) <= LONGEST:
            states = checkpoint.get('random_states')
            settings = settings_of(_assigned(config), len(states) if isinstance(states, list) and states else None)
        else:
            return None
    except (MemoryError, RecursionError, SyntaxError, ValueError):
        return None
    return settings if isinstance(settings, dict) and settings and not _deeper(settings, DEEPEST) else None


def _assigned(text: str) -> dict[str, Any]:
    """Returns what the text of a config assigns, which is never run.

    Raises:
        ValueError: It holds more than names assigned to plain values and `dict(...)`; a SyntaxError if it is no Python,
            a MemoryError or RecursionError if it is nested too deep.
    """
    assigned = {}
    for statement in ast.parse(text).body:
        if not isinstance(statement, ast.Assign) or not all(isinstance(to, ast.Name) for to in statement.targets):
            raise ValueError('no assignment')
        assigned.update({to.id: _value(statement.value) for to in statement.targets})
    return assigned


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id != 'dict' or node.args:
            raise ValueError('a call')
        result = {}
        for keyword in node.keywords:
            value = _value(keyword.value)
            if keyword.arg is None and not isinstance(value, dict):
                raise ValueError('** of no dict')
            result.update(value if keyword.arg is None else {keyword.arg: value})
        return result
    if isinstance(node, ast.Dict):
        if None in node.keys:
            raise ValueError('** in a dict')
        return {str(ast.literal_eval(key)): _value(value) for key, value in zip(node.keys, node.values, strict=True)}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item) for item in node.elts]
    return ast.literal_eval(node)


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(item, levels - 1) for item in items)
