"""Records of measurements as JSON files, and numbers in tables."""
import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError


def claim_file(path: str | None, overwrite: bool) -> None:
    """Checks that a file can be written, before anything long starts.

    Raises:
        InputError: It is there already and `overwrite` is False, or it cannot be written to.
    """
    if path is None:
        return
    if Path(path).exists() and not overwrite:
        raise InputError(f'{path} is there already; give another file, or --overwrite')
    there = Path(path).exists()
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, 'a'):
            pass
    except OSError as error:
        raise InputError(f'{path}: cannot be written to ({error}); give another file') from error
    if not there:
        Path(path).unlink()


def write_records(path: str, records: Sequence[dict]) -> None:
    """Writes records as JSON."""
    Path(path).write_text(json.dumps(list(records), indent=1) + '\n', encoding='utf-8')


def number(value: float | None) -> str:
    """Returns a number with three digits, or more before the point; a dash for None."""
    if value is None:
        return '-'
    return f'{value:.0f}' if abs(value) >= 100 else f'{value:.3g}'
