"""The clips of the moving toy scenes: the same every time, truth behind what disturbs them, and how much does."""
import numpy as np
import pytest
from numpy.random import SeedSequence

import mmseg_vittm.datasets.moving_toy.disturbances as disturbances
from mmseg_vittm.datasets.moving_toy.clips import FINER, Clip, draw_clip, pooled, reduced
from mmseg_vittm.datasets.toy.canvas import CLASSES, View

FIRST_THING = 1 + CLASSES.index('building')  # labels from here on are of things, those below of the backdrop
SIZE = 39


def clip_of(key, size=SIZE, num_frames=24, **options):
    """A clip's images, labels and hidden pixels, each (frames, size, size, ...)."""
    return [np.stack(maps) for maps in zip(*draw_clip(key, size, num_frames, **options), strict=True)]


@pytest.fixture(scope='module')
def clips():
    """Five clips, and the same undisturbed."""
    return [(clip_of((5, 0, number)), clip_of((5, 0, number), disturbed=False)) for number in range(5)]


@pytest.fixture
def never_failing(monkeypatch):
    monkeypatch.setattr(disturbances, 'FLICKER', 0)
    monkeypatch.setattr(disturbances, 'BURSTS', 0)


def runs_of(flags):
    """First index and length of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(flags, int), [0]])))
    return [(first, end - first) for first, end in zip(edges[::2], edges[1::2], strict=True)]


def test_same_key_same_clip():
    first, again, other = clip_of((0, 1, 2), 33, 6), clip_of((0, 1, 2), 33, 6), clip_of((0, 1, 3), 33, 6)
    for one, two in zip(first, again, strict=True):
        assert one.dtype == np.uint8 and np.array_equal(one, two)
    assert [maps.shape for maps in first] == [(6, 33, 33, 3), (6, 33, 33), (6, 33, 33)]
    assert not np.array_equal(first[0], other[0]) and not np.array_equal(first[1], other[1])


def test_still_camera_sees_the_same(clips):
    images, labels, hidden = clip_of((5, 0, 1), num_frames=5, motion=0.0, disturbed=False)
    assert (labels == labels[0]).all() and not hidden.any()
    assert (images[0] != images[1]).mean() > 0.5  # the sensor's noise, of 0.02 of the range at the most
    assert np.abs(images.astype(int) - images[0]).max() < 255 * 0.02 * 2 ** 0.5 * 6
    assert (clips[1][1][1] != clips[1][1][1][0]).any(), 'the moving clip'


def test_labels_are_the_truth_behind(clips):
    for (_, labels, hidden), (_, undisturbed, clear) in clips:
        assert np.array_equal(labels, undisturbed) and not clear.any()
        assert labels.max() <= len(CLASSES) and set(np.unique(hidden)) == {0, 1}


def test_only_what_is_hidden_differs(never_failing):
    changed = []
    for number in range(3):
        images, _, hidden = clip_of((5, 0, number))
        clear = clip_of((5, 0, number), disturbed=False)[0]
        covered = hidden.astype(bool)
        assert covered.any() and np.array_equal(images[~covered], clear[~covered])
        changed.append((images != clear).any(-1)[covered].mean())
    assert min(changed) > 0.9


def test_how_much_is_hidden(clips):
    affected = []
    for (_, _, hidden), _ in clips:
        shares = hidden.mean((1, 2))
        assert not shares[:2].any()
        assert (shares[shares > 0] >= 0.10).all() and shares.max() <= 0.35
        affected.append((shares > 0).mean())
        assert all(3 <= length <= 8 for _, length in runs_of(shares > 0))
    assert 0.4 < np.mean(affected) < 0.65


def test_things_are_hidden_more_than_the_backdrop(clips):
    labels, hidden = (np.concatenate([clip[0][part] for clip in clips]) for part in (1, 2))
    things = labels >= FIRST_THING
    assert things[hidden == 1].mean() > 1.2 * things.mean()


def test_frames_that_fail_are_few(clips):
    failing = np.concatenate([((images != clear).any(-1) & (hidden == 0)).any((1, 2))
                              for (images, _, hidden), (clear, _, _) in clips])
    assert 0.12 < failing.mean() < 0.4  # 1 - (1 - 0.15) * (1 - 0.12) = 0.25, of 120 frames


def test_frames_that_follow_each_other_differ_little(clips):
    for _, (images, labels, _) in clips:
        assert (labels[1:] == labels[:-1]).mean((1, 2)).min() > 0.75
        assert (labels[1:] == labels[:-1]).mean() > 0.85
        step, jump = (np.abs(images[gap:].astype(int) - images[:-gap]).mean() for gap in (1, 12))
        assert step < jump


@pytest.mark.parametrize(('right', 'down'), [(2, 0), (-3, 0), (0, 2), (3, -2)])
def test_a_turn_shifts_all_that_is_seen(right, down):
    """Sky, mountains, ground, things and their textures: turned by whole pixels, the picture is the same, shifted."""
    size = 64
    agreeing = []
    for number in range(4):
        clip = Clip(SeedSequence((7, number)), size, 2, motion=0.0)
        first = clip.path[0]
        clip.path[1] = View(first.horizon + down * FINER, first.vanishing + right * FINER, first.focal, first.right,
                            first.ahead)
        image, label, owner = clip.draw(0)
        turned_image, turned_label, turned_owner = clip.draw(1)
        here = (slice(max(-down, 0), size - max(down, 0)), slice(max(-right, 0), size - max(right, 0)))
        there = (slice(max(down, 0), size - max(-down, 0)), slice(max(right, 0), size - max(-right, 0)))
        agreeing.append((label[here] == turned_label[there]) & (owner[here] == turned_owner[there])
                        & (np.abs(image[here] - turned_image[there]).max(-1) < 1e-3))
        assert len(np.unique(label)) > 3
    # Water mirrors what is in the picture, and what is cut off at the edge of a picture is cut off in whole pixels.
    assert np.median([each.mean() for each in agreeing]) > 0.99 and np.mean(agreeing) > 0.96


def test_reducing_and_pooling_by_loops():
    rng = np.random.default_rng(0)
    image = rng.random((5 * FINER, 5 * FINER, 3)).astype(np.float32)
    maps = rng.integers(0, 2, (2, 5 * FINER, 5 * FINER)).astype(np.uint8)
    small, numbers = reduced(image), pooled(maps)
    assert small.shape == (5, 5, 3) and numbers.shape == (2, 5, 5) and numbers.dtype == np.uint8
    for row in range(5):
        for column in range(5):
            here = (slice(row * FINER, (row + 1) * FINER), slice(column * FINER, (column + 1) * FINER))
            np.testing.assert_allclose(small[row, column], image[here].mean((0, 1)), rtol=1e-6)
            for index in range(2):
                wanted = set(maps[index][here].ravel().tolist())
                assert numbers[index, row, column] == (wanted.pop() if len(wanted) == 1 else 0)


def test_a_scene_is_the_same_in_any_size():
    small, large = (clip_of((2, 0, 4), size, 4, disturbed=False)[1] for size in (40, 120))
    middles = large[:, 1::3, 1::3]
    known = (small > 0) & (middles > 0)
    assert known.mean() > 0.6 and (small == middles)[known].mean() > 0.97
