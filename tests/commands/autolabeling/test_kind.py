"""How label files of a data set number classes, and what its files are called: as the config's own data."""
import numpy as np
import pytest
from mmengine.config import Config
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from mmseg_vittm.commands.autolabeling.kind import kind_of_set
from mmseg_vittm.datasets.label_checks import IGNORED, label_table
from mmseg_vittm.errors import InputError

NAMES = ('road', 'tree', 'car')


@DATASETS.register_module()
class ThreeNames(BaseSegDataset):
    """A data set whose label files number these classes from 0."""
    METAINFO = dict(classes=NAMES, palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2]])


def config(**dataset) -> Config:
    own = dict(type='ThreeNames', data_root='x', data_prefix=dict(img_path='images/train',
                                                                  seg_map_path='annotations/train')) | dataset
    return Config(dict(train_dataloader=dict(dataset=own)))


@pytest.mark.parametrize(('dataset', 'classes'), [
    ({}, NAMES), (dict(reduce_zero_label=True), NAMES),
    (dict(metainfo=dict(classes=('car', 'road'))), ('car', 'road'))])
def test_files_say_the_classes_that_are_read(dataset, classes):
    """What MMSegmentation makes of the numbers is the classes again, and what it ignores is the void."""
    kind = kind_of_set(config(**dataset), classes)
    built = DATASETS.build(dict(config(**dataset).train_dataloader.dataset, pipeline=[], lazy_init=True))
    table = label_table(built.reduce_zero_label, built.metainfo.get('label_map'))
    assert table[kind.numbers].tolist() == list(range(len(classes))) and table[kind.void] == IGNORED
    assert kind.type == ('ThreeNames' if 'metainfo' in dataset else 'BaseSegDataset')
    assert kind.numbers.dtype == np.uint8 and kind.void in (0, 255)
    assert (kind.images, kind.annotations) == ('images/train', 'annotations/train')


@pytest.mark.parametrize(('suffixes', 'image', 'names'), [
    (('.jpg', '.png'), 'a/b.jpg', ('a/b.jpg', 'a/b.png')),
    (('.jpg', '.png'), 'a/b.png', ('a/b.png.jpg', 'a/b.png.png')),
    (('.jpg', '.png'), 'b.JPG', ('b.JPG.jpg', 'b.JPG.png')),
    (('_img.png', '_gt.png'), 'b_img.png', ('b_img.png', 'b_gt.png')),
    (('_img.png', '_gt.png'), 'b.png', ('b.png_img.png', 'b.png_gt.png'))])
def test_names(suffixes, image, names):
    kind = kind_of_set(config(img_suffix=suffixes[0], seg_map_suffix=suffixes[1]), NAMES)
    assert kind.names_of(image) == names


@pytest.mark.parametrize('prefix', [
    dict(img_path='', seg_map_path=''), dict(img_path='/data/a', seg_map_path='b'),
    dict(img_path='../a', seg_map_path='b'), dict(img_path='a', seg_map_path='a'),
    dict(img_path='a', seg_map_path='a/b')])
def test_folders_of_their_own(prefix):
    kind = kind_of_set(config(data_prefix=prefix), NAMES)
    assert (kind.images, kind.annotations) == ('images/training', 'annotations/training')


@pytest.mark.parametrize(('cfg', 'classes', 'said'), [
    (config(), ('road', 'tree', 'bus'), 'has the classes road, tree, car, the checkpoint road, tree, bus'),
    (Config({}), NAMES, 'has no dataset'),
    (config(type='BaseSegDataset'), tuple(map(str, range(256))), '8 bits cannot number'),
    (config(foo=3), NAMES, 'cannot be built')])
def test_what_cannot_be_numbered(cfg, classes, said):
    with pytest.raises(InputError, match=said):
        kind_of_set(cfg, classes)
