"""What trainings logged: how far they are, and their scores on the way."""
import json
import statistics
from collections.abc import Iterator
from pathlib import Path

SCALARS = '[0-9]*/vis_data/scalars.json'  # of each time that a run was started
TAIL = 8192  # bytes, many lines


def newest_step(folder: Path) -> int:
    """Returns the iteration that a run has logged last, 0 where it has logged none."""
    logs = sorted(folder.glob(SCALARS))
    if not logs:
        return 0
    with open(logs[-1], 'rb') as file:
        file.seek(max(0, logs[-1].stat().st_size - TAIL))
        lines = file.read().decode(errors='replace').splitlines()
    return max((step for step, _ in _entries(lines)), default=0)


def curve(folder: Path, score: str = 'mIoU') -> list[tuple[int, float]]:
    """Returns the iterations at which a run was validated, and what it scored, in percent.

    A run that was stopped goes on from its last checkpoint: what it had logged beyond, it logs again, and that counts.
    """
    scores: dict[int, float] = {}
    for log in sorted(folder.glob(SCALARS)):
        entries = list(_entries(log.read_text(encoding='utf-8', errors='replace').splitlines()))
        first = min((step for step, _ in entries), default=None)
        if first is not None:
            scores = {step: value for step, value in scores.items() if step < first}
        scores.update({step: float(entry[score]) for step, entry in entries
                       if isinstance(entry.get(score), (int, float))})
    return sorted(scores.items())


def _entries(lines: list[str]) -> Iterator[tuple[int, dict]]:
    """Yields the iteration and the content of each whole line."""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # the first or the last may be cut
            continue
        if isinstance(entry, dict) and isinstance(entry.get('step'), int):
            yield entry['step'], entry


def seconds_per_iteration(folder: Path) -> float | None:
    """Returns the median of what the iterations of a run took, None where nothing says it."""
    times = [entry['time'] for log in sorted(folder.glob(SCALARS))
             for _, entry in _entries(log.read_text(encoding='utf-8', errors='replace').splitlines())
             if 'loss' in entry and isinstance(entry.get('time'), float)]
    return statistics.median(times) if times else None
