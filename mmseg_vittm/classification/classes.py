"""The classes of data sets: folders, or the lines of a file."""
import os
from collections.abc import Sequence
from pathlib import Path

from ..datasets.image_files import read_file
from ..errors import DataError, InputError, shown

MOST = 1 << 16
SHOWN = 5
NUMBERED = 'numbered'  # of a data set's meta: whether only the number of its classes is known


def read_class_list(classes: str | int, data_root: str | None) -> list[str]:
    """Returns the names of classes, in the order of their labels.

    Args:
        classes: A file with a name on each line, beside or below `data_root` if it is no whole path; or a number, whose
            classes are called `'0'`, `'1'`, ...
        data_root: The folder of the data.

    Raises:
        InputError: It is neither, or has no name, too many or one twice.
    """
    if type(classes) is int:
        if not 2 <= classes <= MOST:
            raise InputError(f'classes must be a number from 2 to {MOST}, or a file of their names, got {classes}')
        return [str(number) for number in range(classes)]
    if not isinstance(classes, (str, os.PathLike)):
        raise InputError(f'classes must be a file with a name on each line, or a number, got {classes!r}')
    path = Path(data_root or '', classes)
    if not path.exists():
        raise DataError(path, 'no such file', 'give classes=FILE with the name of a class on each line, in the order '
                        'of their labels, or the number of classes')
    names = [line.strip() for line in read_file(str(path)).decode('utf-8-sig', errors='replace').splitlines()]
    names = [name for name in names if name]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice or not 2 <= len(names) <= MOST:
        problem = f'{shown(twice[0])} is there twice' if twice else f'{len(names)} classes'
        raise DataError(path, problem, f'give a file with 2 to {MOST} names of classes, each on a line of its own')
    return names


def folders_in(path: Path) -> list[str]:
    """Returns the names of the folders in a folder, in order, hidden ones aside.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith('.'))
    except OSError as error:
        raise DataError(path, f'cannot be read ({error.strerror})', 'make it a readable folder') from error


def some(names: Sequence[str]) -> str:
    """Returns the first of some names, and how many more there are, as errors show them."""
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return ', '.join(map(shown, names[:SHOWN])) + more


def difference(names: Sequence[str], others: Sequence[str], whose: str, of_others: str,
               numbered: bool = False) -> str | None:
    """Returns how the classes of something differ from others', or None where they are the same in the same order.

    Args:
        names: The names of its classes.
        others: Those of the others.
        whose: What it is called in the answer.
        of_others: What the others are.
        numbered: Whether only the number is known of one or both, and compared.
    """
    names, others = list(names), list(others)
    if names == others or numbered and len(names) == len(others):
        return None
    more, less = sorted(set(names) - set(others)), sorted(set(others) - set(names))
    if numbered or not (more or less):
        what = 'another number' if len(names) != len(others) else 'the same names in another order'
        return f'{whose} has {len(names)} classes, {of_others} {len(others)}: {what}'
    found = [f'{some(less)} only in {of_others}'] * bool(less) + [f'{some(more)} only in {whose}'] * bool(more)
    return f'{whose} has {len(names)} classes, {of_others} {len(others)}: {"; ".join(found)}'
