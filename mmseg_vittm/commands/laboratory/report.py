"""The report of a laboratory: results.json, table.md and pictures, all of the same numbers."""
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import InputError, printable
from ...measure.laboratory.classes import classes_figure
from ...measure.laboratory.curves import Curves, curves_figure
from ...measure.laboratory.pareto import Spot, pareto_figure
from ...measure.laboratory.tables import VALIDATION, accuracy_table, missing_of, scores_of, speed_table
from ...measure.plots.labels import find_adjust_text
from ...outputs import claim_folder, write_whole
from ...visualization.style import house_style, render_files
from .plan import Plan
from .results import PLAIN_VIT

RESULTS, TABLE = 'results.json', 'table.md'
ENDINGS = ('svg', 'png')
WRITTEN = '<!-- Written by tools/laboratory.py from results.json beside it. -->\n<!-- begin -->'


def claim_report(plan: Plan, folder: str | Path, overwrite: bool) -> Path:
    """Checks that a report can be written, before anything long starts; makes nothing.

    Raises:
        InputError: A file of it is there already, and `overwrite` is False; or two pictures would have one name;
            or adjustText is not installed.
        OutputError: It cannot be written.
    """
    find_adjust_text()
    groups = dict.fromkeys(row.group for row in plan.rows.values())
    stems = [_stem('classes', data) for data in plan.data]
    for data in plan.data:
        for group in groups:
            stems.append(_stem('curves', data, group))
            stems += [_stem('pareto', data, group, dtype) for dtype in plan.speed.dtypes]
    for stem, count in Counter(stems).items():
        if count > 1:
            raise InputError(f'{plan.path}: two pictures would be {stem}; give groups and data sets other names')
    return claim_folder(folder, [RESULTS, TABLE, *(f'{stem}.{ending}' for stem in stems for ending in ENDINGS)],
                        overwrite)


def write_report(plan: Plan, results: dict[str, Any], folder: Path) -> list[Path]:
    """Writes a report, and returns its files.

    Args:
        plan: The plan.
        results: Of `gather`.
        folder: Where to write; files of an earlier report are replaced.

    Raises:
        InputError: adjustText is not installed.
        OutputError: A file cannot be written.
    """
    with house_style():
        drawn = {(data, stem): (caption, render_files(figure)) for data in plan.data
                 for stem, caption, figure in _figures(plan, results, data)}
    contents: dict[str, str | bytes] = {RESULTS: _json(results)}
    lines = [WRITTEN, '']
    for data in plan.data:
        lines += _section(plan, results, data)
        for (place, stem), (caption, files) in drawn.items():
            if place == data:
                lines += [f'![{caption}]({stem}.svg)', '']
                contents.update({f'{stem}.{ending}': files[ending] for ending in ENDINGS})
    contents[TABLE] = '\n'.join(lines)
    for name, content in contents.items():
        write_whole(folder / name, content)
    return [folder / name for name in contents]


def _json(results: dict) -> str:
    """As text whose lists of numbers take a line each; inside strings JSON has no line breaks."""
    return re.sub(r'\[\n([^]["{}]+)\]', lambda found: f'[{" ".join(found[1].split())}]',
                  json.dumps(results, indent=1)) + '\n'


def _section(plan: Plan, results: dict, data: str) -> Iterator[str]:
    """Yields the lines on a data set."""
    rows, about = _rows(results, data), results['data'][data]
    conditions = _conditions(rows)
    yield from (f'### {printable(about["title"])}', '', conditions_of(results, data), '')
    for group in dict.fromkeys(row['group'] for row in rows):
        mine = [row for row in rows if row['group'] == group]
        yield from (f'**{group[0].upper()}{group[1:]}**', '')
        yield from accuracy_table(mine, conditions[0] if conditions else None)
        yield ''
        fronts = {', '.join(row['front']) + (f' (missing: {", ".join(row["front_missing"])})' if row['front_missing']
                                             else '') for row in mine if row['margins']}
        if fronts:
            yield from (f'Margins are over {"; ".join(sorted(fronts))}.', '')
    if len(conditions) > 1:
        yield from ('**Speed**', '')
        yield from speed_table([row for row in rows if row['speed']], conditions)
        yield ''
    for line in [*missing_of(rows), *_earlier(rows)]:
        yield from (f'{line}.', '')


def _earlier(rows: list[dict]) -> list[str]:
    """Returns how many runs were taken over from earlier reports: `'2 of 5 runs are of an earlier report, ...'`."""
    seeds = [seed for row in rows if not row['way'] for seed in row['seeds'].values()]
    found = Counter(tuple(seed['earlier'].values()) for seed in seeds if 'earlier' in seed)
    return [f'{count} of {len(seeds)} runs are of an earlier report, of commit {(commit or "unknown")[:7]}, {date}'
            for (commit, date), count in found.items()]


