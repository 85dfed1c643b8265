"""What the plots show: measurements of the benchmark's JSON files, joined with mIoUs of the metafiles."""
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from mmengine.logging import MMLogger

from ...errors import InputError
from ..benchmark.stages import STAGES
from ..records import variants

REMEDY = 'such files are written by tools/benchmark.py'
# Records that differ in one of these cannot stand in one figure.
CONDITIONS = ('device', 'device_name', 'threads', 'torch', 'batch_size', 'protocol', 'source')
SPEED_UNITS = {'predict': 'images per second', 'throughput': 'crops per second'}

LONGEST_NAME = 40  # characters; longer ones would leave the plots no room


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

    @property
    def stem(self) -> str:
        """The name that metafiles and `--miou` know the config by."""
        return Path(self.config).stem


@dataclass(frozen=True)
class Point:
    """A config in the Pareto plot; `publisher` is None where the mIoU was measured."""
    name: str
    family: str
    fps: float
    miou: float
    publisher: str | None = None
    fps_iqr: tuple[float, float] | None = None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


NEEDED = {key: (_is_text, 'a text') for key in ('config', 'device', 'device_name', 'dtype', 'torch')} | {
    'protocol': (SPEED_UNITS.__contains__, f'one of {sorted(SPEED_UNITS)}'),
    'batch_size': (_is_count, 'a whole number above 0'), 'images': (_is_count, 'a whole number above 0'),
    'fps': (lambda value: _is_number(value) and value > 0, 'a number above 0')}


def _measurement(record: object, place: str, file: str) -> Measurement:
    if not isinstance(record, dict):
        raise InputError(f'{place} must be an object of names and values, got {record!r}; {REMEDY}')
    needed = NEEDED | ({'threads': NEEDED['images']} if str(record.get('device')).startswith('cpu') else {})
    for key, (valid, meaning) in needed.items():
        if key not in record:
            raise InputError(f'{place} has no {key!r}; {REMEDY}')
        if isinstance(record[key], (list, dict)) or not valid(record[key]):
            raise InputError(f'{place}: {key!r} must be {meaning}, got {record[key]!r}; {REMEDY}')
    quartiles = record.get('fps_iqr')
    if quartiles is not None:
        if not (isinstance(quartiles, list) and len(quartiles) == 2 and all(map(_is_number, quartiles))):
            raise InputError(f"{place}: 'fps_iqr' must be two numbers, got {quartiles!r}; {REMEDY}")
        quartiles = tuple(quartiles)
    stages = record.get('stages_ms') or {}
    for key, value in stages.items() if isinstance(stages, dict) else [('stages_ms', stages)]:
        if key not in STAGES or value is not None and not (_is_number(value) and value >= 0):
            raise InputError(f"{place}: 'stages_ms' must hold milliseconds for {sorted(STAGES)}, got {stages!r}; "
                             f'{REMEDY}')
    conditions = {key: record.get(key) for key in CONDITIONS}
    conditions['device'] = record['device'].split(':')[0]  # cuda:1 is as fast as cuda:0
    if conditions['device'] != 'cpu':
        conditions['threads'] = None
    return Measurement(file, record['config'], conditions, record['images'], record['fps'], quartiles,
                       {key: stages[key] for key in STAGES if stages.get(key)}, record.get('segmentor'),
                       record['dtype'], bool(record.get('compile')))


def read_measurements(files: Sequence[str]) -> list[Measurement]:
    """Reads the benchmark's JSON files, each a list of records, and checks that one figure can hold them all.

    Raises:
        InputError: A file is missing, is no JSON, or a record lacks a key or holds a wrong value; records differ in one
            of `CONDITIONS`; a config is there twice; there are no records at all.
    """
    measurements = []
    for file in files:
        try:
            records = json.loads(Path(file).read_text(encoding='utf-8'))
        except OSError as error:
            raise InputError(f'{file}: cannot be read ({error.strerror}); {REMEDY}') from error
        except ValueError as error:
            raise InputError(f'{file}: is not JSON ({error}); {REMEDY}') from error
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
    return [replace(one, variant=text) for one, text in zip(measurements, texts, strict=True)]


def read_metafiles(files: Sequence[str | Path]) -> dict[str, dict]:
    """Returns the `Metadata` of each config in some metafiles, by the config's stem.

    Raises:
        InputError: A metafile is not there.
    """
    metadata = {}
    for file in map(Path, files):
        if not file.is_file():
            raise InputError(f'{file}: no such metafile; those of this project are in configs/')
        for model in yaml.safe_load(file.read_text(encoding='utf-8'))['Models']:
            metadata[Path(model['Config']).stem] = model['Metadata']
    return metadata


