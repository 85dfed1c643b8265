"""The classes that a config names: found in their registries, and asked which arguments they take."""
import ast
import collections.abc
import contextlib
import difflib
import functools
import importlib
import inspect
import numbers
import re
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import mmengine.registry
from mmengine.config import Config, ConfigDict
from mmengine.registry import Registry
from mmengine.utils import ManagerMixin

# Whose classes are known: what they take, and that nothing else happens where they are built.
LIBRARIES = {'cv2', 'mmcv', 'mmdet', 'mmengine', 'mmpretrain', 'mmseg', 'mmseg_vittm', 'numpy', 'timm', 'torch',
             'torchvision', *sys.stdlib_module_names}
REGISTRIES = ('MODELS', 'TASK_UTILS', 'WEIGHT_INITIALIZERS', 'DATASETS', 'TRANSFORMS', 'OPTIMIZERS', 'OPTIM_WRAPPERS',
              'OPTIM_WRAPPER_CONSTRUCTORS', 'PARAM_SCHEDULERS', 'DATA_SAMPLERS', 'FUNCTIONS', 'METRICS', 'EVALUATOR',
              'HOOKS', 'LOOPS', 'VISUALIZERS', 'VISBACKENDS', 'LOG_PROCESSORS')


class Accepts(NamedTuple):
    """Which arguments a class or function takes.

    Attributes:
        names: Their names.
        required: Those without a default.
        open: Whether it may take others too, since it hands `**kwargs` on to where this cannot be seen.
        ignores: Whether others are ignored: it takes `**kwargs`, and does nothing with them.
    """
    names: frozenset[str]
    required: tuple[str, ...] = ()
    open: bool = False
    ignores: bool = False


def registry_of(name: str, scope: str) -> Registry:
    """Returns mmengine's registry of a name such as `'MODELS'`, or its child of a scope such as `'mmseg'`."""
    root = getattr(mmengine.registry, name)
    if scope not in root.children and scope != root.scope:
        with contextlib.suppress(ImportError):  # then mmengine takes its own classes too
            importlib.import_module(f'{scope}.registry')
    return root.children.get(scope, root)


def find_class(registry: Registry, kind: Any) -> Callable | None:
    """Returns what a config's `type` stands for; None where it is not registered."""
    if not isinstance(kind, str):
        return kind if callable(kind) else None
    try:
        return registry.get(kind)
    except Exception:  # it imports `mmdet` for 'mmdet.Name', and this file's own name for 'a/b'
        return None


def of_library(target: Any) -> bool:
    """Whether a class or function is one of a known library, and not of a user's own."""
    return (getattr(target, '__module__', None) or '').split('.')[0] in LIBRARIES


def has_own(node: Any, without: str | None = None) -> bool:
    """Whether a part of a config may name a class of a user's own: one of that name is in a registry.

    Args:
        node: The part.
        without: A key whose value is not looked at.
    """
    if isinstance(node, (list, tuple)):
        return any(has_own(one, without) for one in node)
    if not isinstance(node, dict):
        return callable(node) and not of_library(node)
    items = list(ConfigDict.items(node) if isinstance(node, ConfigDict) else node.items())
    return any(key in ('type', 'constructor') and isinstance(value, str) and not all(map(of_library, _named(value)))
               or has_own(value, without) for key, value in items if key != without)


def _named(name: str) -> Iterator[Any]:
    """Yields all that is registered by a name, in whichever scope."""
    name = name.rpartition('.')[2]
    for root in (getattr(mmengine.registry, registry) for registry in REGISTRIES):
        for registry in (root, *root.children.values()):
            if name in registry.module_dict:
                yield registry.module_dict[name]


def registered_names(registry: Registry) -> list[str]:
    """Returns all names that a registry finds."""
    names = set()
    while registry is not None:
        registry.import_from_location()
        names.update(registry.module_dict)
        registry = registry.parent
    return sorted(names)


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Returns the name that a mistyped one was meant to be; None where none is near."""
    plain = {_plain(known): known for known in sorted(names, reverse=True)}
    found = difflib.get_close_matches(_plain(name), plain, 1, cutoff)
    return plain[found[0]] if found else None


def _plain(name: str) -> str:
    return name.lower().replace('_', '').replace('-', '')


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Returns a question after the name that a mistyped one was meant to be, or the names where they are few."""
    names = sorted(names)
    found = nearest(name, names)
    if found:
        return f'did you mean {found}?'
    return f'it takes {", ".join(names)}' if 0 < len(names) <= 40 else 'correct its name'


@functools.cache
def accepts(target: Callable) -> Accepts:
    """Returns which arguments a class or function takes, those that it hands on to its base classes too."""
    if not inspect.isclass(target):
        return _of_function(target)
    names, required, given = set(), [], set()
    if issubclass(target, ManagerMixin):
        names.add('name')
    for owner in target.__mro__:
        init = vars(owner).get('__init__')
        if init is None:
            continue
        if owner is object:
            return Accepts(frozenset(names), tuple(required))
        own = _of_function(init, skip=1)
        names |= own.names - given
        required += [name for name in own.required if name not in given and not required]
        variable = _variable_keywords(init)
        if hasattr(init, '__wrapped__'):  # the wrapper may take more, such as older names
            return Accepts(frozenset(names), tuple(required), open=True)
        if variable is None:
            return Accepts(frozenset(names), tuple(required))
        found = _handed_on(init, variable, owner.__name__)
        if found is None:
            return Accepts(frozenset(names), tuple(required), open=True)
        words, keywords = found
        names |= words
        if keywords is None:
            return Accepts(frozenset(names), tuple(required), ignores=True)
        given |= keywords - own.names
    return Accepts(frozenset(names), tuple(required), open=True)