def conditions_of(results: dict, data: str) -> str:
    """Returns a sentence on how the speed of a data set's models was measured, or that it was not."""
    records, (height, width) = results['speed'][data], results['data'][data]['image_size']
    what = f'Images of {width} x {height} pixels (width x height)'
    if not records:
        return f'{what}; speed not measured yet.'
    one = records[0]
    flags = f' ({", ".join(one["cpu_flags"])})' if one['cpu_flags'] else ''
    return (f'{what}; FPS: the median over {one["images"]} images, batch {one["batch_size"]}, all models in turns in '
            f'one run, fast path, {one["device_name"]}{flags}, torch {one["torch"]}, {one["date"]}. GFLOPs are '
            'multiply-adds of an image, those in attention included.')


def _figures(plan: Plan, results: dict, data: str) -> Iterator[tuple]:
    """Yields the name, the caption and the figure of each picture that there is something to draw in."""
    rows, title = _rows(results, data), results['data'][data]['title']
    note = conditions_of(results, data)
    for group in dict.fromkeys(row['group'] for row in rows):
        for dtype, condition in _by_dtype(_conditions(rows)).items():
            spots = _spots(plan, rows, group, condition)
            if spots:
                caption = f'{title}, {group}: mIoU against FPS ({condition})'
                yield (_stem('pareto', data, group, dtype), caption,
                       pareto_figure(spots, [f'{condition}. {note}'], f'{title}: {group}'))
        curves = _curves(rows, group)
        if curves:
            caption = f'{title}, {group}: validation mIoU over iterations'
            dashed = '; dashed: the same without warm start and teacher' * any(one.is_base for one in curves)
            yield _stem('curves', data, group), caption, curves_figure(curves, [
                f'Thin: a seed each; thick: their mean at the iterations that all have{dashed}.'], f'{title}: {group}')
    chosen = [(row['name'], [one['scores'][VALIDATION]['IoU'] for one in row['seeds'].values()
                             if VALIDATION in one['scores']])
              for row in rows if row['row'] in plan.per_class and not row['way']]
    chosen = [(name, seeds) for name, seeds in chosen if seeds]
    if chosen:
        yield _stem('classes', data), f'{title}: IoU of every class', classes_figure(
            results['data'][data]['classes'], chosen, ['Bars: the mean over seeds; dots: a seed each.'], title)


def _spots(plan: Plan, rows: list[dict], group: str, condition: str) -> list[Spot]:
    """Returns what a group's plot shows: its rows, those that they are measured against, and those beside them.

    Nothing, where the group has nothing of its own to show.
    """
    mine = [row for row in rows if row['group'] == group]
    if not any(condition in row['speed'] and scores_of(row, VALIDATION) for row in mine):
        return []
    against = {name for row in mine for name in row.get('front', ())}
    against |= {row['name'] for row in mine if row['family'] == PLAIN_VIT}
    beside = {row.name for row in plan.rows.values() if group in row.beside}
    return [Spot(row['name'], row['family'], row['speed'][condition]['fps'], tuple(scores_of(row, VALIDATION)),
                 row['name'] in against) for row in rows
            if (row in mine or row['name'] in against or row['row'] in beside)
            and condition in row['speed'] and scores_of(row, VALIDATION)]


def _curves(rows: list[dict], group: str) -> list[Curves]:
    """Returns the trainings of a group, and of the rows that begin like them but for weights and teacher."""
    mine = [row for row in rows if row['group'] == group and not row['way']
            and any(one['curve'] for one in row['seeds'].values())]
    bases = {row['begins_like'] for row in mine} - {None}
    found = []
    for row in rows:
        seeds = tuple(tuple(map(tuple, one['curve'])) for one in row['seeds'].values() if one['curve'])
        if not row['way'] and seeds and (row in mine or row['row'] in bases):
            found.append(Curves(row['name'], seeds, row['begins_like'] or row['row'], row['row'] in bases))
    return found


def _rows(results: dict, data: str) -> list[dict]:
    return [row for row in results['rows'] if row['data'] == data]


def _conditions(rows: list[dict]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row['speed']))


def _by_dtype(conditions: list[str]) -> dict[str, str]:
    """Returns the first of the conditions of each dtype, by the dtype."""
    found: dict[str, str] = {}
    for name in conditions:
        found.setdefault(name.split(',')[0], name)
    return found


def _stem(*parts: str) -> str:
    return '_'.join(parts).replace(' ', '_')
