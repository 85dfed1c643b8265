"""Names and colours of classes: given, in a file beside the data, or those of a known data set."""
import colorsys
import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import InputError, shown

Colour = tuple[int, int, int]
# What tools call the file that has the classes, in the order in which they are looked for.
FILES = ('classes.txt', 'labelmap.txt', 'labels.txt', 'class_dict.csv', 'label_colors.txt', 'classes.csv')
VOID_NAMES = frozenset(('void', 'unlabelled', 'unlabeled', 'ignore', 'ignored', 'unknown'))


class ClassEntry(NamedTuple):
    """A class.

    Attributes:
        name: Its name.
        value: Its label in the files; None where that follows from the order.
        colour: Its RGB colour in coloured masks and in pictures; None where there is none.
    """
    name: str
    value: int | None = None
    colour: Colour | None = None

    @property
    def is_void(self) -> bool:
        """Whether its pixels do not count."""
        return self.name.strip().lower() in VOID_NAMES


def given_classes(given: str) -> list[ClassEntry]:
    """Returns the classes of an argument: a file of them, or names with commas between.

    A line of a file, or a part of the argument, is a name, or its label and name with a colon between, `7:road`. In a
    file three numbers may follow, which are its colour: `road 128 64 128`, `road,128,64,128` or CVAT's
    `road:128,64,128::`.

    Raises:
        InputError: There is nothing, a name or label is there twice, or some classes have a label or colour and others
            not.
    """
    if os.path.isfile(given):
        return read_classes(given)
    looks_like_file = '/' in given or given.endswith(('.txt', '.csv'))
    if looks_like_file or not given.strip():
        raise InputError(f'classes={shown(given)}: no such file; give a file of one class per line, or a,b,c')
    return _checked([_entry(part) for part in given.split(',') if part.strip()], f'classes={shown(given)}')


def read_classes(path: str | Path) -> list[ClassEntry]:
    """Returns the classes in a file; see `given_classes`.

    Raises:
        InputError: It cannot be read, or see there.
    """
    try:
        text = Path(path).read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: cannot be read as a list of classes; give a text of one class per line') from error
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(('#', '//'))]
    if lines and ',' in lines[0] and {'name', 'r'} <= {cell.strip().lower() for cell in lines[0].split(',')}:
        return _checked(_table(lines, path), str(path))
    return _checked([_entry(line) for line in lines], str(path))


def _table(lines: Sequence[str], path: str | Path) -> list[ClassEntry]:
    """Returns the classes of a CSV with the columns name, r, g and b."""
    entries = []
    for row in csv.DictReader(lines):
        row = {str(key).strip().lower(): str(value).strip() for key, value in row.items()}
        try:
            entries.append(ClassEntry(row['name'], None, _colour([row['r'], row['g'], row['b']])))
        except (KeyError, ValueError) as error:
            raise InputError(f'{path}: {shown(",".join(row.values()))} is no name with three numbers from 0 to 255; '
                             'correct the file') from error
    return entries


def _entry(line: str) -> ClassEntry:
    """Returns the class in a line."""
    line = line.strip()
    cvat = re.fullmatch(r'([^:]+):(\d+),(\d+),(\d+):[^:]*:[^:]*', line)
    if cvat:
        return ClassEntry(cvat[1].strip(), None, _colour(cvat.groups()[1:]))
    value, colour = None, None
    numbered = re.match(r'(\d+)\s*:\s*(?=\S)', line)
    if numbered:
        value, line = int(numbered[1]), line[numbered.end():]
    coloured = re.fullmatch(r'(.*?[^\s,])[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})\s*', line)
    first = re.fullmatch(r'(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\S.*)', line)
    if first:  # CamVid's own list has the colour first
        line, colour = first[4], _colour(first.groups()[:3])
    elif coloured:
        line, colour = coloured[1], _colour(coloured.groups()[1:])
    return ClassEntry(line.strip(), value, colour)


def _colour(parts: Sequence[str]) -> Colour:
    colour = tuple(int(part) for part in parts)
    if max(colour) > 255:
        raise InputError(f'the colour {" ".join(parts)} has a number over 255; correct it')
    return colour


def _checked(entries: list[ClassEntry], where: str) -> list[ClassEntry]:
    if not entries:
        raise InputError(f'{where}: there is no class; give one per line, or a,b,c')
    for what, values in (('name', [entry.name for entry in entries]),
                         ('label', [entry.value for entry in entries if entry.value is not None]),
                         ('colour', [entry.colour for entry in entries if entry.colour is not None])):
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            raise InputError(f'{where}: the {what} {shown(str(twice[0]))} is there twice; give every class its own')
    for what in ('value', 'colour'):
        have = [getattr(entry, what) is not None for entry in entries]
        if any(have) and not all(have):
            name = entries[have.index(False)].name
            raise InputError(f'{where}: {shown(name)} has no {"label" if what == "value" else what}, others have; give '
                             'all classes one, or none')
    return entries


def classes_beside(folders: Sequence[Path]) -> tuple[list[ClassEntry], Path] | None:
    """Returns the classes in a file that lies in one of some folders under a usual name, and that file; else None."""
    for folder in dict.fromkeys(folders):
        for name in FILES:
            if (folder / name).is_file():
                return read_classes(folder / name), folder / name
    return None


def default_palette(count: int) -> list[Colour]:
    """Returns colours that are told apart: hues a golden angle apart, in turn bright, dark and pale.

    Args:
        count: Number of classes.
    """
    tones = ((0.75, 0.95), (0.9, 0.6), (0.4, 0.85))  # saturation, value
    colours = (colorsys.hsv_to_rgb(number * 0.618034 % 1, *tones[number % len(tones)]) for number in range(count))
    return [tuple(round(255 * part) for part in colour) for colour in colours]
