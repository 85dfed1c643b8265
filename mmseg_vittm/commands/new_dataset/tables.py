"""From the labels in files to classes: by numbers, colours or a palette."""
from ...datasets.label_checks import IGNORED
from ...errors import DataError, InputError
from .class_lists import ClassEntry, default_palette
from .converting import colour_values, palette_of
from .label_files import COLOUR, GREY, as_colour
from .layouts import Layout
from .looking import Looks
from .meaning import Meaning, find_meaning
from .summary import Summary


def table_of_indices(summary: Summary, entries: list[ClassEntry] | None, looks: Looks, zero: str | None,
                     void: tuple[int, ...], layout: Layout) -> dict[int, int]:
    """Returns the class of each label of files that stay as they are; notes classes, colours and what labels mean.

    Args:
        summary: Gets the notes.
        entries: The classes.
        looks: What the files hold.
        zero: See `meaning.find_meaning`.
        void: See there.
        layout: Where the files are.

    Raises:
        InputError: Classes and labels do not fit, or in several ways.
    """
    meaning = find_meaning(looks.places(), _by_palette(entries, looks), zero, void, layout.ignores_others)
    beyond = [place for place, value in enumerate(meaning.values) if value > IGNORED]
    if beyond:
        raise InputError(f'{meaning.classes[beyond[0]].name} has label {meaning.values[beyond[0]]}, labels of 8 bits '
                         'go up to 255; give classes the labels that the files have')
    _tell_meaning(summary, meaning, looks)
    return dict(zip(meaning.values, range(len(meaning.values)), strict=True))


def table_to_convert(summary: Summary, entries: list[ClassEntry] | None, looks: Looks, zero: str | None,
                     void: tuple[int, ...], layout: Layout) -> tuple[dict[int, int], bool]:
    """Returns what labels to convert become, 255 for void, and whether they are colours; notes classes and colours.

    Args:
        summary: Gets the notes.
        entries: The classes.
        looks: What the files hold.
        zero: See `meaning.find_meaning`.
        void: See there.
        layout: Where the files are.

    Raises:
        DataError: Masks are of several kinds.
        InputError: Classes and labels do not fit, or in several ways.
    """
    kinds = {look.kind for look in looks.looks}
    has_colours = entries is not None and entries[0].colour is not None
    are_colours = COLOUR in kinds or kinds == {GREY} and has_colours
    if are_colours and kinds - {COLOUR, GREY}:
        one = next(one for one, look in zip(looks.pairs, looks.looks, strict=True) if look.kind not in (COLOUR, GREY))
        raise DataError(str(one.label), 'labels of one channel among coloured masks', 'give masks of one kind')
    if not are_colours:
        zero = zero or _zero_of(looks, layout) if layout.polygons else zero
        meaning = find_meaning(looks.places(), entries, zero, void, layout.ignores_others)
        _tell_meaning(summary, meaning, looks)
        # Converted labels are the classes' numbers.
        summary.reduce_zero_label, summary.label_values, summary.void_values = False, None, []
        return (dict(zip(meaning.values, range(len(meaning.values)), strict=True))
                | {value: IGNORED for value in looks.places() if value not in meaning.values}), False
    for look in looks.looks:
        if look.kind == GREY:
            look.counts = {as_colour(value): count for value, count in look.counts.items()}
    counts: dict[int, int] = {}
    for look in looks.looks:
        for value, count in look.counts.items():
            counts[value] = counts.get(value, 0) + count
    table = colour_values(entries, looks.places(), counts)
    summary.classes = [entry.name for entry in entries if not entry.is_void]
    summary.palette = palette_of(entries)
    if len(summary.classes) < 2 or len({table[value] for value in counts} - {IGNORED}) < 2:
        raise InputError(f'{looks.pairs[0].label}: all masks hold one class only; check that these are the labels, and '
                         'the classes')
    return table, True


def _by_palette(entries: list[ClassEntry] | None, looks: Looks) -> list[ClassEntry] | None:
    """Returns classes with the labels that files with a palette give their colours."""
    if entries is None or entries[0].colour is None or entries[0].value is not None:
        return entries
    found: dict[tuple, set[int]] = {}
    for look in looks.looks:
        if look.palette is None:
            return entries
        for value in look.counts:
            if value != IGNORED:
                found.setdefault(tuple(look.palette[value].tolist()), set()).add(value)
    colours = {entry.colour for entry in entries}
    if not set(found) <= colours or any(len(values) > 1 for values in found.values()):
        return entries
    if [max(found.get(entry.colour, {number})) for number, entry in enumerate(entries)] != list(range(len(entries))):
        unused = iter(sorted(set(range(256)) - {value for values in found.values() for value in values}))
        return [entry._replace(value=max(found[entry.colour]) if entry.colour in found else next(unused))
                for entry in entries]
    return entries


def _tell_meaning(summary: Summary, meaning: Meaning, looks: Looks) -> None:
    """Notes classes, colours and labels."""
    summary.classes = [entry.name for entry in meaning.classes]
    palette = next((look.palette for look in looks.looks if look.palette is not None), None)
    if all(entry.colour is not None for entry in meaning.classes):
        summary.palette = [entry.colour for entry in meaning.classes]
    elif palette is not None and len({tuple(palette[value]) for value in meaning.values}) == len(meaning.values):
        summary.palette = [tuple(palette[value].tolist()) for value in meaning.values]
    else:
        summary.palette = default_palette(len(summary.classes))
    summary.said += meaning.said
    if meaning.reduces_zero:
        summary.reduce_zero_label = True
    elif not meaning.is_plain:
        summary.label_values = meaning.values
        summary.void_values = [value for value in meaning.void if value < IGNORED]  # of 8 bits, or converted


def _zero_of(looks: Looks, layout: Layout) -> str:
    """Returns what pixels are that no polygon covers; of polygons that cover all it does not matter."""
    places = looks.places()
    if 0 not in places:
        return 'void'
    raise InputError(f'{next(iter(layout.polygons.values()))}: what lies outside of all polygons, as in {places[0]}, '
                     'can be read in two ways: it is a class of its own, background (zero=background), or it is not '
                     'labelled and does not count (zero=void); give zero')
