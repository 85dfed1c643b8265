"""Plans as YAML files, read and checked."""
import os
import re
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from ...errors import InputError, one_line, shown
from ...inference.precision import DTYPES
from ..configs.classes import did_you_mean
from .plan import WINDOWS, DataSet, Plan, Row, Run, Speed

NAME = re.compile(r'[A-Za-z0-9][\w.+-]*')  # they name folders
LARGEST = 1 << 20  # bytes of a plan
EXPONENT = re.compile(r'[-+]?[\d.]+[eE][-+]?\d+')  # a number to Python, of which YAML makes a text unless it is 1.0e-3


def read_plan(path: str | Path) -> Plan:
    """Reads a plan and checks it.

    Raises:
        InputError: It is no YAML file, holds an unknown key, a name twice, a value of the wrong kind, a file that is
            not there, or runs that wait for each other.
    """
    if not os.path.isfile(path):  # nor a pipe, which would be waited for
        raise InputError(f'{shown(str(path))}: no such plan; that of this project is benchmarks/laboratory/plan.yaml')
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f'it is larger than {LARGEST} bytes')
        content = yaml.load(path.read_text(encoding='utf-8'), _Loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f'{path}: cannot be read as a plan ({one_line(error)}); correct the file') from error
    top = _Section(path, content, 'the plan')
    top.know(['data', 'rows', 'seeds', 'amp', 'speed', 'per_class'])
    data = _by_name(path, 'data', [_data_set(one) for one in top.sections('data')])
    rows = _by_name(path, 'rows', [_row(one, data) for one in top.sections('rows')])
    speed = _Section(path, content.get('speed') or {}, 'speed')
    speed.know([one.name for one in fields(Speed)])
    usual = Speed()
    plan = Plan(
        str(path), data, rows, top.whole_numbers('seeds') or (0, 1), top.value('amp', bool, False),
        Speed(speed.value('images', int, usual.images, least=1), speed.value('warmup', int, usual.warmup),
              speed.texts('dtypes', tuple(DTYPES)) or usual.dtypes,
              speed.whole_numbers('threads', least=1) or usual.threads),
        top.texts('per_class', tuple(rows)), content)
    _check_sources(plan)
    groups = dict.fromkeys(row.group for row in rows.values())
    for section, row in zip(top.sections('rows'), rows.values(), strict=True):
        for group in row.beside:
            if group not in groups or group == row.group:
                raise section.error(f'beside must name other groups of the plan, which has {", ".join(groups)}; got '
                                    f'{shown(repr(group))}')
    return plan


