"""Checked transforms: good files as MMSegmentation's give them, bad ones an error that names them."""
import re

import numpy as np
import pytest
import torch
from bad_files import dataset_config, spoil, write_set
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_vittm.datasets import CheckedDataset
from mmseg_vittm.errors import DataError, InputError

pytestmark = pytest.mark.usefixtures('mmseg_scope')


def same(ours, theirs):
    assert torch.equal(ours['inputs'], theirs['inputs']) and ours['inputs'].dtype == theirs['inputs'].dtype
    ours, theirs = ours['data_samples'], theirs['data_samples']
    assert torch.equal(ours.gt_sem_seg.data, theirs.gt_sem_seg.data)
    assert ours.gt_sem_seg.data.dtype == theirs.gt_sem_seg.data.dtype
    assert ours.metainfo == theirs.metainfo


def test_good_files_give_the_pixels_of_mmsegmentation(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ('images/training', 'annotations/training'):
        (tmp_path / folder).mkdir(parents=True)
    count = 0
    for mode in ('RGB', 'L', 'CMYK', 'P'):
        for label_mode in ('L', 'P', '1', 'I;16'):
            for progressive in (False, True):
                image = Image.fromarray(rng.integers(0, 256, (37, 51, 3), dtype=np.uint8)).convert(mode)
                image.save(tmp_path / f'images/training/{count}.jpg', 'PNG' if mode == 'P' else 'JPEG',
                           **dict(progressive=progressive) if mode != 'P' else {})
                label = rng.integers(0, 2 if label_mode == '1' else 6, (37, 51), dtype=np.uint8)
                label[0, :5] = 255 if label_mode != '1' else 1
                picture = Image.fromarray(label.astype(np.uint16) if label_mode == 'I;16' else label)
                if label_mode == 'P':
                    picture.putpalette(list(range(256)) * 3)
                if label_mode == '1':
                    picture = Image.fromarray(label.astype(bool))
                picture.save(tmp_path / f'annotations/training/{count}.png')
                count += 1
    for more in (dict(), dict(reduce_zero_label=True),
                 dict(type='ADE20KDataset', metainfo=dict(classes=('floor', 'building', 'wall')))):
        config = dataset_config(tmp_path, **dict(metainfo=dict(classes=[*'abcdef'])) | more)
        stock, checked = DATASETS.build(config), CheckedDataset(config)
        assert len(stock) == len(checked) == count and checked.metainfo == stock.metainfo
        for i in range(count):
            same(checked[i], stock[i])


def test_real_pairs_give_the_pixels_of_mmsegmentation(shared):
    config = dataset_config(shared / 'ade20k_sample' / 'ADEChallengeData2016', type='ADE20KDataset')
    del config['metainfo']
    stock, checked = DATASETS.build(config), CheckedDataset(config)
    for i in range(3):
        same(checked[i], stock[i])


def test_inside_wrappers_and_test_time_augmentation(tmp_path):
    root = write_set(tmp_path / 'set')
    path, message = spoil(root, 'label above the classes')
    tta = [dict(type='LoadImageFromFile'), dict(type='TestTimeAug', transforms=[
        [dict(type='Resize', scale_factor=1.0, keep_ratio=True)], [dict(type='LoadAnnotations')],
        [dict(type='PackSegInputs')]])]
    for config in (dict(type='RepeatDataset', times=2, dataset=dataset_config(root)),
                   dict(type='ConcatDataset', datasets=[dataset_config(root, 'validation'), dataset_config(root)]),
                   dataset_config(root, pipeline=tta)):
        dataset = CheckedDataset(config)
        with pytest.raises(DataError, match=re.escape(str(path))):
            [dataset[i] for i in range(len(dataset))]


def test_labels_as_the_dataset_counts_them(tmp_path):
    root = write_set(tmp_path / 'set')
    label = root / 'annotations/training/1.png'
    Image.fromarray(np.full((40, 32), 3, np.uint8)).save(label)
    with pytest.raises(DataError, match='reduce_zero_label=True where 0 means unlabelled'):
        CheckedDataset(dataset_config(root))[1]
    CheckedDataset(dataset_config(root, reduce_zero_label=True))[1]
    Image.fromarray(np.full((40, 32), 4, np.uint8)).save(label)
    with pytest.raises(DataError, match=r'label 4 in 1280 pixels.* 0 \(ignored\), 1 to 3'):
        CheckedDataset(dataset_config(root, reduce_zero_label=True))[1]
    CheckedDataset(dataset_config(root, ignore_index=4))[1]
    config = dataset_config(root)
    del config['metainfo']
    with pytest.raises(DataError, match='above the 2 classes'):
        CheckedDataset(config, num_classes=2)[1]
    with pytest.raises(InputError, match="3 classes, the model's decode_head num_classes=2"):
        CheckedDataset(dataset_config(root), num_classes=2)
    CheckedDataset(dataset_config(root), num_classes=2, test_mode=True)


def test_unlike_reduce_zero_label_is_one_sentence(good):
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', reduce_zero_label=True)]
    with pytest.raises(InputError, match='reduce_zero_label=True, its dataset BaseSegDataset False'):
        CheckedDataset(dataset_config(good, pipeline=pipeline))
