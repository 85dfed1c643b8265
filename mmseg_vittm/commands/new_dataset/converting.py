"""Labels that MMSegmentation does not read, written as label maps beside the originals."""
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ...datasets.label_checks import IGNORED
from ...errors import DataError, InputError
from ...outputs import refuse_existing, whole_file
from .class_lists import ClassEntry, Colour
from .label_files import COLOUR, GREY, as_colour, read_label
from .pairs import Pair
from .polygons import Drawing, draw

SUFFIX = '_index'  # of the folder beside that of the originals
LISTED = 3  # unknown colours in an error


def target_folder(labels: Path) -> Path:
    """Returns the folder that converted labels go to."""
    return labels.with_name(labels.name + SUFFIX)


def targets(pairs: Sequence[Pair], labels: Path, images: Path, overwrite: bool) -> list[Path]:
    """Returns where the converted label of each pair goes: its place below the folder of labels, or of images, as PNG.

    Args:
        pairs: The pairs.
        labels: The folder of labels; of polygons, that of the images.
        images: The folder of the images.
        overwrite: Whether those of an earlier run may be replaced.

    Raises:
        InputError: One is there already, or two have one name.
    """
    folder = target_folder(labels)
    places = []
    for one in pairs:
        source, root = (one.label, labels) if one.label is not None else (one.image, images)
        places.append(folder / source.relative_to(root).with_suffix('.png'))
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise InputError(f'{twice}: two labels would be written there; rename one of the originals')
    refuse_existing(places, overwrite)
    return places


def colour_values(entries: Sequence[ClassEntry] | None, found: dict[int, str],
                  counts: dict[int, int]) -> dict[int, int]:
    """Returns the class of each colour of coloured masks, 255 of void ones.

    Args:
        entries: The classes, with colours.
        found: The colours that occur, as 0xRRGGBB, transparent -1, each with a file that has it.
        counts: Their pixels, over all files.

    Raises:
        InputError: There are no classes, they have no colours, or a colour is of none of them.
    """
    listed = sorted((colour for colour in found if colour >= 0), key=lambda colour: -counts[colour])
    if entries is None or entries[0].colour is None:
        first = next(iter(found.values()))
        colours = '; '.join(_text(colour) for colour in listed[:12]) + '; ...' * (len(listed) > 12)
        raise InputError(f'{first}: a mask of {len(listed)} colours ({colours}), and which class has which is not '
                         'known; give classes=FILE with lines of a name and three numbers, such as road 128 64 128')
    table, number = {-1: IGNORED}, 0
    for entry in entries:
        red, green, blue = entry.colour
        table[red << 16 | green << 8 | blue] = IGNORED if entry.is_void else number
        number += not entry.is_void
    unknown = [colour for colour in listed if colour not in table]
    if unknown:
        named = '; '.join(f'{_text(colour)} in {counts[colour]} pixels, nearest to {_nearest(colour, entries)}'
                          for colour in unknown[:LISTED])
        raise InputError(f'{found[unknown[0]]}: {len(unknown)} colours are of no class: {named}; add them to the list '
                         'of classes (void R G B where they do not count), or save masks without smoothing')
    return table


def _text(colour: int) -> str:
    return f'{colour >> 16} {colour >> 8 & 255} {colour & 255}'


def _nearest(colour: int, entries: Sequence[ClassEntry]) -> str:
    own = np.array([colour >> 16, colour >> 8 & 255, colour & 255])
    best = min(entries, key=lambda entry: np.abs(own - entry.colour).sum())
    return f'{best.name} ({" ".join(map(str, best.colour))})'


def palette_of(entries: Sequence[ClassEntry]) -> list[Colour]:
    """Returns the colours of classes that are not void."""
    return [entry.colour for entry in entries if not entry.is_void]


def convert(pairs: Sequence[Pair], places: Sequence[Path], table: dict[int, int],
            are_colours: bool, sizes: Sequence[tuple[int, int]], drawings: Sequence[Drawing] | None,
            sources: Sequence[str], progress: Callable[[int, int, str], None]) -> None:
    """Writes labels as PNGs of class numbers, each whole or not at all.

    Args:
        pairs: The pairs.
        places: Where their labels go.
        table: From a value of the originals to a class, 255 for void.
        are_colours: Whether these values are colours.
        sizes: (height, width) of each image.
        drawings: Labels that are drawn from polygons.
        sources: The file of each drawing.
        progress: Is called after every label.

    Raises:
        OutputError: One cannot be written.
    """
    keys = np.array(sorted(table))
    classes = np.array([table[key] for key in keys.tolist()], np.uint8)
    for number, (one, place) in enumerate(zip(pairs, places, strict=True)):
        if drawings is not None:
            labels = draw(drawings[number], sizes[number], sources[number])
        else:
            label = read_label(one.label)
            labels = as_colour(label.labels) if are_colours and label.kind == GREY else label.labels
        at = np.searchsorted(keys, labels).clip(max=len(keys) - 1)
        if (keys[at] != labels).any():
            raise DataError(str(one.label), 'has changed meanwhile', 'run the command again')
        with whole_file(place) as partial:
            Image.fromarray(classes[at]).save(partial)
        progress(number + 1, len(pairs), 'writing label maps')


def describe(kinds: set[str], drawn: bool) -> str:
    """Returns why labels are converted."""
    if drawn:
        return 'polygons'
    return 'coloured masks' if COLOUR in kinds else 'labels of more than 8 bits or one channel'
