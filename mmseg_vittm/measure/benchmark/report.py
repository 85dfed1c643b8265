"""What a benchmark says: a record per config, and tables of the records."""
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.table import Table

from ..complexity.counting import varies_with_image
from ..conditions import cpu_flags, device_name, versions
from ..records import is_unlike_use, number, variants
from .stages import STAGES
from .subject import Subject


def quartiles(values: Sequence[float]) -> list[float]:
    """Returns the first and the third quartile."""
    return [float(value) for value in np.percentile(values, [25, 75])]


def record(subject: Subject, first: Subject, images: int, repeat: int, warmup: int,
           cfg_options: dict | None = None) -> dict:
    """Returns a config's record: conditions, speed, ratio to the first config, size, cost, stages.

    Times are per batch in milliseconds, fps per image: `fps` from the median time, `fps_mean` from the sum of all, as
    the paper's. `ratio_to_first` is the median over the images of the first config's time over this one's on the
    same image, in the same round; `..._iqr` are quartiles. `stages_ms` divides the median time by each stage's share of
    the time of all calls; in a compiled SlideSegmentor backbone and head are one, the network.
    `gflops` are 1e9 multiply-adds of the network, all windows of an image, attention included.
    `peak_memory_mb` is in MiB.
    """
    settings = subject.settings
    seconds = np.array([call.seconds for call in subject.calls])
    ratios = np.array([call.seconds for call in first.calls]) / seconds
    median, batch = float(np.median(seconds)), settings.batch_size
    spent = {name: sum(call.stages[name] for call in subject.calls) for name in STAGES}
    stages = {name: 1000 * median * spent[name] / sum(spent.values()) for name in STAGES}
    if stages['network']:
        stages.update(backbone=None, head=None)
    else:
        stages.pop('network')
    if not subject.calls[0].shapes:  # a segmentor of another make, which does not call its backbone
        stages = dict.fromkeys(stages)
    return conditions_of(subject) | dict(
        images=images, image_size=list(subject.inputs.most_common(1)[0][0]),
        windows_per_image=subject.windows_per_image,
        fps=batch / median, fps_mean=batch * len(seconds) / float(seconds.sum()),
        latency_ms_median=1000 * median, latency_ms_p95=1000 * float(np.percentile(seconds, 95)),
        ratio_to_first=float(np.median(ratios)), params_m=subject.parameters / 1e6, gflops=subject.gflops(),
        peak_memory_mb=subject.peak_mib, stages_ms=stages,
        ratio_to_first_iqr=quartiles(ratios), fps_iqr=quartiles(batch / seconds),
        latency_ms_iqr=quartiles(1000 * seconds),
        image_sizes={'{} x {}'.format(*size): count for size, count in subject.inputs.most_common()},
        cfg_options=to_plain(cfg_options), repeat=repeat, warmup=warmup)


def conditions_of(subject: Subject) -> dict:
    """Returns what was measured under which conditions, as every record of a measurement says it."""
    settings, built = subject.settings, subject.built
    return dict(
        config=built.path, segmentor=type(built.model).__name__, checkpoint=built.checkpoint,
        test_cfg=to_plain(built.cfg.model.get('test_cfg')), varies_with_image=varies_with_image(built.model),
        dtype=settings.dtype, compile=settings.compile, batch_size=settings.batch_size,
        protocol='throughput' if settings.throughput else 'predict', source=subject.source.kind,
        source_description=subject.source.describe(), device=str(settings.device),
        device_name=device_name(settings.device), cpu_flags=cpu_flags(), threads=torch.get_num_threads(),
        torch=torch.__version__, versions=versions(), date=time.strftime('%Y-%m-%d'))


def to_plain(value: object) -> object:
    """Returns a part of a config as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(entry) for entry in value]
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def run_names(records: Sequence[dict]) -> list[str]:
    """Returns the name of each record's run: its config's, and the way it was run where ways differ."""
    runs = [(row['config'], row['segmentor'], row['dtype'], row['compile']) for row in records]
    return [Path(row['config']).stem + variant for row, variant in zip(records, variants(runs), strict=True)]


def tables(records: Sequence[dict]) -> tuple[Table, Table]:
    """Returns a table of the records' speed and one of what they need, narrow enough for 80 columns.

    Speed: by the median and the mean time, milliseconds and their 95th percentile, ratio to the first config and its
    quartiles. Cost: parameters (millions), GFLOPs, windows per image, memory at the peak (MiB), milliseconds in the
    backbone, in the head and after it; of a compiled network, which is both in one, under the backbone.
    """
    note = '; * depends on weights and images, which were not real' * any(map(is_unlike_use, records))
    unit = 'crops/s' if records[0]['protocol'] == 'throughput' else 'FPS'
    speed = Table(caption='by the median time and by the mean; 95th percentile; ratio to the first config' + note)
    cost = Table(caption='million parameters; windows per image; memory at the peak; ms in backbone, head, after it'
                 + ' (compiled: both under bb.)' * any(row['stages_ms'].get('network') for row in records))
    for result in (speed, cost):
        result.add_column('config', overflow='fold', min_width=16)
    for title in (unit, 'by mean', 'ms', 'ms p95', 'ratio', 'quartiles'):
        speed.add_column(title, justify='right')
    for title in ('M par.', 'GFLOPs', 'wind.', 'MiB', 'ms bb.', 'head', 'after'):
        cost.add_column(title, justify='right')
    for row, name in zip(records, run_names(records), strict=True):
        low, high = row['ratio_to_first_iqr']
        values = [row[key] for key in ('fps', 'fps_mean', 'latency_ms_median', 'latency_ms_p95')]
        name += '*' * is_unlike_use(row)
        speed.add_row(name, *map(number, values), f'{row["ratio_to_first"]:.2f}', f'{low:.2f}-{high:.2f}')
        values = [row[key] for key in ('params_m', 'gflops', 'windows_per_image', 'peak_memory_mb')]
        stages = row['stages_ms']
        values += [stages.get('network') or stages['backbone'], stages['head'], stages['post']]
        cost.add_row(name, *map(number, values))
    return speed, cost
