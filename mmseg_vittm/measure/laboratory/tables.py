"""The tables of a laboratory's results, in Markdown."""
from collections.abc import Iterable, Sequence

VALIDATION, SHIFT = 'validation', 'shift'
NOTHING = '-'


def accuracy_table(rows: Sequence[dict], condition: str | None) -> list[str]:
    """Returns the lines of a table of cost, accuracy, and what is gained over plain ViTs of equal speed.

    Args:
        rows: Of `results.json`.
        condition: Of the speed, such as `'fp32, 1 thread'`; None where none was measured.
    """
    shift = any(scores_of(row, SHIFT) for row in rows)
    fps = f'FPS, {condition}' if condition else 'FPS'
    header = ['model', 'M par.', 'GFLOPs', fps, 'mIoU', 'seeds', *['shift mIoU'] * shift, 'over ViTs', 'strict']
    lines = []
    for row in rows:
        speed = row['speed'].get(condition)
        cells = [row['name'], f'{row["params_m"]:.2f}', _two(row['gflops']), _two(speed and speed['fps']),
                 mean_of(row, VALIDATION), _seeds(row)]
        cells += [mean_of(row, SHIFT)] * shift
        cells += [margin_of(row, condition, reading) for reading in ('interpolated', 'strict')]
        lines.append(cells)
    return markdown(header, lines)


def speed_table(rows: Sequence[dict], conditions: Sequence[str]) -> list[str]:
    """Returns the lines of a table of speeds under several conditions, with quartiles, and what is gained there."""
    header = ['model', *(cell for name in conditions for cell in (f'FPS, {name}', 'over ViTs'))]
    lines = []
    for row in rows:
        cells = [row['name']]
        for name in conditions:
            speed = row['speed'].get(name)
            values = speed and [_two(value) for value in (speed['fps'], *speed['fps_iqr'])]
            cells += ['{} ({}-{})'.format(*values) if values else NOTHING, margin_of(row, name, 'interpolated')]
        lines.append(cells)
    return markdown(header, lines)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns the lines of a Markdown table, numbers to the right."""
    cut = [[cell.replace('|', '\\|') for cell in cells] for cells in (header, *rows)]
    return [f'| {" | ".join(cells)} |' for cells in (cut[0], ['---'] + ['---:'] * (len(header) - 1), *cut[1:])]


def scores_of(row: dict, split: str) -> list[float]:
    """Returns the mIoU of each seed of a row, those that are there, in the order of the seeds."""
    return [one['scores'][split]['mIoU'] for one in row['seeds'].values() if split in one['scores']]


def mean_of(row: dict, split: str) -> str:
    """Returns the mean mIoU over the seeds."""
    found = scores_of(row, split)
    return f'{sum(found) / len(found):.2f}' if found else NOTHING


def margin_of(row: dict, condition: str | None, reading: str) -> str:
    """Returns what a row gains over plain ViTs at equal speed, the mean and each seed: `'+1.20 (+1.00, +1.40)'`."""
    found = row['margins'].get(VALIDATION, {}).get(condition, {}).get(reading)
    if found is None:
        return NOTHING
    if found['mean'] is None:
        return 'faster than all'
    return f'{found["mean"]:+.2f} ({", ".join(_signed(value) for value in found["seeds"].values())})'


def missing_of(rows: Iterable[dict]) -> list[str]:
    """Returns what is not trained or not scored yet: `'Not trained, seeds 0, 1: A; B'`."""
    found: dict[str, list[str]] = {}
    for row in rows:
        unscored = [seed for seed, one in row['seeds'].items() if VALIDATION not in one['scores']]
        for what, seeds in (('Not trained', [] if row['way'] else row['missing']), ('Not scored', unscored)):
            if seeds:
                which = f'{what}, seed{"s" * (len(seeds) > 1)} {", ".join(map(str, seeds))}'
                found.setdefault(which, []).append(row['name'])
    return [f'{which}: {"; ".join(names)}' for which, names in found.items()]


def _seeds(row: dict) -> str:
    found = [f'{value:.2f}' for value in scores_of(row, VALIDATION)]
    return ', '.join(found) or ('not trained' if not row['seeds'] else 'not scored')


def _signed(value: float | None) -> str:
    return 'faster than all' if value is None else f'{value:+.2f}'


def _two(value: float | None) -> str:
    return NOTHING if value is None else f'{value:.2f}' if value < 10 else f'{value:.1f}'
