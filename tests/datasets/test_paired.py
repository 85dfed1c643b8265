"""`PairedSegDataset`: pairs by a list, and what labels become."""
import numpy as np
import pytest
from own_sets import NAMES, labels_of, write_folders

from mmseg_vittm.datasets import PairedSegDataset
from mmseg_vittm.datasets.paired import UNKNOWN, label_map_of
from mmseg_vittm.errors import DataError, InputError
from mmseg_vittm.stack import DATASETS

META = dict(classes=tuple(NAMES), palette=[[1, 2, 3]] * 3)


def write_list(root, lines: str):
    (root / 'train.txt').write_text(lines)
    return str(root / 'train.txt')


def test_pairs_in_their_order(tmp_path):
    root = write_folders(tmp_path, splits=())
    ann_file = write_list(tmp_path, 'images/frame_002.png\tlabels/frame_001.png\n\nimages/frame_000.png\t/x/y.png\n')
    dataset = PairedSegDataset(ann_file, data_root=str(root), metainfo=META)
    samples = [dataset.get_data_info(number) for number in range(len(dataset))]
    assert [(sample['img_path'], sample['seg_map_path']) for sample in samples] == [
        (str(root / 'images/frame_002.png'), str(root / 'labels/frame_001.png')),
        (str(root / 'images/frame_000.png'), '/x/y.png')]
    assert all(sample['label_map'] is None and not sample['reduce_zero_label'] for sample in samples)


def test_the_list_moves_with_the_data_root_or_stands_alone(tmp_path):
    root = write_folders(tmp_path / 'set', splits=())
    write_list(root, 'images/frame_000.png\tlabels/frame_000.png\n')
    assert len(PairedSegDataset('train.txt', data_root=str(root), metainfo=META)) == 1
    assert len(PairedSegDataset(str(root / 'train.txt'), data_root=str(root), metainfo=META)) == 1


@pytest.mark.parametrize('checked', [False, True])
@pytest.mark.parametrize('options,values', [
    ({}, [0, 1, 2]), (dict(reduce_zero_label=True), [1, 2, 3]), (dict(label_values=[9, 0, 255]), [9, 0, 255]),
    (dict(label_values=[2, 0, 1]), [2, 0, 1]), (dict(label_values=[50, 100, 150], void_values=[0, 3]), [50, 100, 150])])
def test_what_labels_become(tmp_path, mmseg_scope, options, values, checked):
    """As MMSegmentation's own `LoadAnnotations` makes of them, and as the checked one does."""
    root = write_folders(tmp_path, splits=(), change=lambda labels: np.array(values, np.uint8)[labels])
    ann_file = write_list(tmp_path, 'images/frame_002.png\tlabels/frame_002.png\n')
    cfg = dict(type='PairedSegDataset', ann_file=ann_file, data_root=str(root), metainfo=META,
               pipeline=[dict(type='LoadAnnotations')], **options)
    dataset = DATASETS.build(dict(type='CheckedDataset', dataset=cfg) if checked else cfg)
    assert (dataset[0]['gt_seg_map'] == labels_of(2)).all()


def test_void_and_unknown_labels(tmp_path, mmseg_scope):
    """Void ones become 255, others that are no class's are an error that names the file, also where they are small."""
    root = write_folders(tmp_path, splits=(), change=lambda labels: np.array([7, 1, 9], np.uint8)[labels])
    ann_file = write_list(tmp_path, 'images/frame_002.png\tlabels/frame_002.png\n')
    cfg = dict(type='PairedSegDataset', ann_file=ann_file, data_root=str(root), metainfo=META, label_values=[7, 8, 9],
               pipeline=[dict(type='LoadAnnotations')])
    with pytest.raises(DataError, match=r'labels/frame_002\.png: label 1 in \d+ pixels'):
        DATASETS.build(dict(type='CheckedDataset', dataset=cfg))[0]
    found = DATASETS.build(dict(type='CheckedDataset', dataset=dict(cfg, void_values=[1])))[0]['gt_seg_map']
    assert (found == np.array([0, 255, 2])[labels_of(2)]).all()


def test_label_map():
    assert label_map_of(None, (), 3, False) is None
    assert label_map_of([0, 1, 2], (), 3, False) == {}
    assert label_map_of([5, 0], (), 2, False) == {5: 0, 0: 1, 1: UNKNOWN}
    assert label_map_of(None, [3], 2, False) == {3: 255}


@pytest.mark.parametrize('options,message', [
    (dict(label_values=[1, 2]), '2 labels for 3 classes'), (dict(label_values=[1, 2, 2]), 'got 2 twice'),
    (dict(label_values=[1, 2, 300]), 'got 300'), (dict(label_values=[0, 1, 2], void_values=[1]), 'got 1 twice'),
    (dict(void_values=[3], reduce_zero_label=True), 'set reduce_zero_label=False')])
def test_options_that_do_not_fit(tmp_path, options, message):
    root = write_folders(tmp_path, splits=())
    ann_file = write_list(tmp_path, 'images/frame_002.png\tlabels/frame_002.png\n')
    with pytest.raises(InputError, match=message):
        PairedSegDataset(ann_file, data_root=str(root), metainfo=META, **options)


@pytest.mark.parametrize('lines', ['images/a.png labels/a.png\n', 'a.png\tb.png\tc.png\n', 'a.png\t\n'])
def test_a_line_that_is_no_pair(tmp_path, lines):
    with pytest.raises(DataError, match=r'train\.txt.*line 1 is not an image, a tab and a label'):
        PairedSegDataset(write_list(tmp_path, lines), data_root=str(tmp_path), metainfo=META)


def test_no_list(tmp_path):
    with pytest.raises(DataError, match=r'none\.txt.*cannot be read'):
        PairedSegDataset(str(tmp_path / 'none.txt'), data_root=str(tmp_path), metainfo=META)


def test_files_that_are_missing_are_named(tmp_path, mmseg_scope):
    ann_file = write_list(tmp_path, 'images/a.png\tlabels/a.png\n')
    cfg = dict(type='PairedSegDataset', ann_file=ann_file, data_root=str(tmp_path), metainfo=META,
               pipeline=[dict(type='LoadAnnotations')])
    with pytest.raises(DataError, match=r'labels/a\.png: no such file'):
        DATASETS.build(dict(type='CheckedDataset', dataset=cfg))
