"""What labels mean: seen where it can be, and an error that names all readings where not."""
import pytest

from mmseg_vittm.commands.new_dataset.class_lists import ClassEntry
from mmseg_vittm.commands.new_dataset.meaning import find_meaning, listed
from mmseg_vittm.errors import InputError


def meaning(values, names='abc', zero=None, void=(), **more):
    entries = names if isinstance(names, list) else [ClassEntry(name) for name in names]
    return find_meaning({value: f'{value}.png' for value in values}, entries, zero, void, **more)


@pytest.mark.parametrize('values,names,wishes,classes,numbers,void', [
    ([0, 1, 2], 'abc', {}, 'abc', [0, 1, 2], [255]),
    ([0, 1, 2, 255], 'abc', {}, 'abc', [0, 1, 2], [255]),
    ([0, 1], 'abc', {}, 'abc', [0, 1, 2], [255]),  # the last never occurs
    ([1, 2, 3], 'abc', {}, 'abc', [1, 2, 3], [0, 255]),
    ([1, 3, 255], 'abc', {}, 'abc', [1, 2, 3], [0, 255]),
    ([0, 1, 2, 3], 'abc', dict(zero='void'), 'abc', [1, 2, 3], [0, 255]),
    ([0, 1, 2, 3], 'abc', dict(void=(0, )), 'abc', [1, 2, 3], [0, 255]),
    ([0, 1, 2, 3], 'abc', dict(void=(3, )), 'abc', [0, 1, 2], [3, 255]),
    ([0, 1, 2, 3], 'abc', dict(zero='background'), ['background', 'a', 'b', 'c'], [0, 1, 2, 3], [255]),
    ([1, 2], 'abc', dict(zero='class'), 'abc', [0, 1, 2], [255]),
    ([1, 2], 'abc', dict(zero='void'), 'abc', [1, 2, 3], [0, 255]),
    ([0, 1], 'a', {}, ['background', 'a'], [0, 1], [255]),
    ([0, 255], 'a', {}, ['background', 'a'], [0, 255], []),
    ([0, 255], 'ab', {}, 'ab', [0, 255], []),
    ([0, 50, 100], 'abc', {}, 'abc', [0, 50, 100], []),
    ([10, 20, 30, 255], 'abc', {}, 'abc', [10, 20, 30], [255]),
    ([0, 50, 100, 150], 'abc', dict(zero='void'), 'abc', [50, 100, 150], [0]),
    ([0, 50, 100, 150], 'abc', dict(zero='background'), ['background', 'a', 'b', 'c'], [0, 50, 100, 150], []),
    ([0, 1, 2], ['a', 'void', 'c'], {}, 'ac', [0, 2], [1, 255]),
])
def test_what_can_be_seen(values, names, wishes, classes, numbers, void):
    names = [ClassEntry(name) for name in names]
    found = meaning(values, names, **wishes)
    assert [entry.name for entry in found.classes] == list(classes)
    assert found.values == numbers and found.void == void and found.said


def test_numbered_classes():
    entries = [ClassEntry('road', 7), ClassEntry('car', 26)]
    assert meaning([7, 26, 255], entries).values == [7, 26]
    assert meaning([7, 8, 26], entries, ignores_others=True).void == [8]
    with pytest.raises(InputError, match=r'^8\.png: label 8 of no class, whose labels are 7, 26; .* void=8'):
        meaning([7, 8, 26], entries)


@pytest.mark.parametrize('values,names,wishes,parts', [
    ([0, 1, 2, 3], 'abc', {}, ['3.png', 'zero=void', 'zero=background', 'void=3', '0 is a and 3 is void']),
    ([1, 2], 'abc', {}, ['2.png', 'zero=class', 'zero=void']),
    ([0, 1, 2, 7], 'abc', {}, ['7.png', 'label 7 above the 3 classes', 'void=7']),
    ([0, 1, 2, 7, 9], 'abc', dict(zero='class'), ['7.png', '7, 9']),
    ([1, 2, 3, 9], 'abc', {}, ['9.png', 'label 9 above the 3 classes, whose labels are 1 to 3']),
    ([0, 40, 90, 91, 120], 'abc', {}, ['120.png', 'do not fit 3 classes', '120:c']),
    ([0], 'abc', {}, ['0.png', 'one class only', 'a (label 0)']),
    ([0, 255], 'abc', {}, ['one class only']),
    ([255], 'abc', {}, ['255.png']),
    ([0, 1], 'a', dict(zero='void'), ['one class only (a)', 'zero=background']),
    ([0, 1, 2], ['a', 'unlabelled'], dict(zero='class'), ['label 2 above the 2 classes']),
    ([0, 1], ['a', 'unlabelled'], {}, ['one class only (a)']),
    ([0, 1, 2], 'abc', dict(void=(1, )), ['label 1 is void by void=1, and b by the order', '2:c']),
])
def test_what_cannot_be_seen(values, names, wishes, parts):
    with pytest.raises(InputError) as raised:
        meaning(values, [ClassEntry(name) for name in names], **wishes)
    assert all(part in str(raised.value) for part in parts), str(raised.value)
    assert '\n' not in str(raised.value)


def test_without_classes():
    with pytest.raises(InputError, match=r'classes are not given, labels are 0 to 4, 9, 11, 12; give classes='):
        find_meaning(dict.fromkeys([0, 1, 2, 3, 4, 9, 11, 12], 'a.png'), None)


@pytest.mark.parametrize('values,text', [([], 'none'), ([3], '3'), ([3, 4], '3, 4'), ([0, 1, 2, 9], '0 to 2, 9'),
                                         (range(0, 60, 2), '0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, ...')])
def test_listed(values, text):
    assert listed(values) == text
