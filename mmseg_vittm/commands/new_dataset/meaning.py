"""What labels mean: which value of the files is which class, and which is void."""
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...datasets.label_checks import IGNORED
from ...errors import InputError
from .class_lists import ClassEntry

ZERO = ('void', 'background', 'class')
BACKGROUND = 'background'
LISTED = 12  # values in an error


@dataclass
class Meaning:
    """What labels mean.

    Attributes:
        classes: The classes, in their order in the model.
        values: The label of each class in the files.
        void: Labels that do not count.
        said: Sentences that tell how this was seen.
    """
    classes: list[ClassEntry]
    values: list[int]
    void: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        """Whether labels are the classes' numbers from 0, and 255."""
        return self.values == list(range(len(self.values))) and set(self.void) <= {IGNORED}

    @property
    def reduces_zero(self) -> bool:
        """Whether labels are the classes' numbers from 1, 0 is void, and so is 255."""
        return self.values == list(range(1, len(self.values) + 1)) and set(self.void) <= {0, IGNORED}


def find_meaning(places: Mapping[int, str], entries: Sequence[ClassEntry] | None, zero: str | None = None,
                 void: Sequence[int] = (), ignores_others: bool = False) -> Meaning:
    """Finds what the labels in files mean.

    Args:
        places: The labels that occur, each with a file that has it.
        entries: The classes; void ones (`unlabelled`, ...) among them are those whose pixels do not count.
        zero: What 0 means: `'void'`, `'background'`, a class of its own that is not among the classes, or `'class'`,
            the first of them. None is to see it.
        void: Labels that do not count.
        ignores_others: Labels of no class do not count.

    Raises:
        InputError: Classes are not given, do not fit the labels, or fit in several ways; says which, and the remedy.
    """
    found = {value: places[value] for value in sorted(places)}
    if entries is None:
        raise InputError(f'classes are not given, labels are {listed(found)}; give classes=a,b,... in the order of '
                         'these labels, or a file of them')
    values = {value: place for value, place in found.items() if value not in void}
    if entries[0].value is not None:
        meaning = _by_numbers(values, list(entries), void, ignores_others)
    else:
        meaning = _by_order(values, list(entries), zero, list(void))
    for number in reversed([number for number, entry in enumerate(meaning.classes) if entry.is_void]):
        meaning.said.append(f'{meaning.classes[number].name} (label {meaning.values[number]}) is void')
        meaning.void.append(meaning.values.pop(number))
        meaning.classes.pop(number)
    meaning.void = sorted(set(meaning.void))
    both = [number for number, value in enumerate(meaning.values) if value in meaning.void]
    if both:
        number = both[0]
        raise InputError(f'label {meaning.values[number]} is void by void={",".join(map(str, void))}, and '
                         f'{meaning.classes[number].name} by the order of the classes; leave it out there, or give '
                         f'classes their labels, such as {meaning.values[-1]}:{meaning.classes[-1].name}')
    if len(meaning.classes) < 2:
        names = ', '.join(entry.name for entry in meaning.classes)
        raise InputError(f'there is one class only ({names}), and nothing to tell it from; give one more class, or '
                         f'zero={BACKGROUND} where 0 is what is left over')
    seen = [value for value in meaning.values if value in found]
    if len(seen) < 2:
        what = f'{meaning.classes[meaning.values.index(seen[0])].name} (label {seen[0]})' if seen else 'or none'
        raise InputError(f'{next(iter(found.values()), "the labels")}: all labels hold one class only, {what}; check '
                         'that these are the labels, and the classes')
    return meaning


def _by_numbers(values: Mapping[int, str], entries: list[ClassEntry], void: Sequence[int],
                ignores_others: bool) -> Meaning:
    """Returns the meaning where every class has its label."""
    known = [entry.value for entry in entries]
    others = [value for value in values if value not in known]
    wrong = [value for value in others if value != IGNORED]
    if wrong and not ignores_others:
        raise InputError(f'{values[wrong[0]]}: label {listed(wrong)} of no class, whose labels are {listed(known)}; '
                         f'give it a class, or void={",".join(map(str, wrong[:LISTED]))} where it does not count')
    return Meaning(entries, known, [*void, *others])


