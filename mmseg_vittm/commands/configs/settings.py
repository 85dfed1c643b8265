"""Settings changed in a config: each must be one that something reads."""
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor

from ...errors import InputError, one_line, shown
from .checks import check_kinds, check_sections
from .classes import LIBRARIES, did_you_mean, find_class, has_own, nearest, registry_of, words_of
from .longer_lists import lengthen_lists
from .parts import arguments_of, class_of, has_own_constructor, is_own
from .sections import SECTIONS, Built, Keys, items_of, kind_of, part_of

MERGING = ('_delete_', '_scope_')  # what mmengine takes out of any dict
PARAMWISE = ('custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult',
             'dwconv_decay_mult', 'dcn_offset_lr_mult', 'bypass_duplicate')
NONE = object()


def change_settings(cfg: Config, settings: dict[str, Any]) -> None:
    """Changes settings of a config that has been read.

    A variable of the config's file, such as `train_pipeline`, is not what is read once the file has been: what was made
    of it is. A pipeline, and anything else with a `type`, is changed there too, and so is the data root of the datasets
    that have it. `total_batch_size` is the batch of `train_dataloader` too.

    Args:
        cfg: The config.
        settings: Values by dotted name, such as `{'train_cfg.max_iters': 1000, 'param_scheduler.0.end': 1000}`.

    Raises:
        InputError: There is no place for a setting, or neither the config nor the class that it is for knows it, or
            nothing reads it.
    """
    file = str(cfg.filename or 'the config')
    scope = cfg.get('default_scope') or 'mmseg'
    every = {}
    for name, value in settings.items():
        every[name] = value
        section, _, rest = name.partition('.')
        if not _is_read(section):
            every.update({'.'.join(filter(None, (place, rest))): value
                          for place in _made_of(cfg, section, rest, file)})
    before = cfg.copy()
    lengthen_lists(cfg, every)
    try:
        cfg.merge_from_dict(every)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        said = shown(', '.join(f'{name}={value}' for name, value in settings.items()))
        raise InputError(f'{file}: has no place for the settings {said} ({one_line(error)})') from error
    for name, value in every.items():
        for one in _flat(name, value):
            _check_known(before, cfg, one, file, scope)
    check_kinds(cfg)
    check_sections(cfg, tuple(dict.fromkeys(name.split('.')[0] for name in every if _is_read(name.split('.')[0]))))
    if 'total_batch_size' in settings:
        if not isinstance(cfg.get('train_dataloader'), dict):
            raise InputError(f'{file}: has no place for the settings total_batch_size={cfg.total_batch_size}: it has '
                             'no train_dataloader')
        if cfg.total_batch_size is not None:
            cfg.train_dataloader.batch_size = cfg.total_batch_size
    if 'data_preprocessor' in {name.split('.')[0] for name in settings} and (cfg.get('model') or {}).get(
            'data_preprocessor') is not None:
        raise InputError(f'{file}: data_preprocessor is not read, since the model has its own; set '
                         'model.data_preprocessor instead')


def misspelt_sections(cfg: Config) -> Iterator[str]:
    """Yields a sentence per section of a config that nothing reads, and whose name is nearly one that is read."""
    for name, value in items_of(cfg._cfg_dict):
        if _is_read(name) or not isinstance(value, dict) or not value:
            continue
        meant = nearest(name, [section for section in SECTIONS if section not in cfg or section == name], 0.88)
        meant = meant or nearest(name, SECTIONS, 0.92)
        if meant and not any(_places(cfg, name, value)):
            yield f'{cfg.filename}: nothing reads {name}; did you mean {meant}?'


def _is_read(section: str) -> bool:
    return section in SECTIONS and section != 'test_pipeline'  # only tools/infer.py reads that, which has no settings


