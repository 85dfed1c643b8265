"""Configs looked at before anything is built: sections that are missing, classes that do not exist, wrong arguments."""
import importlib.util
import inspect
import multiprocessing
import numbers
import re
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.runner import Runner

from ...errors import InputError, shown
from .classes import (
    Accepts,
    accepts,
    did_you_mean,
    find_class,
    kind_of_value,
    of_library,
    registered_names,
    registry_of,
    takes_kinds,
)
from .sections import FUNCTION, SECTIONS, TRANSFORM, Built, Keys, items_of, kind_of, part_of

SPLITS = {split: tuple(f'{split}_{part}' for part in parts) for split, parts in dict(
    train=('dataloader', 'cfg'), val=('dataloader', 'cfg', 'evaluator'), test=('dataloader', 'cfg', 'evaluator')
).items()}
SPLITS['train'] += ('optim_wrapper', )
RUNS = ('model', 'tta_model', 'visualizer', 'default_hooks', 'custom_hooks', 'log_processor', 'env_cfg', 'randomness',
        'model_wrapper_cfg')
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# By job: what a config must have for it, and which sections it reads.
JOBS = dict(
    train=(('model', *SPLITS['train']),  # which never builds what a test has
           tuple(name for name in SECTIONS if not name.startswith(('test_', 'tta_')))),
    test=(('model', *SPLITS['test']), (*RUNS, *SPLITS['test'], 'tta_pipeline')),
    infer=(('model', 'test_pipeline'), ('model', 'test_pipeline')),
    measure=(('model', ), ('model', 'test_dataloader')),
    data=((), LOADERS))
# Whole numbers: the smallest and largest that are possible; and sizes in pixels, or pairs of them.
SIZES = ('crop_size', 'image_size', 'img_size', 'stride')
LARGEST_SIZE = 1 << 16
WHOLE = {
    r'(train|val|test)_dataloader\.batch_size': (1, 1 << 20),
    r'(train|val|test)_dataloader\.num_workers': (0, 1024),
    r'total_batch_size': (1, 1 << 24),
    r'randomness\.seed': (0, (1 << 32) - 1),  # NumPy's
    r'train_cfg\.(max_iters|max_epochs|val_interval)': (1, 1 << 62),
    r'model\.(\w+\.)*(decode_head|auxiliary_head)(\.\d+)?\.num_classes': (1, 1 << 16),  # 0 is no head, of backbones
    r'env_cfg\.mp_cfg\.opencv_num_threads': (0, 1024),
    r'log_processor\.window_size': (1, 1 << 31),
    r'env_cfg\.resource_limit': (1, 1 << 31),
    r'(train|val|test)_dataloader\.num_batch_per_epoch': (1, 1 << 31),
}
NAMES_OF_KINDS = dict(number='a number', text='a text', other='a list or dict')
ALONE = ('model', 'data_preprocessor', 'tta_model', 'train_cfg', 'val_cfg', 'test_cfg', 'optim_wrapper', 'visualizer',
         'log_processor', 'model_wrapper_cfg')
TEXTS = ('work_dir', 'experiment_name')
PATHS = ('ann_file', 'data_root', 'img_suffix', 'out_dir', 'seg_map_suffix')
OPTIONAL = ('total_batch_size', 'randomness.seed', *(f'{loader}.num_batch_per_epoch' for loader in LOADERS))
COUNTS = ('max_iters', 'max_epochs', 'val_interval')  # of train_cfg; mmengine takes 1e5 too
LEVELS = ('CRITICAL', 'FATAL', 'ERROR', 'WARNING', 'WARN', 'INFO', 'DEBUG', 'NOTSET')
CHOICES = {
    'log_level': LEVELS,
    'resume': (True, False, 'auto', None),
    'sync_bn': ('torch', 'mmcv', None),
    'env_cfg.mp_cfg.mp_start_method': multiprocessing.get_all_start_methods(),
}


