"""Names of what is written of each image: as many as there are images, all below one folder."""
import os
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_vittm.datasets.picture_names import Pictures, name_pictures
from mmseg_vittm.errors import InputError

SOME = ['a', 'b', 'x', 'a.jpg', 'x.png', 'x.jpg', 'x.jpg.png', '.png', 'a.', 'a b', 'x.PNG', '...', 'ü']
ANY = st.text(st.characters(exclude_characters='/\0', codec='utf-8'), min_size=1, max_size=4)
PARTS = st.sampled_from(SOME) | ANY.filter(lambda text: text not in ('.', '..'))
PATHS = st.lists(PARTS, min_size=1, max_size=4).map('/'.join)


@given(st.lists(st.tuples(st.lists(PATHS, max_size=5), st.sampled_from(['/data/images', '/data', 'data', '']),
                          st.sampled_from(['/data/images', '/data/images/../other', 'data', '/else'])), max_size=3))
def test_no_two_images_share_a_name(datasets):
    datasets = [Pictures([f'{root}/{path}' for path in paths], folder) for paths, folder, root in datasets]
    images = {os.path.abspath(path) for dataset in datasets for path in dataset.paths}
    try:
        names = name_pictures(datasets)
    except InputError:  # a file would be where a folder is, for every name with its ending
        assert any(f'{path}.png{os.sep}'.casefold() in other.casefold() for path in images for other in images)
        return
    assert {os.path.abspath(path) for path in names} == images
    by_image = {os.path.abspath(path): name for path, name in names.items()}
    assert len({name.casefold() for name in by_image.values()}) == len(images)
    for name in by_image.values():
        parts = PurePosixPath(name).parts
        assert name.endswith('.png') and not PurePosixPath(name).is_absolute() and '..' not in parts
        assert not any(str(parent) in by_image.values() for parent in PurePosixPath(name).parents)


@pytest.mark.parametrize('paths,names', [
    (['d/a/x.jpg', 'd/b/x.jpg'], ['a/x.png', 'b/x.png']), (['d/x.jpg', 'd/y.jpg'], ['x.png', 'y.png']),
    (['d/x.jpg', 'd/x.webp', 'd/y.jpg'], ['x.jpg.png', 'x.webp.png', 'y.jpg.png']),
    (['d/A.jpg', 'd/a.jpg'], ['A.jpg.png', 'a.jpg~2.png']), (['d/A/x.jpg', 'd/a/y.jpg'], ['A/x.png', 'a/y.png']),
    (['d/\u00e9.jpg', 'd/e\u0301.jpg'], ['\u00e9.jpg~2.png', 'e\u0301.jpg.png']),
    (['d/A.jpg', 'd/a.png'], ['A.jpg.png', 'a.png.png']),
    (['d/a_leftImg8bit.png'], ['a_leftImg8bit.png']), (['d/x.png/y.jpg', 'd/x.jpg'], ['x.png/y.jpg.png', 'x.jpg.png']),
    (['d/x', 'd//y.jpg', 'd/x'], ['x.png', 'y.png', 'x.png']), (['e/x.jpg', 'd/x.jpg'], ['e/x.png', 'd/x.png'])])
def test_names_are_those_below_the_images_folder(paths, names):
    assert [name_pictures([Pictures(paths, 'd')])[path] for path in paths] == names


def test_data_sets_of_several_folders():
    names = name_pictures([Pictures(['one/val/x.jpg'], 'one/val'),
                           Pictures(['two/val/x.jpg', 'one/val/x.jpg'], 'two/val')])
    assert names == {'one/val/x.jpg': 'one/val/x.png', 'two/val/x.jpg': 'two/val/x.png'}
    assert name_pictures([]) == name_pictures([Pictures([], 'd')]) == {}
    with pytest.raises(InputError, match='x.jpg.png'):
        name_pictures([Pictures(['d/x.jpg', 'd/x.png', 'd/x.jpg.png/y.jpg', 'd/x.jpg.png/y.png'], 'd')])