class _Loader(yaml.SafeLoader):
    """YAML without a key twice, the first of which would be lost."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        for key, count in Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)).items():
            if count > 1:
                raise yaml.composer.ComposerError(None, None, f'{shown(key)} is there twice', node.start_mark)
        return node


class _Section:
    """A mapping in a plan, whose values are checked as they are taken."""

    def __init__(self, path: Path, content: Any, place: str):
        self.path, self.content, self.place = path, content, place
        if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
            raise self.error(f'must be keys and values, got {shown(repr(content))}')

    def error(self, problem: str) -> InputError:
        return InputError(f'{self.path}: {self.place} {problem}')

    def know(self, names: list[str]) -> None:
        for key in self.content:
            if key not in names:
                raise self.error(f'has no {shown(key)}; {did_you_mean(key, names)}')

    def sections(self, key: str) -> list['_Section']:
        found = self.content.get(key)
        if not isinstance(found, list) or not found:
            raise self.error(f'needs {key}, a list of one or more')
        return [_Section(self.path, one, f'{key}[{number}]') for number, one in enumerate(found)]

    def value(self, key: str, kind: type, default: Any = None, least: int = 0) -> Any:
        found = self.content.get(key, default)
        if found is default:
            return default
        names = {str: 'a text', bool: 'true or false', int: f'a whole number from {least} on', dict: 'settings'}
        if type(found) is not kind or kind is int and not least <= found < 1 << 31 or kind is str and not found:
            raise self.error(f'{key} must be {names[kind]}, got {shown(repr(found))}')
        return found

    def needed(self, key: str, kind: type) -> Any:
        if self.content.get(key) is None:
            raise self.error(f'has no {key}; give it one')
        return self.value(key, kind)

    def several(self, key: str) -> list:
        found = self.content.get(key)
        found = [] if found is None else found if isinstance(found, list) else [found]
        if len({repr(one) for one in found}) < len(found):
            raise self.error(f'{key} names one twice: {shown(repr(found))}')
        return found

    def texts(self, key: str, choices: tuple[str, ...] | None = None) -> tuple[str, ...]:
        found = self.several(key)
        for one in found:
            if not isinstance(one, str) or not one or choices is not None and one not in choices:
                wish = 'texts' if choices is None else f'of {", ".join(choices)}'
                raise self.error(f'{key} must be {wish}, got {shown(repr(one))}')
        return tuple(found)

    def whole_numbers(self, key: str, least: int = 0) -> tuple[int, ...]:
        found = self.several(key)
        for one in found:
            if type(one) is not int or not least <= one < 1 << 31:
                raise self.error(f'{key} must be whole numbers from {least} on, got {shown(repr(one))}')
        return tuple(found)

    def settings(self) -> dict[str, Any]:
        found = self.value('cfg_options', dict, {})
        try:
            self._check_setting('cfg_options', found)
        except RecursionError:
            raise self.error('cfg_options are nested too deep') from None
        return found

    def _check_setting(self, place: str, value: Any) -> None:
        if isinstance(value, (dict, list)):
            for key, one in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(value, dict) and not isinstance(key, str):
                    raise self.error(f'{place} must have texts as keys, got {shown(repr(key))}')
                self._check_setting(f'{place} {key}', one)
        elif isinstance(value, str) and EXPONENT.fullmatch(value):
            raise self.error(f'{place} is a text to YAML, {value!r}; give a number a point and a sign, as in 1.0e-3')
        elif value is not None and type(value) not in (bool, int, float, str):
            raise self.error(f'{place} must be a number, a text, a list or settings, got {shown(repr(value))}')

    def name(self) -> str:
        found = self.needed('name', str)
        if not NAME.fullmatch(found):
            raise self.error(f'name must be letters, digits, and . _ + - between them, got {shown(repr(found))}')
        self.place = f'{self.place} ({found})'
        return found


def _data_set(section: _Section) -> DataSet:
    section.know([one.name for one in fields(DataSet)])
    name, size = section.name(), section.content.get('image_size')
    sides = size if isinstance(size, list) else []
    if len(sides) != 2 or any(type(side) is not int or not 0 < side < 1 << 16 for side in sides):
        raise section.error(f'image_size must be [HEIGHT, WIDTH] in pixels, got {shown(repr(size))}')
    config = section.value('config', str)
    _check_file(section, 'config', config)
    return DataSet(name, tuple(size), config, section.value('title', str, name), section.settings())


def _row(section: _Section, data: dict[str, DataSet]) -> Row:
    section.know([one.name for one in fields(Row)])
    name, config = section.name(), section.needed('config', str)
    _check_file(section, 'config', config)
    teacher = section.texts('teacher')
    if len(teacher) > 2:
        raise section.error(f'teacher must be a run, or [CONFIG, RUN or CHECKPOINT], got {shown(repr(list(teacher)))}')
    group = section.value('group', str, 'architecture')
    if not NAME.fullmatch(group.replace(' ', '_')):
        raise section.error(f'group must be a name of letters and digits, got {shown(repr(group))}')
    return Row(name, config, section.value('title', str, name), group, section.texts('data', tuple(data)),
               section.whole_numbers('seeds'), section.settings(),
               section.value('warm_start', str), teacher, section.texts('scores', (WINDOWS,)), section.texts('beside'))


def _by_name(path: Path, key: str, found: list) -> dict[str, Any]:
    for what in ('name', 'title'):  # reports know rows by their titles
        for value, count in Counter(getattr(one, what) for one in found).items():
            if count > 1:
                raise InputError(f'{path}: {key} has {shown(value)} twice; give each a {what} of its own')
    return {one.name: one for one in found}


def _check_file(section: _Section, key: str, path: str | None) -> None:
    if path is not None and not os.path.isfile(path):
        raise section.error(f'{key}: {shown(path)}: no such file')


def _check_sources(plan: Plan) -> None:
    """Checks what runs begin from and are taught by: runs of the plan, none of which waits for itself, or files."""
    for run in plan.runs():
        row = plan.rows[run.row]
        place = f'{plan.path}: rows ({row.name})'
        for key, name in [('warm_start', row.warm_start)] * bool(row.warm_start) + [
                ('teacher', name) for name in row.teacher[-1:]]:
            if plan.named(name, run) is None and not os.path.isfile(name):
                raise InputError(f'{place} {key}: {shown(name)}: no run of this plan that {run} could wait for, and no '
                                 'file; give ROW, DATA/ROW, ROW/seedN, DATA/ROW/seedN or the path of a checkpoint')
        if row.teacher:
            _check_teacher(plan, row, plan.named(row.teacher[-1], run), place)
        _check_circle(plan, run, (run,))


def _check_teacher(plan: Plan, row: Row, taught_by: Run | None, place: str) -> None:
    if taught_by is None and len(row.teacher) == 1:
        raise InputError(f'{place} teacher: {shown(row.teacher[0])}: a checkpoint needs its config; give [CONFIG, '
                         'CHECKPOINT]')
    if len(row.teacher) == 2 and not os.path.isfile(row.teacher[0]):
        raise InputError(f'{place} teacher: {shown(row.teacher[0])}: no such config file')
    own = plan.rows[taught_by.row].config if taught_by else None
    if own is not None and len(row.teacher) == 2 and Path(own).resolve() != Path(row.teacher[0]).resolve():
        raise InputError(f'{place} teacher: the run {taught_by} is of {own}, not of {shown(row.teacher[0])}')


def _check_circle(plan: Plan, run: Run, before: tuple[Run, ...]) -> None:
    for needed in plan.needs(run):
        if needed in before:
            raise InputError(f'{plan.path}: runs wait for each other: '
                             f'{" needs ".join(map(str, (*before[before.index(needed):], needed)))}')
        _check_circle(plan, needed, (*before, needed))