def check_config(cfg: Config, job: str) -> None:
    """Checks all that can be seen of a config for a job without building anything.

    Args:
        cfg: The config.
        job: One of `JOBS`.

    Raises:
        InputError: A section is missing, names a class that is not registered, or gives one what it does not take.
    """
    needed, sections = JOBS[job]
    for name in needed:
        if cfg.get(name) is None:
            raise InputError(f'{_file(cfg)}: has no {name}; give a whole config, not one of its parts')
    if job in ('train', 'test'):
        for names in SPLITS.values():
            there = [name for name in names if cfg.get(name) is not None]
            if there and len(there) < len(names):
                missing = [name for name in names if name not in there]
                raise InputError(f'{_file(cfg)}: has {", ".join(there)}, but no {", ".join(missing)}; add what is '
                                 'missing, or set the others to None')
    check_kinds(cfg)
    check_sections(cfg, sections)


def check_kinds(cfg: Config) -> None:
    """Checks that each section of a config is a dict, or a list of them, where it should be.

    Raises:
        InputError: One is not.
    """
    for name, kind in SECTIONS.items():
        value, several = cfg.get(name), isinstance(kind, Built) and name not in ALONE
        wish = f'a dict{" with a type" * isinstance(kind, Built)}'
        several = several or name in LOADERS and _has_own_loop(cfg, name)
        right = (dict, list, tuple) if several else dict
        if isinstance(kind, (Built, Keys)) and value is not None and not isinstance(value, right):
            wish += ', or a list of them' * several
            raise InputError(f'{_file(cfg)}: {name} must be {wish}, got {_value(value)}')


def _has_own_loop(cfg: Config, loader: str) -> bool:
    """Whether a user's own loop reads a dataloader."""
    name = f'{loader.removesuffix("_dataloader")}_cfg'
    loop, kind = cfg.get(name), SECTIONS[name]
    return isinstance(loop, dict) and not of_library(class_of(loop, kind_of(kind, loop), _scope(cfg)))


def check_sections(cfg: Config, sections: tuple[str, ...]) -> None:
    """Checks sections of a config, those that it has.

    Raises:
        InputError: See `check_config`.
    """
    scope = _scope(cfg)
    for name in sections:
        value, kind = cfg.get(name), SECTIONS.get(name)
        if value is None:
            continue
        if name == 'train_cfg':
            for key in COUNTS:
                if isinstance(value.get(key), float) and value[key].is_integer():
                    value[key] = int(value[key])
        if name in TEXTS and (not isinstance(value, str) or name == 'experiment_name' and '/' in value):
            raise InputError(f'{_file(cfg)}: {name} must be a text{" without /" * (name != TEXTS[0])}, got '
                             f'{_value(value)}')
        if name == 'compile' and not isinstance(value, (bool, dict)):
            raise InputError(f'{_file(cfg)}: compile must be True, False or a dict, got {_value(value)}')
        for path, problem in problems(value, kind, name, scope):
            raise InputError(f'{_file(cfg)}: {path}: {problem}')
        _check_values(cfg, value, name, kind, scope)


def problems(node: Any, kind: Any, path: str, scope: str) -> Iterator[tuple[str, str]]:
    """Yields the place of each thing that is wrong in a section, and what is wrong with it.

    Args:
        node: The section.
        kind: What it is; see `config_sections`.
        path: Its name.
        scope: Whose registries build it.
    """
    kind = kind_of(kind, node)
    if isinstance(node, (list, tuple)):
        if isinstance(kind, Built):
            for number, one in enumerate(node):
                yield from problems(one, kind, f'{path}.{number}', scope)
        return
    if not isinstance(node, dict):
        if isinstance(kind, Built) and path.split('.')[-1].isdigit() and isinstance(node, (str, numbers.Number)):
            yield path, f'must be a dict with a type, got {_value(node)}'
        return
    if isinstance(kind, Built):
        yield from _problems_of_class(node, kind, path, scope)
        if is_own(node, kind, scope):  # what it does with its parts is its own affair
            return
    elif isinstance(kind, Keys):
        for name, _ in items_of(node):
            if part_of(kind, str(name)) is False:
                yield path, f'has no {shown(name)}; {did_you_mean(str(name), kind.names)}'
    for name, value in items_of(node):
        part = part_of(kind, str(name))
        if part is TRANSFORM and kind is TRANSFORM and not _hands_on_transforms(class_of(node, kind, scope)):
            continue
        if part and isinstance(value, (str, numbers.Number)):
            yield f'{path}.{name}', f'must be a dict{" with a type" * isinstance(part, Built)}, got {_value(value)}'
        if part and isinstance(value, (dict, list, tuple)):
            yield from problems(value, part, f'{path}.{name}', scope)


