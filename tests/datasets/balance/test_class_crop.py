"""`ClassCrop`: crops that have the class, each class alike."""
import numpy as np
import pytest
from mmseg.registry import TRANSFORMS

from mmseg_vittm.datasets import ClassCrop


def scene(height=60, width=80):
    """Class 0, a corner of class 1, one pixel of class 2, the rest of a column void."""
    label = np.zeros((height, width), np.uint8)
    label[:5, :5], label[:, -1], label[40, 50] = 1, 255, 2
    return dict(img=np.zeros((height, width, 3), np.uint8), gt_seg_map=label, seg_fields=['gt_seg_map'])


@pytest.mark.parametrize('crop', [(20, 30), (60, 80), (59, 10), (70, 30), (90, 90)])
def test_crops_lie_in_the_image_and_classes_come_alike(crop):
    np.random.seed(0)
    transform = ClassCrop(crop, prob=1.0)
    seen = np.zeros(3)
    for _ in range(300):
        top, bottom, left, right = transform.crop_bbox(scene())
        assert (bottom - top, right - left) == crop
        assert 0 <= top <= max(0, 60 - crop[0]) and 0 <= left <= max(0, 80 - crop[1])
        part = scene()['gt_seg_map'][top:bottom, left:right]
        seen += [(part == number).any() for number in range(3)]
    assert (seen[1:] > 0.27 * 300).all() and seen.sum() >= 300


def test_without_luck_it_is_a_random_crop():
    rare = sum((ClassCrop((20, 30), prob=0.0)(scene())['gt_seg_map'] == 2).any() for _ in range(200))
    often = sum((ClassCrop((20, 30), prob=1.0)(scene())['gt_seg_map'] == 2).any() for _ in range(200))
    assert rare < 120 and often > rare / 200 * 0.9 * 200
    assert ClassCrop((20, 30), prob=1.0)(scene())['img'].shape == (20, 30, 3)


def test_void_alone(mmseg_scope):
    results = scene()
    results['gt_seg_map'][:] = 255
    transform = TRANSFORMS.build(dict(type='ClassCrop', crop_size=(20, 30), prob=1.0, cat_max_ratio=0.75))
    assert transform(results)['gt_seg_map'].shape == (20, 30) and 'prob=1.0' in repr(transform)


def test_wrong_probability():
    with pytest.raises(ValueError, match='prob must be from 0 to 1, got 2'):
        ClassCrop((2, 2), prob=2)