def _made_of(cfg: Config, section: str, rest: str, file: str) -> list[str]:
    """Returns what else must change with a variable of the config's file.

    Raises:
        InputError: It is no variable, or what was made of it cannot be known. Where there is code of a user's own,
            which may read it, that is a warning, unless more than a number or text was made of it.
    """
    if section not in cfg:
        name = '.'.join(filter(None, (section, rest)))
        raise InputError(f'{file}: there is no setting {shown(name)}: neither the config nor what it configures knows '
                         f'{shown(section)}; {_meant(cfg, section, rest)}')
    own = cfg[section]
    if section == 'data_root' and not rest:
        places = [f'{place}.data_root' for place in _places(cfg, section, own, 'data_root')]
    else:
        places = list(_places(cfg, section, own))
    if places and (section == 'data_root' or _has_type(own)):
        MMLogger.get_current_instance().info(f'{section} is a variable of the config: set in {", ".join(places)} too')
        return places
    if not isinstance(own, (dict, list, tuple)):  # others may be equal to a number or a text by chance
        places = []
    if not places and _has_own_code(cfg):
        MMLogger.get_current_instance().warning(f'{section} is a variable of {file}: only code of your own can read it')
        return []
    where = f'; what was made of it is {", ".join(places[:4])}{", ..." * (len(places) > 4)}' if places else ''
    raise InputError(f'{file}: nothing reads {shown(section)}: it is a variable of that file, and changing it now '
                     f'changes nothing{where}; set what is read instead, or change the file')


def _has_own_code(cfg: Config) -> bool:
    """Whether a config brings code of a user's own."""
    imports = (cfg.get('custom_imports') or {}).get('imports') or ()
    modules = [cfg.get('default_scope'), *([imports] if isinstance(imports, str) else imports)]
    return any(str(module).split('.')[0] not in LIBRARIES for module in modules) or any(
        has_own(cfg[name]) for name in cfg if _is_read(name))


def _places(cfg: Config, section: str, value: Any, key: str | None = None) -> Iterator[str]:
    """Yields where a config's sections hold the value of a variable; with a key, the dicts that have it by that."""
    def walk(node: Any, path: str) -> Iterator[str]:
        if key is not None and isinstance(node, dict) and node.get(key, NONE) == value:
            yield path
        elif key is None and type(node) is type(value) and node == value:
            yield path
            return
        if isinstance(node, dict):
            for name, part in items_of(node):
                yield from walk(part, f'{path}.{name}')
        elif isinstance(node, (list, tuple)):
            for number, part in enumerate(node):
                yield from walk(part, f'{path}.{number}')
    for name in cfg:
        if name != section and _is_read(name):
            yield from walk(cfg[name], name)


def _has_type(node: Any) -> bool:
    return isinstance(node, dict) and 'type' in node or (
        isinstance(node, (list, tuple)) and bool(node) and all(map(_has_type, node)))


def _meant(cfg: Config, section: str, rest: str) -> str:
    """Returns which setting a name that nothing knows was meant to be."""
    found = None if rest else nearest(section, SECTIONS, 0.75)
    if found is None:
        ends = sorted((path for path in _paths(cfg) if f'.{path}'.endswith(f'.{section}')), key=lambda path: (
            path.count('.'), path.split('.')[0] not in ('train_cfg', 'train_dataloader', 'optim_wrapper'), path))
        found = '.'.join(filter(None, (ends[0], rest))) if ends else nearest(section, SECTIONS, 0.7)
    return f'did you mean {found}?' if found else 'correct its name'


def _paths(cfg: Config) -> Iterator[str]:
    """Yields the dotted names of all that a config's sections hold or take."""
    def walk(node: Any, kind: Any, path: str) -> Iterator[str]:
        kind = kind_of(kind, node)
        names = set(kind.names) if isinstance(kind, Keys) else set()
        if isinstance(node, dict):
            for name, part in items_of(node):
                names.discard(name)
                yield f'{path}.{name}'
                yield from walk(part, part_of(kind, str(name)), f'{path}.{name}')
        elif isinstance(node, (list, tuple)):
            for number, part in enumerate(node):
                yield from walk(part, kind, f'{path}.{number}')
        yield from (f'{path}.{name}' for name in names)
    for name, kind in SECTIONS.items():
        yield from walk(cfg.get(name), kind, name)


def _flat(name: str, value: Any) -> Iterator[str]:
    """Yields the dotted names that a setting sets: of a dict, those in it."""
    if isinstance(value, dict) and value:
        for key, part in items_of(value):
            yield from _flat(f'{name}.{key}', part)
    else:
        yield name