def _by_order(values: Mapping[int, str], entries: list[ClassEntry], zero: str | None, void: list[int]) -> Meaning:
    """Returns the meaning where classes are in the order of their labels."""
    if zero == 'void':
        void, values = [*void, 0], {value: place for value, place in values.items() if value}
    if zero == BACKGROUND:
        entries = [ClassEntry(BACKGROUND), *entries]
    count, plain = len(entries), [value for value in values if value != IGNORED]
    is_binary = plain == [0] and IGNORED in values and count <= 2  # black and white
    if not plain or plain[-1] > count or is_binary:
        return _by_rank(values, entries, void)
    if zero is not None and zero != 'void':
        what = 'a class of its own, background' if zero == BACKGROUND else f'the first class, {entries[0].name}'
        return _from(0, values, entries, void, f'0 is {what}, as given')
    if zero == 'void' or plain[-1] == count and (plain[0] > 0 or 0 in void):
        return _from(1, values, entries, void, f'labels begin at 1, {entries[0].name}' + '; 0 is void' * (0 in void))
    if plain[-1] < count:
        if plain[0] > 0 and 0 not in void and plain[-1] == count - 1:
            raise InputError(f'{values[plain[-1]]}: labels {listed(values)} fit {count} classes in two ways: 0 is '
                             f'{entries[0].name}, which never occurs (zero=class); or 1 is {entries[0].name}, and '
                             f'{entries[-1].name} never occurs (zero=void); give zero')
        return _from(0, values, entries, void, f'0 is the first class, {entries[0].name}')
    # 0 and the number of classes both occur.
    if count == 1:
        return _from(0, values, [ClassEntry(BACKGROUND), *entries], void, '0 is a class of its own, background, since '
                     f'{entries[0].name} alone could not be told from anything')
    raise InputError(f'{values[count]}: labels {listed(values)} are one more than the {count} classes, which can be '
                     f'read in several ways: 0 is void and 1 is {entries[0].name} (zero=void); 0 is background, a '
                     f'class of its own (zero=background); or 0 is {entries[0].name} and {count} is void '
                     f'(void={count}); give one of these')


def _from(first: int, values: Mapping[int, str], entries: list[ClassEntry], void: list[int], said: str) -> Meaning:
    """Returns the meaning where classes have successive labels from a first one on."""
    known = list(range(first, first + len(entries)))
    own_void = sorted({*void, IGNORED, *range(first)})
    _refuse_above([value for value in values if value not in known and value not in own_void], values, known)
    return Meaning(entries, known, own_void, [said])


def _refuse_above(others: Sequence[int], values: Mapping[int, str], known: Sequence[int]) -> None:
    if others:
        raise InputError(f'{values[others[0]]}: label {listed(others)} above the {len(known)} classes, whose labels '
                         f'are {listed(known)}; correct the file, give more classes, or '
                         f'void={",".join(map(str, others[:LISTED]))} where it does not count')


def _by_rank(values: Mapping[int, str], entries: list[ClassEntry], void: list[int]) -> Meaning:
    """Returns the meaning of labels that are no successive numbers: as many as classes, in their order."""
    count, plain = len(entries), [value for value in values if value != IGNORED]
    if count > 1:
        for first in (0, 1):
            known = range(first, first + count)
            if set(known) <= set(plain):
                _refuse_above([value for value in plain if value not in known and value], values, known)
    if not plain:
        raise InputError(f'{next(iter(values.values()), "the labels")}: label 255 alone is in all labels, and 255 is '
                         'void; check that these are the labels')
    if count == 1 and len(values) == 2 and 0 in values:  # such as 0 and 255
        entries, chosen, rest = [ClassEntry(BACKGROUND), *entries], list(values), []
    elif len(values) == count:
        chosen, rest = list(values), []
    elif len(plain) == count:
        chosen, rest = plain, [IGNORED]
    else:
        last = plain[-1]
        raise InputError(f'{values[last]}: label {last}; labels {listed(values)} do not fit {count} classes; give as '
                         f'many classes, or each with its label, such as {last}:{entries[-1].name}, and those that do '
                         'not count by void=')
    said = ', '.join(f'{value} is {entry.name}' for value, entry in zip(chosen, entries, strict=True))
    return Meaning(entries, chosen, [*void, *rest], [f'labels in the order of the classes: {said}'])


def listed(values: Iterable[int]) -> str:
    """Returns values as runs, `0 to 10, 255`."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    texts = [str(low) if low == high else f'{low} to {high}' if high > low + 1 else f'{low}, {high}'
             for low, high in runs[:LISTED]]
    return ', '.join(texts) + ', ...' * (len(runs) > LISTED) or 'none'
