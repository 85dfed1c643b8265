"""Records of measurements as JSON files, and numbers in tables."""
import json
from collections.abc import Sequence

from ..outputs import write_whole


def write_records(path: str, records: Sequence[dict]) -> None:
    """Writes records as JSON, whole or not at all."""
    write_whole(path, json.dumps(list(records), indent=1) + '\n')


def is_unlike_use(record: dict) -> bool:
    """Returns whether a record's speed depends on weights and on what images show, and not both were real."""
    return bool(record.get('varies_with_image')) and (record.get('source') != 'real' or not record.get('checkpoint'))


def variants(runs: Sequence[tuple[str, str | None, str, bool]]) -> list[str]:
    """Returns what to say after a config's name to tell runs apart: '', or such as ', SlideSegmentor, bf16, compiled'.

    Args:
        runs: Config, segmentor, dtype, and whether it is compiled, per run.
    """
    dtypes, compiled = ({run[i] for run in runs} for i in (2, 3))
    texts = []
    for config, segmentor, dtype, is_compiled in runs:
        several = len({other[1] for other in runs if other[0] == config}) > 1
        words = [segmentor] * several + [dtype] * (len(dtypes) > 1) + ['compiled'] * (is_compiled and len(compiled) > 1)
        texts.append(''.join(f', {word}' for word in words))
    return texts


def number(value: float | None) -> str:
    """Returns a number with three digits, or more before the point; a dash for None."""
    if value is None:
        return '-'
    return f'{value:.0f}' if abs(value) >= 100 else f'{value:.3g}'
