"""All that a laboratory has found out, as one record; of what is not there yet it says that it is missing."""
import subprocess
import time
from pathlib import Path
from typing import Any

from ...engine.state.saved_settings import plain
from ...measure.conditions import versions
from ...measure.laboratory.margins import margins
from .curves import curve, seconds_per_iteration
from .earlier import Earlier, data_settings, row_settings
from .laboratory import Laboratory
from .on_data import classes_of_data
from .plan import Row, Run
from .scoring import SHIFT, VALIDATION, kept_scores, loaders, ways
from .speed import costs, kept_records, model_key

SPEED_KEYS = ('fps', 'fps_iqr', 'latency_ms_median', 'latency_ms_iqr', 'peak_memory_mb')
PLAIN_VIT = 'ViT'


def gather(laboratory: Laboratory, earlier: Earlier | None = None) -> dict[str, Any]:
    """Returns everything: conditions, data sets, and a record per row, data set and way of predicting.

    Args:
        laboratory: The laboratory.
        earlier: Results that stand in for runs that are not done.

    Raises:
        InputError: A run was trained with other settings than the plan has.
    """
    records = {data: kept_records(laboratory, data) for data in laboratory.plan.data}
    rows = []
    for data in laboratory.plan.data:
        cost = costs(laboratory, data)
        for row in laboratory.plan.rows.values():
            if data in laboratory.plan.data_of(row):
                rows += _rows(laboratory, data, row, cost, records[data], earlier or Earlier(None, laboratory))
    add_margins(rows)
    return dict(
        plan=laboratory.plan.content, commit=commit(),
        date=time.strftime('%Y-%m-%d'), versions=versions(),
        data={data: _data(laboratory, data) for data in laboratory.plan.data}, speed=records, rows=rows)


def check_rows(laboratory: Laboratory) -> None:
    """Checks that configs have what their results need, before anything long starts.

    Raises:
        InputError: One is wrong, has no validation, test pipeline or crop, or its data no names of classes.
    """
    for data in laboratory.plan.data:
        for row in laboratory.plan.rows.values():
            if data in laboratory.plan.data_of(row):
                for cfg in ways(laboratory, data, row.name).values():
                    loaders(cfg)
                    model_key(cfg)
                classes_of_data(laboratory.config(data, row.name))


def _rows(laboratory: Laboratory, data: str, row: Row, cost: dict[str, dict], records: list[dict],
          earlier: Earlier) -> list[dict]:
    """Returns a record per way in which a row's models predict."""
    cfg = laboratory.config(data, row.name)
    runs = [Run(data, row.name, seed) for seed in laboratory.plan.seeds_of(row)]
    done = [run for run in runs if laboratory.is_done(run)]
    found = []
    for way, own in ways(laboratory, data, row.name).items():
        settings = row_settings(row, own)
        key = settings['model']
        seeds = earlier.seeds(data, row.name, way) | {str(run.seed): _seed(laboratory, run, way) for run in done}
        found.append(dict(
            data=data, row=row.name, way=way, name=row.title + (way and f', {way}'), group=row.group,
            family=family_of(plain(cfg.model.backbone.type)), **settings,
            begins_like=_counterpart(laboratory, data, row), **cost[key],
            speed={condition(one): {name: one[name] for name in SPEED_KEYS} for one in records if one['model'] == key},
            seeds={str(run.seed): seeds[str(run.seed)] for run in runs if str(run.seed) in seeds},
            missing=[run.seed for run in runs if str(run.seed) not in seeds]))
    return found


def _seed(laboratory: Laboratory, run: Run, way: str) -> dict:
    """Returns what is known of a finished run; scores that are not computed yet are not there."""
    kept, folder = kept_scores(laboratory, run), laboratory.folder(run)
    scores = {split: kept[name] for split in (VALIDATION, SHIFT)
              if (name := ', '.join(filter(None, (split, way)))) in kept}
    points, last = curve(folder), laboratory.iterations(run)
    if VALIDATION in kept and not any(step == last for step, _ in points):
        points.append((last, kept[VALIDATION]['mIoU']))
    return dict(checkpoint=laboratory.identity(run), seconds_per_iteration=seconds_per_iteration(folder),
                scores=scores, curve=[list(point) for point in points])


def _counterpart(laboratory: Laboratory, data: str, row: Row) -> str | None:
    """Returns the row that is the same one without a warm start and a teacher, where there is one."""
    if not row.warm_start and not row.teacher:
        return None
    return next((other.name for other in laboratory.plan.rows.values()
                 if other.config == row.config and other.cfg_options == row.cfg_options and not other.warm_start
                 and not other.teacher and data in laboratory.plan.data_of(other)), None)


def _data(laboratory: Laboratory, data: str) -> dict:
    """Returns what a data set is; of rows that bring their own data, the first one's."""
    one = laboratory.plan.data[data]
    row = next((row.name for row in laboratory.plan.rows.values() if data in laboratory.plan.data_of(row)), None)
    classes = None if row is None else classes_of_data(laboratory.config(data, row))
    return dict(title=one.title, classes=classes, **data_settings(one))


def family_of(backbone: str) -> str:
    """Returns what a backbone's class counts to: the plain ViTs are those that others are measured against."""
    return {'ViTBackbone': PLAIN_VIT}.get(backbone.split('.')[-1], backbone.split('.')[-1])


def condition(record: dict) -> str:
    """Returns the conditions of a speed in words, such as `'fp32, 2 threads'`."""
    if not record['device'].startswith('cpu'):
        return f'{record["dtype"]}, GPU'
    return f'{record["dtype"]}, {record["threads"]} thread{"s" * (record["threads"] > 1)}'


def mious(row: dict, split: str = VALIDATION) -> dict[str, float]:
    """Returns the mIoU of a row's seeds, by seed."""
    return {seed: one['scores'][split]['mIoU'] for seed, one in row['seeds'].items() if split in one['scores']}


def add_margins(rows: list[dict]) -> None:
    """Adds to each row that is no plain ViT how much better it is than those of its speed.

    They are those of its own group and of the first one: whoever takes the row could take any of them.
    """
    first = rows[0]['group'] if rows else None
    for row in rows:
        row['margins'] = {}
        if row['family'] == PLAIN_VIT:
            continue
        against = [other for other in rows if other['data'] == row['data'] and other['family'] == PLAIN_VIT
                   and other['group'] in (row['group'], first)]
        for split in (VALIDATION, SHIFT):
            for name, speed in row['speed'].items():
                others = [(scores, other['speed'][name]['fps']) for other in against
                          if name in other['speed'] and (scores := mious(other, split))]
                found = margins(mious(row, split), speed['fps'], others)
                if found is not None:
                    row['margins'].setdefault(split, {})[name] = found
        row['front'] = [other['name'] for other in against if mious(other)]
        row['front_missing'] = [other['name'] for other in against if not mious(other)]


def commit() -> str | None:
    """Returns the commit of the code that runs, with a + where files were changed since; None where that is unknown."""
    folder = Path(__file__).resolve().parent
    try:
        found = [subprocess.run(['git', '-C', str(folder), *words], capture_output=True, text=True, timeout=30)
                 for words in (['rev-parse', 'HEAD'], ['status', '--porcelain', '--untracked-files=no'])]
    except (OSError, subprocess.SubprocessError):
        return None
    if any(one.returncode for one in found):
        return None
    return found[0].stdout.strip() + '+' * bool(found[1].stdout.strip())
