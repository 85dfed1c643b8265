"""Lists of classes: names, labels and colours, in every notation."""
import pytest

from mmseg_vittm.commands.new_dataset.class_lists import ClassEntry, classes_beside, default_palette, given_classes
from mmseg_vittm.errors import InputError


@pytest.mark.parametrize('given,expected', [
    ('a,b c', [('a', None, None), ('b c', None, None)]),
    ('7:road, 26:car', [('road', 7, None), ('car', 26, None)]),
])
def test_given_as_text(given, expected):
    assert [tuple(entry) for entry in given_classes(given)] == expected


@pytest.mark.parametrize('text,expected', [
    ('road\nsign symbol\n', [('road', None, None), ('sign symbol', None, None)]),
    ('\ufeff# a comment\nroad 128 64 128\nsign symbol\t1,2,3\n', [('road', None, (128, 64, 128)),
                                                                 ('sign symbol', None, (1, 2, 3))]),
    ('# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\n',
     [('background', None, (0, 0, 0)), ('road', None, (128, 64, 128))]),
    ('name,r,g,b\nroad,128,64,128\nVoid,0,0,0\n', [('road', None, (128, 64, 128)), ('Void', None, (0, 0, 0))]),
    ('64 128 64\tAnimal\n192 0 128\tArchway\n', [('Animal', None, (64, 128, 64)), ('Archway', None, (192, 0, 128))]),
    ('3: road 1 2 3\n5: car 4 5 6\n', [('road', 3, (1, 2, 3)), ('car', 5, (4, 5, 6))]),
])
def test_given_as_file(tmp_path, text, expected):
    (tmp_path / 'classes.txt').write_text(text, encoding='utf-8')
    found = given_classes(str(tmp_path / 'classes.txt'))
    assert [tuple(entry) for entry in found] == expected
    assert found[-1].is_void == (expected[-1][0] == 'Void')
    assert classes_beside([tmp_path / 'none', tmp_path]) == (found, tmp_path / 'classes.txt')


@pytest.mark.parametrize('text,message', [
    ('', 'there is no class'), ('a\na\n', 'the name a is there twice'), ('1:a\n1:b\n', 'the label 1 is there twice'),
    ('a 1 2 3\nb\n', 'b has no colour, others have'), ('1:a\nb\n', 'b has no label, others have'),
    ('a 1 2 300\n', 'over 255'), ('name,r,g,b\na,1,2\n', 'no name with three numbers'),
    ('a 1 2 3\nb 1 2 3\n', r'the colour \(1, 2, 3\) is there twice')])
def test_wrong_lists(tmp_path, text, message):
    (tmp_path / 'mine.txt').write_text(text)
    with pytest.raises(InputError, match=message):
        given_classes(str(tmp_path / 'mine.txt'))


@pytest.mark.parametrize('given', ['none.txt', 'folder/none', '', ' '])
def test_no_such_file(given):
    with pytest.raises(InputError, match='no such file'):
        given_classes(given)


def test_no_text(tmp_path):
    (tmp_path / 'c.txt').write_bytes(b'\xff\xfe\x00a')
    with pytest.raises(InputError, match=r'c\.txt: cannot be read as a list'):
        given_classes(str(tmp_path / 'c.txt'))
    assert classes_beside([tmp_path]) is None


def test_colours_are_told_apart():
    palette = default_palette(60)
    assert len(set(palette)) == 60 and all(0 <= part <= 255 for colour in palette for part in colour)
    first = default_palette(12)
    assert min(sum(abs(a - b) for a, b in zip(one, other, strict=True)) for one in first for other in first
               if one is not other) > 60
    assert ClassEntry('a').is_void is False
