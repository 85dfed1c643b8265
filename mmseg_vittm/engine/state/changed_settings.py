"""What differs between a run and the checkpoint that it goes on from, and which of both counts."""
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...errors import CheckpointError, shown
from .saved_settings import TOTAL_BATCH

MOST = 30  # differences that are named one by one
# By which of both a resumed run goes on, by experiment (tests/engine/test_changed_settings.py): what is part of the
# optimizer's state, of its schedulers' or of the sampler's is the checkpoint's; all else is the config's.
OPTIMIZER = r'optim_wrapper(\.\w+)?\.optimizer'
FROM_CHECKPOINT = re.compile(rf'{OPTIMIZER}(\..*)?|optim_wrapper(\.\w+)?\.(paramwise_cfg(\..*)?|constructor)|'
                             r'param_scheduler\b.*|auto_scale_lr\b.*|randomness\.seed|model\.(.*\.)?(init_cfg|pretrained)(\..*)?')
# Under these the checkpoint's state belongs to something else.
IMPOSSIBLE = re.compile(rf'{OPTIMIZER}\.type|param_scheduler(\.\w+)?(\[\d+\]\.type)?|train_cfg\.type|'
                        r'distillation\.(features(\.(student|teacher))?|teacher\.sha256)')
ABSENT = 'not set'


@dataclass(frozen=True)
class Difference:
    """A setting that differs.

    Attributes:
        keys: Where it is, keys of dicts and numbers in lists.
        name: The same as one writes it, such as `param_scheduler[0].end`.
        old: Its value in the checkpoint; None where it is not set.
        new: Its value in this run; None where it is not set.
    """
    keys: tuple[str | int, ...]
    name: str
    old: Any
    new: Any

    @property
    def old_counts(self) -> bool:
        """Whether the checkpoint's value counts."""
        return FROM_CHECKPOINT.fullmatch(self.name) is not None

    @property
    def is_impossible(self) -> bool:
        """Whether no run can go on under it."""
        if self.name.endswith('paramwise_cfg'):  # one group of parameters, or one for each
            return bool(self.old) != bool(self.new)
        return IMPOSSIBLE.fullmatch(self.name) is not None

    def __str__(self) -> str:
        return f'{shown(self.name)} was {_shown(self.old)}, is {_shown(self.new)}'