def _hands_on_transforms(target: Any) -> bool:
    """Whether the transforms in a transform are of the same registry: Albu's are Albumentations'."""
    return getattr(target, '__module__', '').startswith(('mmcv.', 'mmengine.'))


def class_of(node: dict, kind: Built, scope: str) -> Any:
    """Returns the class that a dict with a `type` stands for; None where there is none."""
    own = node.get('_scope_') or scope
    return find_class(registry_of(kind.registry, own), node.get('type', kind.default))


def is_own(node: dict, kind: Built, scope: str) -> bool:
    """Whether a dict with a `type` stands for a class of a user's own, or is made by a constructor that is."""
    target = class_of(node, kind, scope)
    return target is not None and not of_library(target) or has_own_constructor(node, kind, scope)


def has_own_constructor(node: Any, kind: Any, scope: str) -> bool:
    """Whether an optimizer's wrapper is made by a constructor of a user's own, which may take anything."""
    if kind is not SECTIONS['optim_wrapper'] or not isinstance(node, dict) or node.get('constructor') is None:
        return False
    return not of_library(find_class(registry_of('OPTIM_WRAPPER_CONSTRUCTORS', scope), node['constructor']))


def arguments_of(target: Any, node: dict, scope: str) -> Accepts:
    """Returns what a class takes, looking after what known ones do with their `**kwargs`."""
    taken = accepts(target)
    if _lacks_mmdet(target):
        return Accepts(taken.names, open=True)
    if isinstance(target, type) and issubclass(target, EMAHook):
        average = find_class(registry_of('MODELS', scope), node.get('ema_type', 'ExponentialMovingAverage'))
        more = accepts(average) if average else Accepts(frozenset(), open=True)
    elif isinstance(target, type) and issubclass(target, CheckpointHook):
        more = accepts(Runner.save_checkpoint)
    else:
        return taken
    return Accepts(taken.names | more.names, taken.required, more.open)


def _problems_of_class(node: dict, kind: Built, path: str, scope: str) -> Iterator[tuple[str, str]]:
    name = node.get('type', kind.default)
    if name is None and node and all(str(key).isdigit() for key, _ in items_of(node)):
        yield path, 'the config has no such list whose elements could be set'
        return
    if name is None:
        yield path, "has no type; give it, as in dict(type='NAME')"
        return
    target = class_of(node, kind, scope)
    if target is None:
        if not isinstance(name, str):
            yield path, f'type must be a name, got {_value(name)}'
            return
        registry = registry_of(kind.registry, node.get('_scope_') or scope)
        found = did_you_mean(name.split('.')[-1], registered_names(registry))
        if '.' in name:
            found = f'{name.split(".")[0]} may not be installed; {found}'
        elif scope != 'mmseg' and find_class(registry_of(kind.registry, 'mmseg'), name) is not None:
            found = "MMSegmentation has it: set default_scope = 'mmseg'"
        elif 'did you mean' not in found:
            found = 'correct its name, or name the module that registers it in custom_imports'
        yield path, f'no {shown(name)} is registered among the {kind.registry}; {found}'
        return
    if has_own_constructor(node, kind, scope):
        return
    taken, label = arguments_of(target, node, scope), getattr(target, '__name__', shown(str(name)))
    if _lacks_mmdet(target):
        yield path, f'{label} needs mmdet, which is not installed; install it'
    keys = {key for key, _ in items_of(node)} - {'type', '_scope_'} - kind.more
    if not taken.open and not taken.ignores:
        for key in sorted(map(str, keys - taken.names)):
            yield path, f'{label} takes no {shown(key)}; {did_you_mean(key, taken.names - kind.given)}'
    kinds = takes_kinds(target) if of_library(target) else {}
    for key, value in items_of(node):
        wanted, given = kinds.get(key), kind_of_value(value)
        # Annotations are not kept to where they say text alone: of 'dynamic' or a number, for one.
        if wanted and given != 'other' and given not in wanted and (wanted != {'text'} or key in PATHS):
            wish = ' or '.join(NAMES_OF_KINDS[one] for one in sorted(wanted))
            yield f'{path}.{key}', f'must be {wish} for {label}, got {_value(value)}'
    missing = [one for one in taken.required if one not in keys | kind.given | kind.more]
    if missing and kind is not FUNCTION and not node.get('convert_to_iter_based'):
        yield path, f'{label} needs {", ".join(missing)}; give it a value'


