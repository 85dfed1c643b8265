"""The benchmark's JSON files, read and checked, and the sentence on how they were measured."""
import json
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from reprlib import repr  # of what is in a file: of any depth and length

from ...errors import InputError, one_line, printable
from ..benchmark.stages import STAGES
from ..records import is_unlike_use, variants
from .metafiles import display_name

LARGEST = 100 << 20  # bytes of a file, thousands of times what a benchmark writes
MOST = 1e9  # of any speed or time, in whatever unit
REMEDY = 'such files are written by tools/benchmark.py'
# Records that differ in one of these cannot stand in one figure.
CONDITIONS = ('device', 'device_name', 'threads', 'torch', 'batch_size', 'protocol', 'source')
SPEED_UNITS = {'predict': 'images per second', 'throughput': 'crops per second'}


@dataclass(frozen=True)
class Measurement:
    """What the benchmark measured of one config.

    Attributes:
        file: The file it was read from.
        config: Path of the config.
        conditions: A value per name in `CONDITIONS`.
        images: Number of images timed, of batches in the protocol 'throughput'.
        fps: Images (crops) per second, from the median latency.
        fps_iqr: First and third quartile of it, where known.
        stages: Milliseconds of each of `STAGES` that took any.
        segmentor: Class of the segmentor, where known.
        dtype: What it computes in.
        compiled: Whether it is compiled.
        variant: What to say after the name, where configs were run in several ways.
        cpu_flags: What the CPU has that makes it fast, where that is known and matters.
        unlike_use: Whether the speed depends on weights and images, and not both were real.
    """
    file: str
    config: str
    conditions: dict
    images: int
    fps: float
    fps_iqr: tuple[float, float] | None
    stages: dict[str, float]
    segmentor: str | None = None
    dtype: str = 'fp32'
    compiled: bool = False
    variant: str = ''
    cpu_flags: tuple[str, ...] = ()
    unlike_use: bool = False

    @property
    def stem(self) -> str:
        """The name that metafiles and `parse_mious` know the config by."""
        return Path(self.config).stem


