"""What a survey has found, as tables, sentences and files."""
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from ..outputs import write_whole
from .class_histogram import histogram_files
from .survey import ALL, Fault, Findings

FILES = ('problems.csv', 'classes.csv', 'classes.svg', 'classes.png')  # of `write_report`


def fault_table(faults: Sequence[Fault], most: int) -> Table:
    """Returns a table of faults, at most so many of them; its title says how many there are."""
    table = Table(title=f'{len(faults)} problems')
    for name in Fault._fields:
        table.add_column(name, overflow='fold')
    for fault in faults[:most]:
        table.add_row(*(escape(text.encode(errors='backslashreplace').decode()) for text in fault))
    return table


def unseen_classes(found: Findings, splits: Sequence[str]) -> Iterator[str]:
    """Yields a sentence where classes occur nowhere, or not in one of the splits."""
    nowhere = found.images[ALL] == 0
    absences = {'any split': nowhere} | {f'{split}, but elsewhere': (found.images[split] == 0) & ~nowhere
                                         for split in splits}
    for where, absent in absences.items():
        names = [name for name, is_absent in zip(found.classes, absent, strict=True) if is_absent]
        if names:
            yield f'Never seen in {where}: {len(names)} of {len(absent)} classes ({", ".join(names)})'


def write_report(folder: Path, found: Findings, splits: Sequence[str], name: str) -> None:
    """Writes what was found into a folder, as `FILES`; the picture of classes only where there are any.

    Args:
        folder: The folder.
        found: What was found.
        splits: Their images are counted by class.
        name: What was looked at, for the picture's title.

    Raises:
        OutputError: A file cannot be written.
    """
    rows = [(title, int(found.pixels[ALL][i]), *(int(found.images[split][i]) for split in splits))
            for i, title in enumerate(found.classes)]
    _write_csv(folder / 'problems.csv', Fault._fields, found.faults)
    _write_csv(folder / 'classes.csv', ('class', 'pixels', *(f'images_{split}' for split in splits)), rows)
    if found.classes:
        title = f'{len(found.classes)} classes in {found.files} files of {name}'
        drawn = histogram_files(found.classes, found.pixels[ALL], found.images[ALL], title)
        for ending, content in drawn.items():
            write_whole(folder / f'classes.{ending}', content)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[tuple]) -> None:
    text = io.StringIO(newline='')
    csv.writer(text).writerows([header, *rows])
    write_whole(path, text.getvalue().encode(errors='surrogateescape'))
