"""Parts of a config that stand for something: the class, whose it is, and which arguments it takes."""
import importlib.util
import inspect
from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.runner import Runner

from ...errors import shown
from .classes import Accepts, accepts, find_class, of_library, registry_of
from .sections import SECTIONS, Built


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
    if lacks_mmdet(target):
        return Accepts(taken.names, open=True)
    if isinstance(target, type) and issubclass(target, EMAHook):
        average = find_class(registry_of('MODELS', scope), node.get('ema_type', 'ExponentialMovingAverage'))
        more = accepts(average) if average else Accepts(frozenset(), open=True)
    elif isinstance(target, type) and issubclass(target, CheckpointHook):
        more = accepts(Runner.save_checkpoint)
    else:
        return taken
    return Accepts(taken.names | more.names, taken.required, more.open)


def lacks_mmdet(target: Any) -> bool:
    """Whether a class is a stand-in of MMSegmentation for one of MMDetection, where that is not installed."""
    if not getattr(target, '__module__', '').startswith('mmseg.') or importlib.util.find_spec('mmdet') is not None:
        return False
    return 'from mmdet' in inspect.getsource(inspect.getmodule(target))


def file_of(cfg: Config) -> str:
    """Returns what errors call a config: its file."""
    return str(cfg.filename or 'the config')


def shown_value(value: Any) -> str:
    """Returns a value of a config as errors show it."""
    return shown(repr(value))