def _check_known(before: Config, cfg: Config, name: str, file: str, scope: str) -> None:
    """Checks that the config, or the class that a setting configures, knows it.

    Args:
        before: The config without the settings.
        cfg: The config with them.
        name: The setting.
        file: The config's file.
        scope: Whose registries build it.

    Raises:
        InputError: None of them does; says which name is nearest.
    """
    keys = name.split('.')
    old, node, kind, reader = before._cfg_dict, cfg._cfg_dict, Keys(SECTIONS, any=None), None
    for depth, key in enumerate(keys):
        path = '.'.join(keys[:depth])
        if isinstance(node, (list, tuple)):
            old = old[int(key)] if isinstance(old, (list, tuple)) and key.isdigit() and int(key) < len(old) else NONE
            node = node[int(key)]  # the merge has found it
            kind = kind_of(kind, node)
            continue
        if not isinstance(node, dict) or key in MERGING:
            return
        kind = kind_of(kind, node)
        there = isinstance(old, dict) and key in old
        if not there and depth:
            known = _known_keys(node, kind, reader, keys[:depth], scope)
            names = known.names | ({one for one, _ in items_of(old)} if isinstance(old, dict) else set())
            given = node.get(key)
            is_new = isinstance(given, dict) and 'type' in given  # with a name of its own
            is_own_dict = isinstance(kind, Built) and is_own(node, kind, scope)
            certain = known.certain or not (is_new or is_own_dict) and _nearly(key, names)
            if key not in names and key not in known.words and certain:
                raise InputError(f'{file}: there is no setting {shown(name)}: neither {known.label or path} nor the '
                                 f'config knows {shown(key)}; {did_you_mean(key, names)}')
        if isinstance(kind, Built) and is_own(node, kind, scope):
            return
        reader = (class_of(node, kind, scope), key) if isinstance(kind, Built) else (reader and (reader[0], key))
        kind = part_of(kind, key)
        old = old[key] if there else NONE
        node = dict.get(node, key)


class _Known:
    """What a dict may hold: names, words that its reader's source has, whether that is all, and who says so."""

    def __init__(self, names=(), words=(), certain: bool = False, label: str = ''):
        self.names, self.words, self.certain, self.label = set(names), words, certain, label


def _known_keys(node: dict, kind: Any, reader: tuple | None, path: list[str], scope: str) -> _Known:
    """Returns what a dict at a place may hold."""
    if isinstance(kind, Built):
        target = class_of(node, kind, scope)
        if target is None:
            return _Known()  # check_sections says that
        taken = arguments_of(target, node, scope)
        is_free = taken.open or has_own_constructor(node, kind, scope) or taken.ignores and is_own(node, kind, scope)
        return _Known(taken.names | kind.more | {'type'}, (), not is_free,
                      getattr(target, '__name__', str(target)))
    if isinstance(kind, Keys):
        return _Known(kind.names, (), kind.any is False)
    section, key = path[0], path[-1]
    if section == 'optim_wrapper' and key == 'custom_keys':
        return _Known()
    if section == 'optim_wrapper' and 'paramwise_cfg' in path:
        names = PARAMWISE if key == 'paramwise_cfg' else ('lr_mult', 'decay_mult')
        return _Known(names, _words_of_constructors(scope), True)
    if section == 'optim_wrapper' and key == 'clip_grad':
        clip = torch.nn.utils.clip_grad_value_ if node.get('type') == 'value' else torch.nn.utils.clip_grad_norm_
        return _Known({'type', *inspect.signature(clip).parameters} - {'parameters'}, (), True, clip.__name__)
    if reader is None or reader[0] is None:
        return _Known()
    words = words_of(reader[0])
    label = getattr(reader[0], '__name__', '')
    if key == 'metainfo':
        return _Known(('classes', 'palette'), words)
    if key == 'data_prefix':
        return _Known(('img_path', 'seg_map_path'), words, True, label)
    if section in ('model', 'tta_model') and key in ('train_cfg', 'test_cfg'):
        names = ('size', 'size_divisor') if 'data_preprocessor' in path else ('mode', 'crop_size', 'stride')
        return _Known(names, words, True, label)
    if 'type' in node and isinstance(node['type'], str):
        target = find_class(registry_of('MODELS', scope), node['type'])
        if target is not None and section in ('model', 'tta_model'):  # norm_cfg, act_cfg, conv_cfg, ...
            taken = arguments_of(target, node, scope)
            return _Known(taken.names | {'type', 'requires_grad', 'layer'}, (), False, label)
    return _Known(words=words, label=label)


def _words_of_constructors(scope: str) -> frozenset[str]:
    """Returns the words of what reads `paramwise_cfg`."""
    registry = registry_of('OPTIM_WRAPPER_CONSTRUCTORS', scope)
    return words_of(DefaultOptimWrapperConstructor).union(*map(words_of, registry.module_dict.values()))


def _nearly(key: str, names: set[str]) -> bool:
    """Whether a key is another one mistyped, beyond much doubt."""
    return nearest(str(key), map(str, names), 0.8) is not None
