"""One augmentation for all frames of a clip, with the transforms that configs use."""
import pickle
import random

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmseg_vittm.datasets.video.same_decisions import apply_alike, random_state, set_random_state

pytestmark = pytest.mark.usefixtures('mmseg_scope')

CROP = dict(type='RandomCrop', crop_size=(13, 17), cat_max_ratio=0.75)
COLOUR = dict(type='PhotoMetricDistortion')
# Those of our configs, others of MMSegmentation and mmcv, and transforms of transforms.
STEPS = dict(
    resize=dict(type='RandomResize', scale=(40, 30), ratio_range=(0.5, 2.0), keep_ratio=True),
    crop=CROP, flip=dict(type='RandomFlip', prob=0.5), colour=COLOUR,
    flips=dict(type='RandomFlip', prob=[0.3, 0.3, 0.3], direction=['horizontal', 'vertical', 'diagonal']),
    choice=dict(type='RandomChoiceResize', scales=[(40, 30), (20, 15), (33, 25)], keep_ratio=True),
    rotate=dict(type='RandomRotate', prob=0.8, degree=30), cut=dict(type='RandomCutOut', prob=0.8, n_holes=(1, 3),
                                                                      cutout_ratio=[(0.2, 0.2), (0.3, 0.1)]),
    rot_flip=dict(type='RandomRotFlip', rotate_prob=0.5, flip_prob=0.5, degree=20),
    apply=dict(type='RandomApply', prob=0.7, transforms=[CROP, COLOUR]),
    one_of=dict(type='RandomChoice', transforms=[[COLOUR], [CROP, COLOUR], [dict(type='RandomFlip', prob=0.5)]]))


def frame(seed: int) -> dict:
    """A frame with labels of large patches, so that `cat_max_ratio` rejects boxes."""
    rng = np.random.default_rng(seed)
    label = np.kron(rng.integers(0, 3, (5, 5), dtype=np.uint8), np.ones((6, 8), np.uint8))
    return dict(img=rng.integers(0, 256, (30, 40, 3), dtype=np.uint8), gt_seg_map=label, seg_fields=['gt_seg_map'],
                img_shape=(30, 40), ori_shape=(30, 40))


def pixels(done: dict) -> list[np.ndarray]:
    return [done['img'], done['gt_seg_map']]


def same(one: dict, other: dict) -> bool:
    return all(map(np.array_equal, pixels(one), pixels(other)))


def seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@pytest.mark.parametrize('name', STEPS)
def test_frames_alike_stay_alike(name):
    """And get what the transform alone gives the first; clips differ; the generators are left where it leaves them."""
    step, results = TRANSFORMS.build(STEPS[name]), []
    for seed in range(12):
        seed_all(seed)
        done = apply_alike(step, [frame(1) for _ in range(4)])
        after = np.random.random(), random.random(), torch.rand(1).item()
        seed_all(seed)
        alone = TRANSFORMS.build(STEPS[name])(frame(1))
        assert (np.random.random(), random.random(), torch.rand(1).item()) == after
        assert all(same(each, alone) for each in done)
        results.append(done[0])
    assert any(not same(one, results[0]) for one in results[1:])


@pytest.mark.parametrize('name', ['crop', 'apply'])
def test_the_first_frame_decides_the_box(name):
    """Whatever the labels of the others: the box is found in an image of coordinates."""
    step = TRANSFORMS.build(STEPS[name] | (dict(transforms=[CROP]) if name == 'apply' else {}))
    places = np.arange(30 * 40, dtype=np.int64).reshape(30, 40, 1)
    seed_all(3)
    drawn = set()
    for _ in range(20):
        frames = [frame(seed) | dict(img=places.copy()) for seed in range(5)]
        boxes = {tuple(done['img'][[0, -1], [0, -1], 0]) for done in apply_alike(step, frames)}
        assert len(boxes) == 1
        drawn |= boxes
    assert len(drawn) > 5


class Unmarked(BaseTransform):
    """Draws from all three generators, and as many numbers as the frame says."""

    def transform(self, results):
        drawn = [random.random(), np.random.random(), torch.rand(1).item()]
        np.random.random(results['more'])
        return dict(drawn=drawn)


def test_frames_that_draw_unequally_do_not_shift_each_other():
    step = Unmarked()
    seed_all(0)
    first = apply_alike(step, [dict(more=3), dict(more=0), dict(more=5)])
    second = apply_alike(step, [dict(more=1)] * 2)
    assert first[0] == first[1] == first[2] != second[0] == second[1]
    seed_all(0)
    step(dict(more=3))
    assert step(dict(more=0)) == second[0]  # goes on as after the first frame


def test_nothing_stays_behind():
    step = TRANSFORMS.build(STEPS['apply'])
    before = pickle.dumps(step)
    apply_alike(step, [frame(1), frame(2)])
    assert pickle.dumps(step) == before

    def broken(*arguments):
        raise RuntimeError('broken')
    inner = step.transforms.transforms[0]
    inner.crop = broken
    with pytest.raises(RuntimeError, match='broken'):
        for _ in range(20):
            apply_alike(step, [frame(1), frame(2)])
    del inner.crop
    assert pickle.dumps(step) == before


def test_states():
    state = random_state()
    first = random.random(), np.random.random(), torch.rand(1).item()
    set_random_state(state)
    assert (random.random(), np.random.random(), torch.rand(1).item()) == first


def test_no_frames():
    state = np.random.get_state()[1].copy()
    assert apply_alike(TRANSFORMS.build(COLOUR), []) == [] and (np.random.get_state()[1] == state).all()