def parse_mious(options: Sequence[str], stems: Sequence[str]) -> dict[str, float]:
    """Reads options of the form STEM=VALUE, a measured mIoU in percent each.

    Args:
        options: The options.
        stems: Stems of the configs that were measured.

    Raises:
        InputError: One is of another form, names no such config or one twice, or is no number from 0 to 100.
    """
    mious = {}
    for option in options:
        stem, equals, text = option.rpartition('=')
        if not (stem and equals and text):
            raise InputError(f'--miou {option}: must be CONFIG_STEM=VALUE, such as {stems[0]}=45.2')
        if stem not in stems:
            raise InputError(f'--miou {option}: no config {stem!r} in the files; there are {", ".join(sorted(stems))}')
        if stem in mious:
            raise InputError(f'--miou {option}: {stem} has {mious[stem]} already; give one value')
        try:
            mious[stem] = float(text)
        except ValueError:
            raise InputError(f'--miou {option}: {text!r} is no number; give the mIoU in percent') from None
        if not 0 <= mious[stem] <= 100:
            raise InputError(f'--miou {option}: {text} is not from 0 to 100; give the mIoU in percent')
    return mious


def display_name(stem: str, metadata: dict[str, dict]) -> str:
    """Returns the backbone's name of a config, or its stem where no metafile has it; a long one without its middle."""
    name = metadata.get(stem, {}).get('Backbone', stem)
    return name if len(name) <= LONGEST_NAME else f'{name[:LONGEST_NAME // 2]}…{name[-LONGEST_NAME // 2:]}'


def make_points(measurements: Sequence[Measurement], metadata: dict[str, dict], mious: dict[str, float]) -> list[Point]:
    """Joins speeds with mIoUs, measured ones before published ones; logs which configs have neither.

    Args:
        measurements: What the benchmark measured.
        metadata: What `read_metafiles` returns.
        mious: What `parse_mious` returns.

    Raises:
        InputError: No config has an mIoU.
    """
    points, without = [], []
    for one in measurements:
        known = metadata.get(one.stem, {})
        miou = mious.get(one.stem, known.get('Published mIoU'))
        if miou is None:
            without.append(one.stem)
            continue
        publisher = None if one.stem in mious else known.get('Published By', 'publisher not named')
        family = known['Backbone'].split('-')[0] if 'Backbone' in known else 'other'
        name = display_name(one.stem, metadata) + one.variant
        points.append(Point(name, family, one.fps, miou, publisher, one.fps_iqr))
    remedy = f'give --miou {" ".join(f"{stem}=VALUE" for stem in without)}'
    if not points:
        raise InputError(f'no mIoU is known of {", ".join(without)}; {remedy}')
    if without:
        MMLogger.get_current_instance().warning(
            f'Not in the Pareto plot, for want of an mIoU: {", ".join(without)}; {remedy}')
    return points


def pareto_front(places: Sequence[tuple[float, float]]) -> list[int]:
    """Returns the indices of the (speed, mIoU) pairs that no other one dominates, by growing speed.

    A pair dominates another if it is at least as good in both and better in one; of equal pairs neither does.
    """
    front = [i for i, (fps, miou) in enumerate(places)
             if not any(f >= fps and m >= miou and (f, m) != (fps, miou) for f, m in places)]
    return sorted(front, key=lambda i: places[i])


def describe_conditions(measurements: Sequence[Measurement], metadata: dict[str, dict] | None = None) -> str:
    """Returns the sentence on how the measurements were made, and one on segmentors where they differ."""
    conditions = measurements[0].conditions
    counts = sorted({one.images for one in measurements})
    threads = f' ({conditions["threads"]} thread{"s" * (conditions["threads"] > 1)})' if conditions['threads'] else ''
    what = 'batches' if conditions['protocol'] == 'throughput' else f'{conditions["source"] or ""} images'.strip()
    dtypes = ' and '.join(sorted({one.dtype for one in measurements}))
    compiled = ', compiled' * all(one.compiled for one in measurements)
    parts = [f'Measured on {conditions["device_name"]}{threads}', dtypes, f'torch {conditions["torch"]}{compiled}',
             f'batch size {conditions["batch_size"]}', f'protocol {conditions["protocol"]}',
             f'{" to ".join(map(str, counts[::max(len(counts) - 1, 1)]))} {what}']
    segmentors = {}
    for one in measurements:
        segmentors.setdefault(one.segmentor, []).append(display_name(one.stem, metadata or {}))
    if any(f', {one.segmentor}' in one.variant for one in measurements):
        segmentors = {None: []}  # the names say it
    by_size = sorted(segmentors, key=lambda kind: len(segmentors[kind]))
    mixed = [f'{", ".join(segmentors[kind])} in {kind}' for kind in by_size[:-1]] + [f'the others in {by_size[-1]}']
    return ', '.join(parts) + '.' + f' {"; ".join(mixed)}.' * (len(by_size) > 1)