def _lacks_mmdet(target: Any) -> bool:
    """Whether a class is a stand-in of MMSegmentation for one of MMDetection, where that is not installed."""
    if not getattr(target, '__module__', '').startswith('mmseg.') or importlib.util.find_spec('mmdet') is not None:
        return False
    return 'from mmdet' in inspect.getsource(inspect.getmodule(target))


def _check_values(cfg: Config, node: Any, path: str, kind: Any, scope: str) -> None:
    """Checks numbers that would only fail, or do nothing, once much has been built; none of a user's own class."""
    kind = kind_of(kind, node)
    if isinstance(node, dict):
        if is_own(node, kind, scope) if isinstance(kind, Built) else 'type' in node:
            return
        for name, value in items_of(node):
            _check_values(cfg, value, f'{path}.{name}', part_of(kind, str(name)), scope)
        return
    if isinstance(node, (list, tuple)) and path.split('.')[-1] not in (*SIZES, 'size', 'scale'):
        for number, value in enumerate(node):
            _check_values(cfg, value, f'{path}.{number}', kind, scope)
        return
    if path.split('.')[-1] in PATHS and isinstance(node, numbers.Number):
        raise InputError(f'{_file(cfg)}: {path} must be a text, got {_value(node)}')
    if path == 'log_level' and type(node) is int and node >= 0:
        return
    if path in CHOICES and not any(type(node) is type(one) and node == one for one in CHOICES[path]):
        choices = ', '.join(map(str, CHOICES[path]))
        raise InputError(f'{_file(cfg)}: {path} must be one of {choices}, got {_value(node)}')
    if path.split('.')[-1] in ('size', 'scale') and 'backbone' not in path:
        sides = node if isinstance(node, (list, tuple)) else [node]
        # (-1, 512) is 512 for the shorter side
        if all(isinstance(side, numbers.Real) for side in sides) and sides and (max(sides) <= 0 or 0 in sides):
            raise InputError(f'{_file(cfg)}: {path} must be above 0, got {_value(node)}')
    for pattern, (least, most) in WHOLE.items():
        if not re.fullmatch(pattern, path) or node is None and path in OPTIONAL:
            continue
        if not isinstance(node, int) or isinstance(node, bool) or not least <= node <= most:
            raise InputError(f'{_file(cfg)}: {path} must be a whole number from {least} to {most}, got {_value(node)}')
    if path.split('.')[-1] in SIZES and node is not None:
        sides = node if isinstance(node, (list, tuple)) else [node]
        if not all(isinstance(side, numbers.Real) and 0 < side <= LARGEST_SIZE for side in sides) or not sides:
            raise InputError(f'{_file(cfg)}: {path} must be a size in pixels from 1 to {LARGEST_SIZE}, or a pair of '
                             f'them, got {_value(node)}')


def _file(cfg: Config) -> str:
    return str(cfg.filename or 'the config')


def _scope(cfg: Config) -> str:
    """Returns the scope whose registries the config's names are of.

    Raises:
        InputError: There is no such scope.
    """
    scope = cfg.get('default_scope') or 'mmseg'
    if not isinstance(scope, str) or scope != 'mmengine' and registry_of('MODELS', scope).scope != scope:
        raise InputError(f"{_file(cfg)}: default_scope={_value(scope)}: no such scope, or not installed; give 'mmseg'")
    return scope


def _value(value: Any) -> str:
    text = repr(value)
    return shown(text)