def differences(old: Any, new: Any, keys: tuple[str | int, ...] = (), name: str = '') -> Iterator[Difference]:
    """Yields what differs between two settings, of `settings_of`: the innermost ones, and a changed `type` alone.

    Args:
        old: Of the checkpoint.
        new: Of this run.
        keys: Where they are in the whole.
        name: The same as one writes it.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        if old.get('type') != new.get('type') and name not in ('', 'optim_wrapper'):  # the rest says nothing then
            old, new = {'type': old.get('type')}, {'type': new.get('type')}
        for key in dict.fromkeys([*old, *new]):
            yield from differences(old.get(key), new.get(key), (*keys, key), f'{name}.{key}'.removeprefix('.'))
    elif name == 'custom_hooks' and isinstance(old or [], list) and isinstance(new or [], list):
        yield from _of_hooks(old or [], new or [])
    elif isinstance(old, list) and isinstance(new, list) and _types(old) is not None and _types(old) == _types(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, (*keys, number), f'{name}[{number}]')
    elif _is_section(old, name) and new is None or _is_section(new, name) and old is None:
        yield from differences(old or {}, new or {}, keys, name)
    elif old != new and not _both_nan(old, new):
        yield Difference(keys, name, old, new)


def compare(old: dict[str, Any], new: dict[str, Any], path: str) -> list[Difference]:
    """Returns what differs between the settings of a checkpoint and of the run that goes on from it.

    Args:
        old: Of the checkpoint.
        new: Of this run.
        path: The checkpoint, for the error.

    Raises:
        CheckpointError: A run under these settings cannot go on from it; names them and the remedy.
    """
    if TOTAL_BATCH not in old:  # of mmengine's, where the number of processes is not known
        new = {name: value for name, value in new.items() if name != TOTAL_BATCH}
    _check_teachers(old.get('distillation'), new.get('distillation'), path)
    found = [one for one in differences(old, new) if not _says_nothing(one)]
    impossible = [str(one) for one in found if one.is_impossible]
    if impossible:
        raise CheckpointError(f'{path} cannot be resumed from under these settings: {"; ".join(impossible[:5])}; give '
                              'those of that run, or begin a new one from its weights: load_from=PATH without '
                              'resume=True')
    return found


def _check_teachers(old: dict | None, new: dict | None, path: str) -> None:
    """Checks that both runs have a teacher, or none.

    Raises:
        CheckpointError: One has; says how to go on.
    """
    if bool(old) == bool(new):
        return
    anew = 'or begin a new run from its weights: load_from=PATH without resume=True'
    if new:
        raise CheckpointError(f'{path}: its run had no teacher, and this one has; leave the teacher out, {anew}')
    teacher = old.get('teacher') if isinstance(old, dict) else None
    files = [shown((teacher if isinstance(teacher, dict) else {}).get(name)) for name in ('config', 'checkpoint')]
    raise CheckpointError(f'{path}: its run had a teacher, and this one has none; give it, teacher=CONFIG CHECKPOINT '
                          f'(they were {files[0]} and {files[1]}), {anew}')


def describe(found: list[Difference]) -> Iterator[str]:
    """Yields a line for each difference, which says which of both values counts."""
    for one in found[:MOST]:
        yield f'Changed since the checkpoint: {one}; the ' \
              f'{"value of the checkpoint" if one.old_counts else "new value"} counts'
    if len(found) > MOST:
        yield f'Changed since the checkpoint: {len(found) - MOST} more settings'
    if any(one.old_counts for one in found):
        yield ('To train under the new values of those settings, begin a new run from the weights of the checkpoint: '
               'load_from without resume=True')


def in_effect(new: dict[str, Any], found: list[Difference]) -> dict[str, Any]:
    """Returns the settings that a resumed run trains under: those of its config, but for what the checkpoint decides.

    Args:
        new: The settings of its config; they stay as they are.
        found: What differs, of `compare`.
    """
    for one in found:
        if one.old_counts:
            new = _with(new, one.keys, one.old)
    return new


def _with(settings: Any, keys: tuple[str | int, ...], value: Any) -> Any:
    if not keys:
        return value
    key, *others = keys
    if isinstance(key, int):
        return [_with(item, tuple(others), value) if number == key else item for number, item in enumerate(settings)]
    settings = dict(settings or {})
    settings[key] = _with(settings.get(key), tuple(others), value)
    return settings


def _says_nothing(one: Difference) -> bool:
    """Whether it is the first weights, which the checkpoint's replace, and the run asks for no others.

    Or where the files of a teacher are, whose weights are compared.
    """
    if one.name in ('distillation.teacher.config', 'distillation.teacher.checkpoint'):
        return True
    return bool(re.search(r'(^|\.)(init_cfg|pretrained)\b', one.name)) and one.new is None


def _of_hooks(old: list, new: list) -> Iterator[Difference]:
    old, new = _by_type(old), _by_type(new)
    for name in dict.fromkeys([*old, *new]):
        yield from differences(old.get(name), new.get(name), ('custom_hooks', name), f'custom_hooks.{name}')


def _by_type(hooks: list) -> dict[str, Any]:
    seen, named = Counter(), {}
    for hook in hooks:
        kind = str(hook.get('type')) if isinstance(hook, dict) else str(hook)
        seen[kind] += 1
        named[kind if seen[kind] == 1 else f'{kind}[{seen[kind]}]'] = hook
    return named


def _types(items: list) -> list | None:
    """Returns the types of a list of things to build, None for a list of anything else."""
    types = [item.get('type') if isinstance(item, dict) else None for item in items]
    return None if None in types else types


def _is_section(value: Any, name: str) -> bool:
    """Whether a dict's settings speak for themselves where the other side has no such dict."""
    return isinstance(value, dict) and 'type' not in value and not name.endswith('paramwise_cfg')


def _both_nan(old: Any, new: Any) -> bool:
    return isinstance(old, float) and isinstance(new, float) and math.isnan(old) and math.isnan(new)


def _shown(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, list) and value and _types(value) is not None:
        return shown(f'[{", ".join(map(str, _types(value)))}]')
    return shown(value if isinstance(value, str) else repr(value)) or "''"