@functools.cache
def takes_kinds(target: Callable) -> dict[str, frozenset[str]]:
    """Returns which of `'number'`, `'text'` and `'other'` the arguments of a class may be, as far as it says so."""
    found, seen = {}, set()
    for owner in target.__mro__ if inspect.isclass(target) else (target, ):
        init = vars(owner).get('__init__') if inspect.isclass(owner) else owner
        if init is None or owner is object:
            continue
        try:
            hints, parameters = typing.get_type_hints(init), inspect.signature(init).parameters
        except Exception:  # it evaluates annotations, whose names need not be there
            return found
        for name, hint in hints.items():
            kinds = _kinds(hint)
            default = parameters[name].default if name in parameters else None
            keeps = default is None or default is inspect.Parameter.empty or kind_of_value(default) in (kinds or ())
            if name not in seen and kinds is not None and keeps:
                found[name] = kinds
        seen.update(parameters)
    return found


def _kinds(hint: Any) -> frozenset[str] | None:
    """Returns the kinds of an annotation; None where it says too little."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = [_kinds(part) for part in typing.get_args(hint) if part is not type(None)]
        return None if None in parts else frozenset().union(*parts)
    origin = typing.get_origin(hint) or hint
    if origin in (int, float, bool):
        return frozenset(['number'])
    if origin is str:
        return frozenset(['text'])
    if origin in (dict, collections.abc.Mapping, ConfigDict, Config):
        return frozenset(['other'])
    if origin in (list, tuple, set, collections.abc.Sequence):  # of texts, one alone often does
        parts = {_kinds(part) for part in typing.get_args(hint) if part is not Ellipsis}
        return frozenset(['other']) if parts and parts <= {frozenset(['number']), frozenset(['other'])} else None
    return None


def kind_of_value(value: Any) -> str:
    """Returns which of `'number'`, `'text'` and `'other'` a value is."""
    return 'number' if isinstance(value, numbers.Number) else 'text' if isinstance(value, str) else 'other'


@functools.cache
def words_of(target: Callable) -> frozenset[str]:
    """Returns the words in the files of a class and its bases: what it reads out of a dict by name is among them."""
    words = set()
    for owner in target.__mro__ if inspect.isclass(target) else (target, ):
        if owner.__module__.split('.')[0] in ('builtins', 'torch'):
            continue
        try:
            words.update(re.findall(r'\w+', inspect.getsource(inspect.getmodule(owner))))
        except (OSError, TypeError):
            continue
    return frozenset(words)


def _of_function(function: Callable, skip: int = 0) -> Accepts:
    try:
        parameters = list(inspect.signature(function).parameters.values())[skip:]
    except (TypeError, ValueError):  # written in C
        return Accepts(frozenset(), open=True)
    named = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    return Accepts(frozenset(one.name for one in named), tuple(one.name for one in named if one.default is one.empty),
                   any(one.kind is one.VAR_KEYWORD for one in parameters))


def _variable_keywords(function: Callable) -> str | None:
    """Returns the name of a function's `**kwargs`."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 'kwargs'
    return next((one.name for one in parameters if one.kind is one.VAR_KEYWORD), None)


def _handed_on(init: Callable, variable: str, owner: str) -> tuple[set[str], set[str] | None] | None:
    """Looks how a constructor uses its `**kwargs`.

    Args:
        init: The constructor.
        variable: Their name.
        owner: The name of its class.

    Returns:
        The names that it takes out of them, and those that it gives `super().__init__` beside them, None where that
        gets none of them; None where they go anywhere else.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(init))))
    except (OSError, SyntaxError, TypeError):
        return None
    words, keywords, seen, elsewhere = set(), None, set(), False
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and any(not one.arg and _is(one.value, variable) for one in node.keywords):
            seen.update(id(one.value) for one in node.keywords if not one.arg)
            if _is_super_init(node.func, owner):
                keywords = {one.arg for one in node.keywords if one.arg} | (keywords or set())
            else:
                elsewhere = True
            continue
        word = _word_read(node, variable)
        if word is not None:
            words.add(word[0])
            seen.add(id(word[1]))
    if any(_is(node, variable) and id(node) not in seen for node in ast.walk(tree)):
        return None
    # Beside `super().__init__(**kwargs)`, which must take them all, other calls only narrow them.
    return None if elsewhere and keywords is None else (words, keywords)


def _word_read(node: ast.AST, variable: str) -> tuple[str, ast.AST] | None:
    """Returns the name that a node reads out of a dict, and where it names the dict: `d.get('a')`, `d['a']`."""
    if (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args
            and node.func.attr in ('get', 'pop', 'setdefault')):
        place, word = node.func.value, node.args[0]
    elif isinstance(node, ast.Subscript):
        place, word = node.value, node.slice
    elif isinstance(node, ast.Compare) and len(node.comparators) == 1:
        place, word = node.comparators[0], node.left
    else:
        return None
    return (str(word.value), place) if _is(place, variable) and isinstance(word, ast.Constant) else None


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_super_init(node: ast.AST, owner: str) -> bool:
    """Whether a node is the constructor of the next class, and not, as by `super(Parent, self)`, of a later one."""
    return (isinstance(node, ast.Attribute) and node.attr == '__init__' and isinstance(node.value, ast.Call)
            and _is(node.value.func, 'super') and (not node.value.args or _is(node.value.args[0], owner)))
