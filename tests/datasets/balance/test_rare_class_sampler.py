"""`RareClassSampler`: what it draws, and that nothing but the seed and the place decide."""
import itertools

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset
from own_sets import NAMES, SIZE, save, write_folders

from mmseg_vittm.datasets import RareClassSampler
from mmseg_vittm.datasets.balance.label_counts import label_counts
from mmseg_vittm.engine.state.data_position import endless_order
from mmseg_vittm.errors import DataError, InputError
from mmseg_vittm.stack import DATASETS


@pytest.fixture
def dataset(tmp_path, mmseg_scope):
    """Twelve images of class 0, the first two of which have a little of class 2, and one is void."""
    root = write_folders(tmp_path, count=12, splits=(), change=lambda labels: labels * 0)
    for number in range(2):
        label = np.zeros(SIZE, np.uint8)
        label[:2] = 2
        save(root / f'labels/frame_{number:03d}.png', label)
    save(root / 'labels/frame_005.png', np.full(SIZE, 255, np.uint8))
    return build(root)


def build(root, skip=False, **options):
    inner = dict(options, type='BaseSegDataset', data_root=str(root), img_suffix='.png',
                 data_prefix=dict(img_path='images', seg_map_path='labels'), metainfo=dict(classes=NAMES),
                 pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')])
    return DATASETS.build(dict(type='CheckedDataset', dataset=inner, bad_data='skip' if skip else 'error'))


def test_counts(dataset):
    counts = label_counts(dataset)
    area = SIZE[0] * SIZE[1]
    assert counts.shape == (12, 255) and counts[0, 0] == area - 2 * SIZE[1] and counts[0, 2] == 2 * SIZE[1]
    assert counts[5].sum() == 0 and counts[3, 0] == area and counts.sum() == 11 * area
    both = ConcatDataset([dataset.dataset, dataset.dataset])
    assert (label_counts(both) == np.concatenate([counts, counts])).all()


def test_void_by_another_number_is_no_class(tmp_path, mmseg_scope):
    root = write_folders(tmp_path, count=6, splits=(), change=lambda labels: (labels > 0) * np.uint8(14))
    built = build(root, ignore_index=14)
    assert label_counts(built).sum(0).nonzero()[0].tolist() == [0]
    assert RareClassSampler(built, seed=0).shares == pytest.approx([1 / 6] * 6)
    (root / 'voids').mkdir()
    built = build(write_folders(root / 'voids', count=6, splits=()), ignore_index=1)
    assert label_counts(built).sum(0).nonzero()[0].tolist() == [0, 2]


def test_what_a_pass_holds(dataset, log_lines):
    sampler = RareClassSampler(dataset, seed=3)
    counts = label_counts(dataset)
    parts = np.array([row / max(row.sum(), 1) for row in counts])
    weights = np.array([sum(row[k] / parts[:, k].sum() for k in (0, 2)) for row in parts])
    assert sampler.shares == pytest.approx(weights / weights.sum())
    drawn = np.mean([np.bincount(sampler.order_of_pass(3, number), minlength=12) for number in range(400)], axis=0)
    assert drawn == pytest.approx(12 * sampler.shares, abs=0.1) and drawn[5] == 0
    for number in range(20):  # rounded up or down
        times = np.bincount(sampler.order_of_pass(3, number), minlength=12)
        assert times.sum() == 12 and (np.abs(times - 12 * sampler.shares) < 1).all()
    (line, ) = [line for line in log_lines.of('INFO') if 'RareClassSampler' in line]
    assert 'road' in line and '->' in line


def test_limits(dataset):
    assert RareClassSampler(dataset, seed=0, most=1.5).shares.max() == pytest.approx(1.5 / 12)
    assert RareClassSampler(dataset, seed=0, power=0).shares[[0, 3]] == pytest.approx([1 / 11] * 2)


def test_the_seed_and_the_place_decide_alone(dataset):
    """An interrupted run goes on with the same images: those of the stream from there on."""
    sampler = RareClassSampler(dataset, seed=7)
    whole = list(itertools.islice(endless_order(sampler, 7, 0), 100))
    for start in (0, 5, 12, 37):
        assert list(itertools.islice(endless_order(RareClassSampler(dataset, seed=7), 7, start), 30)) == whole[
            start:start + 30]
    assert list(itertools.islice(iter(RareClassSampler(dataset, seed=7)), 100)) == whole
    assert list(itertools.islice(endless_order(sampler, 8, 0), 100)) != whole


@pytest.mark.parametrize('options,message', [
    (dict(shuffle=False), 'shuffle must be True'), (dict(power=1.5), 'power must be from 0 to 1'),
    (dict(power=-1), 'power'), (dict(most=0.5), 'most must be'), (dict(most=float('inf')), 'most')])
def test_wrong_options(dataset, options, message):
    with pytest.raises(ValueError, match=message):
        RareClassSampler(dataset, **options)


def test_labels_that_cannot_be_read(tmp_path, mmseg_scope):
    root = write_folders(tmp_path, splits=())
    (root / 'labels/frame_003.png').write_bytes(b'')
    with pytest.raises(DataError, match=r'frame_003\.png'):
        RareClassSampler(build(root), seed=0).shares  # noqa: B018  (reads all labels)
    assert RareClassSampler(build(root, skip=True), seed=0).shares[3] == 0


def test_without_labels(tmp_path, mmseg_scope):
    root = write_folders(tmp_path, splits=(), change=lambda labels: np.full_like(labels, 255))
    with pytest.raises(InputError, match='no pixel of the training data has a label'):
        RareClassSampler(build(root), seed=0).shares  # noqa: B018
    built = build(root)
    built.dataset.pipeline.transforms.pop()
    with pytest.raises(InputError, match='loads no labels'):
        RareClassSampler(built, seed=0).shares  # noqa: B018
