"""Configs looked at before anything is built: sections that are missing, classes that do not exist, wrong arguments."""
import numbers
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from ...classification.config_checks import is_classifier
from ...errors import InputError, shown
from .bands import check_bands
from .classes import (
    did_you_mean,
    find_class,
    kind_of_value,
    of_library,
    registered_names,
    registry_of,
    takes_kinds,
)
from .parts import arguments_of, class_of, file_of, has_own_constructor, is_own, lacks_mmdet, shown_value
from .sections import FUNCTION, SECTIONS, TRANSFORM, Built, Keys, items_of, kind_of, part_of
from .values import COUNTS, LOADERS, PATHS, check_values

SPLITS = {split: tuple(f'{split}_{part}' for part in parts) for split, parts in dict(
    train=('dataloader', 'cfg'), val=('dataloader', 'cfg', 'evaluator'), test=('dataloader', 'cfg', 'evaluator')
).items()}
SPLITS['train'] += ('optim_wrapper', )
RUNS = ('model', 'tta_model', 'visualizer', 'default_hooks', 'custom_hooks', 'log_processor', 'env_cfg', 'randomness',
        'model_wrapper_cfg')
# By job: what a config must have for it, and which sections it reads.
JOBS = dict(
    train=(('model', *SPLITS['train']),  # which never builds what a test has
           tuple(name for name in SECTIONS if not name.startswith(('test_', 'tta_')))),
    test=(('model', *SPLITS['test']), (*RUNS, *SPLITS['test'], 'tta_pipeline')),
    infer=(('model', 'test_pipeline'), ('model', 'test_pipeline')),
    measure=(('model', ), ('model', 'test_dataloader')),
    data=((), LOADERS))
CLASSIFIER_JOBS = ('train', 'test')
NAMES_OF_KINDS = dict(number='a number', text='a text', other='a list or dict')
ALONE = ('model', 'data_preprocessor', 'tta_model', 'train_cfg', 'val_cfg', 'test_cfg', 'optim_wrapper', 'visualizer',
         'log_processor', 'model_wrapper_cfg')
TEXTS = ('work_dir', 'experiment_name')


def check_config(cfg: Config, job: str) -> None:
    """Checks all that can be seen of a config for a job without building anything.

    Args:
        cfg: The config.
        job: One of `JOBS`.

    Raises:
        InputError: A section is missing, names a class that is not registered, or gives one what it does not take.
    """
    needed, sections = JOBS[job]
    if job not in CLASSIFIER_JOBS and is_classifier(cfg):
        raise InputError(f'{file_of(cfg)}: its model is a classifier, ImageClassifier, which only tools/train.py and '
                         'tools/test.py take; give the config of a segmentor')
    for name in needed:
        if cfg.get(name) is None:
            raise InputError(f'{file_of(cfg)}: has no {name}; give a whole config, not one of its parts')
    if job in ('train', 'test'):
        for names in SPLITS.values():
            there = [name for name in names if cfg.get(name) is not None]
            if there and len(there) < len(names):
                missing = [name for name in names if name not in there]
                raise InputError(f'{file_of(cfg)}: has {", ".join(there)}, but no {", ".join(missing)}; add what is '
                                 'missing, or set the others to None')
    check_kinds(cfg)
    check_sections(cfg, sections)
    check_bands(cfg, sections)


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
            raise InputError(f'{file_of(cfg)}: {name} must be {wish}, got {shown_value(value)}')


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
            raise InputError(f'{file_of(cfg)}: {name} must be a text{" without /" * (name != TEXTS[0])}, got '
                             f'{shown_value(value)}')
        if name == 'compile' and not isinstance(value, (bool, dict)):
            raise InputError(f'{file_of(cfg)}: compile must be True, False or a dict, got {shown_value(value)}')
        for path, problem in problems(value, kind, name, scope):
            raise InputError(f'{file_of(cfg)}: {path}: {problem}')
        check_values(cfg, value, name, kind, scope)


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
            yield path, f'must be a dict with a type, got {shown_value(node)}'
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
            wish = 'a dict with a type' if isinstance(part, Built) else 'a dict'
            yield f'{path}.{name}', f'must be {wish}, got {shown_value(value)}'
        if part and isinstance(value, (dict, list, tuple)):
            yield from problems(value, part, f'{path}.{name}', scope)


def _hands_on_transforms(target: Any) -> bool:
    """Whether the transforms in a transform are of the same registry: Albu's are Albumentations'."""
    return getattr(target, '__module__', '').startswith(('mmcv.', 'mmengine.'))


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
            yield path, f'type must be a name, got {shown_value(name)}'
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
    if lacks_mmdet(target):
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
            yield f'{path}.{key}', f'must be {wish} for {label}, got {shown_value(value)}'
    missing = [one for one in taken.required if one not in keys | kind.given | kind.more]
    if missing and kind is not FUNCTION and not node.get('convert_to_iter_based'):
        yield path, f'{label} needs {", ".join(missing)}; give it a value'


def _scope(cfg: Config) -> str:
    """Returns the scope whose registries the config's names are of.

    Raises:
        InputError: There is no such scope.
    """
    scope = cfg.get('default_scope') or 'mmseg'
    if not isinstance(scope, str) or scope != 'mmengine' and registry_of('MODELS', scope).scope != scope:
        raise InputError(f'{file_of(cfg)}: default_scope={shown_value(scope)}: no such scope, or not installed; give '
                         "'mmseg'")
    return scope
