"""What a config's section `distillation` says, checked."""
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ...errors import InputError, shown

DTYPES = ('bf16', 'fp16', 'fp32')
SECTION = 'distillation'


@dataclass(frozen=True)
class TeacherOptions:
    """Who teaches.

    Attributes:
        config: Config of the teacher.
        checkpoint: Its trained weights, a whole model's.
        dtype: What it computes in, one of `DTYPES`.
        sha256: Of its weights, as `Teacher.sha256` computes it: another teacher is then refused. None takes any.
    """
    config: str
    checkpoint: str
    dtype: str = 'fp32'
    sha256: str | None = None


@dataclass(frozen=True)
class LogitOptions:
    """How its logits teach.

    Attributes:
        weight: Of the loss; 0 leaves it out.
        temperature: Both sides' logits are divided by it.
    """
    weight: float = 1.0
    temperature: float = 2.0


@dataclass(frozen=True)
class FeatureOptions:
    """How a map of its backbone teaches.

    Attributes:
        weight: Of the loss.
        student: Which output of the student's backbone; -1 is the last.
        teacher: Which output of the teacher's.
    """
    weight: float = 1.0
    student: int = -1
    teacher: int = -1


@dataclass(frozen=True)
class DistillationOptions:
    """The section as a whole.

    Attributes:
        teacher: Who teaches.
        logits: How its logits do.
        features: How its features do; None: they do not.
        ignore_void: Whether pixels without a label teach nothing either.
    """
    teacher: TeacherOptions
    logits: LogitOptions = field(default_factory=LogitOptions)
    features: FeatureOptions | None = None
    ignore_void: bool = False

    @classmethod
    def of(cls, section: dict[str, Any]) -> 'DistillationOptions':
        """Returns the options of a config's section.

        Raises:
            InputError: There is no teacher, an option is unknown or has a value that it cannot have.
        """
        given = _known(cls, section, SECTION)
        teacher = _known(TeacherOptions, given.get('teacher') or {}, f'{SECTION}.teacher')
        missing = [name for name in ('config', 'checkpoint') if not teacher.get(name)]
        if missing:
            raise InputError(f'{SECTION}: there is no {" and no ".join(missing)} of a teacher; give '
                             'teacher=CONFIG CHECKPOINT')
        options = cls(TeacherOptions(**teacher), **_part(LogitOptions, given, 'logits'),
                      **_part(FeatureOptions, given, 'features'), ignore_void=given.get('ignore_void', False))
        options._check()
        return options

    def settings(self) -> dict[str, Any]:
        """Returns the options as plain dicts; a `type` marks what is there as a whole or not at all."""
        plain = asdict(self)
        if self.features is not None:
            plain['features'] = dict(type='features', **plain['features'])
        return dict(type=SECTION, **plain)

    def _check(self) -> None:
        teacher, logits, features = self.teacher, self.logits, self.features
        for name in ('config', 'checkpoint', 'sha256'):
            value = getattr(teacher, name)
            if not isinstance(value, str) and (name != 'sha256' or value is not None):
                raise _wrong(f'teacher.{name}', 'a text', value)
        if teacher.dtype not in DTYPES:
            raise _wrong('teacher.dtype', f'one of {", ".join(DTYPES)}', teacher.dtype)
        _check_number('logits.weight', logits.weight)
        _check_number('logits.temperature', logits.temperature, above=True)
        if not isinstance(self.ignore_void, bool):
            raise _wrong('ignore_void', 'True or False', self.ignore_void)
        if features is not None:
            _check_number('features.weight', features.weight, above=True)
            for name in ('student', 'teacher'):
                index = getattr(features, name)
                if type(index) is not int:
                    raise _wrong(f'features.{name}', "the index of a backbone's output", index)
        elif not logits.weight:
            raise InputError(f'{SECTION}: the teacher teaches nothing: logits.weight is 0, and there are no features; '
                             f'set {SECTION}.logits.weight or {SECTION}.features.weight above 0')


def _known(kind: type, section: Any, name: str) -> dict[str, Any]:
    """Returns a section's keys, all of which its dataclass has."""
    if not isinstance(section, dict):
        raise InputError(f'{name} must be a dict, got {shown(repr(section))}')
    names = [one.name for one in fields(kind)]
    for key in section:
        if key not in names and key != 'type':
            raise InputError(f'{name} has no {shown(key)}; it takes {", ".join(names)}')
    return {key: section[key] for key in names if key in section}


def _part(kind: type, given: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns a part of the section, built, by its name; nothing where it is left out."""
    if given.get(name) is None:
        return {}
    return {name: kind(**_known(kind, given[name], f'{SECTION}.{name}'))}


def _check_number(name: str, value: Any, above: bool = False) -> None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not good or value < 0 or above and value == 0:
        raise _wrong(name, f'a number {"above" if above else "from"} 0{"" if above else " on"}', value)


def _wrong(name: str, wish: str, value: Any) -> InputError:
    return InputError(f'{SECTION}.{name} must be {wish}, got {shown(repr(value))}')