def _is_number(value: object) -> bool:
    """Whether a value is a number that can be drawn: no NaN, and none beyond what an axis can have."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -MOST <= value <= MOST


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


NEEDED = {key: (_is_text, 'a text') for key in ('config', 'device', 'device_name', 'dtype', 'torch')} | {
    'protocol': (SPEED_UNITS.__contains__, f'one of {sorted(SPEED_UNITS)}'),
    'batch_size': (_is_count, 'a whole number above 0'), 'images': (_is_count, 'a whole number above 0'),
    'fps': (lambda value: _is_number(value) and value * MOST >= 1, f'a number above 0, at most {MOST:g}')}


def _measurement(record: object, place: str, file: str) -> Measurement:
    if not isinstance(record, dict):
        raise InputError(f'{place} must be an object of names and values, got {repr(record)}; {REMEDY}')
    needed = NEEDED | ({'threads': NEEDED['images']} if str(record.get('device')).startswith('cpu') else {})
    for key, (valid, meaning) in needed.items():
        if key not in record:
            raise InputError(f'{place} has no {key!r}; {REMEDY}')
        if isinstance(record[key], (list, dict)) or not valid(record[key]):
            raise InputError(f'{place}: {key!r} must be {meaning}, got {repr(record[key])}; {REMEDY}')
    quartiles = record.get('fps_iqr')
    if quartiles is not None:
        if not (isinstance(quartiles, list) and len(quartiles) == 2 and all(map(_is_number, quartiles))):
            raise InputError(f"{place}: 'fps_iqr' must be two numbers, got {repr(quartiles)}; {REMEDY}")
        quartiles = tuple(quartiles)
    stages = record.get('stages_ms') or {}
    for key, value in stages.items() if isinstance(stages, dict) else [('stages_ms', stages)]:
        if key not in STAGES or value is not None and not (_is_number(value) and value >= 0):
            raise InputError(f"{place}: 'stages_ms' must hold milliseconds for {sorted(STAGES)}, got {repr(stages)}; "
                             f'{REMEDY}')
    for key in ('segmentor', 'source'):
        if record.get(key) is not None and not _is_text(record[key]):
            raise InputError(f'{place}: {key!r} must be a text, got {repr(record[key])}; {REMEDY}')
    flags = record.get('cpu_flags') or []  # older records have none
    if not (isinstance(flags, list) and all(map(_is_text, flags))):
        raise InputError(f"{place}: 'cpu_flags' must be a list of names, got {repr(flags)}; {REMEDY}")
    conditions = {key: record.get(key) for key in CONDITIONS}
    conditions['device'] = record['device'].split(':')[0]  # cuda:1 is as fast as cuda:0
    if conditions['device'] != 'cpu':
        conditions['threads'] = None
    return Measurement(file, record['config'], conditions, record['images'], record['fps'], quartiles,
                       {key: stages[key] for key in STAGES if stages.get(key)}, record.get('segmentor'),
                       record['dtype'], bool(record.get('compile')),
                       cpu_flags=tuple(flags) if conditions['device'] == 'cpu' else (),
                       unlike_use=is_unlike_use(record))


def _read(file: str) -> object:
    try:
        about = os.stat(file)  # before it is opened: a pipe would wait, a device give without end
        if not stat.S_ISREG(about.st_mode):
            raise InputError(f'{file}: is a folder, pipe or device, no file; {REMEDY}')
        if about.st_size > LARGEST:
            raise InputError(f'{file}: is too large for results ({about.st_size >> 20} MiB); {REMEDY}')
        return json.loads(Path(file).read_text(encoding='utf-8'))
    except OSError as error:
        raise InputError(f'{file}: cannot be read ({error.strerror}); {REMEDY}') from error
    except RecursionError as error:
        raise InputError(f'{file}: is nested too deeply; {REMEDY}') from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f'{file}: is not JSON ({one_line(error)}); {REMEDY}') from error


def read_measurements(files: Sequence[str]) -> list[Measurement]:
    """Reads the benchmark's JSON files, each a list of records, and checks that one figure can hold them all.

    Raises:
        InputError: A file is missing, is no JSON, or a record lacks a key or holds a wrong value; records differ in one
            of `CONDITIONS`; a config is there twice; there are no records at all.
    """
    measurements = []
    for file in files:
        records = _read(file)
        if not isinstance(records, list):
            raise InputError(f'{file}: must be a list of records, got {type(records).__name__}; {REMEDY}')
        measurements += [_measurement(record, f'{file}: record {number}', file)
                         for number, record in enumerate(records, 1)]
    if not measurements:
        raise InputError(f'{", ".join(files)}: no records; {REMEDY}')
    first, seen = measurements[0], {}
    for other in measurements:
        for key in CONDITIONS:
            ours, theirs = first.conditions[key], other.conditions[key]
            if ours != theirs:
                raise InputError(f'{other.file}: {other.config} was measured with {key} {theirs!r}, but {first.config} '
                                 f'of {first.file} with {ours!r}; draw them in figures of their own')
        key = other.stem, other.segmentor, other.dtype, other.compiled
        if key in seen:
            raise InputError(f'{other.file}: {other.stem} is there already, in {seen[key]}; leave one out')
        seen[key] = other.file
    texts = variants([(one.stem, one.segmentor, one.dtype, one.compiled) for one in measurements])
    return [replace(one, variant=text + '*' * one.unlike_use) for one, text in zip(measurements, texts, strict=True)]


def describe_conditions(measurements: Sequence[Measurement], metadata: dict[str, dict] | None = None) -> str:
    """Returns the sentence on how the measurements were made, and one on segmentors where they differ."""
    conditions = measurements[0].conditions
    counts = sorted({one.images for one in measurements})
    threads = [f'{conditions["threads"]} thread{"s" * (conditions["threads"] > 1)}'] if conditions['threads'] else []
    known = {one.cpu_flags for one in measurements if one.cpu_flags}
    inside = '; '.join([*threads, *(', '.join(flags) for flags in known if len(known) == 1)])
    what = 'batches' if conditions['protocol'] == 'throughput' else f'{conditions["source"] or ""} images'.strip()
    dtypes = ' and '.join(sorted({one.dtype for one in measurements}))
    compiled = ', compiled' * all(one.compiled for one in measurements)
    parts = [f'Measured on {conditions["device_name"]}' + f' ({inside})' * bool(inside), dtypes,
             f'torch {conditions["torch"]}{compiled}',
             f'batch size {conditions["batch_size"]}', f'protocol {conditions["protocol"]}',
             f'{" to ".join(map(str, counts[::max(len(counts) - 1, 1)]))} {what}']
    segmentors = {}
    for one in measurements:
        segmentors.setdefault(one.segmentor, []).append(display_name(one.stem, metadata or {}))
    if any(f', {one.segmentor}' in one.variant for one in measurements):
        segmentors = {None: []}  # the names say it
    by_size = sorted(segmentors, key=lambda kind: len(segmentors[kind]))
    mixed = [f'{", ".join(segmentors[kind])} in {kind}' for kind in by_size[:-1]] + [f'the others in {by_size[-1]}']
    return printable(', '.join(parts) + '.' + f' {"; ".join(mixed)}.' * (len(by_size) > 1))


def note_on_marks(names: Sequence[str]) -> str:
    """Returns a sentence on what * after a name means, where one of the names drawn has it."""
    return ' * depends on weights and images, which were not real.' * any(name.endswith('*') for name in names)
