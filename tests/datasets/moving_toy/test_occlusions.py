"""What gets in the way of the moving toy scenes: where, how much of the picture, what of it is seen through."""
import numpy as np
import pytest
from numpy.random import SeedSequence

from mmseg_vittm.datasets.moving_toy import occlusions
from mmseg_vittm.datasets.moving_toy.bodies import SHAPES, Body, any_body
from mmseg_vittm.datasets.moving_toy.occlusions import Grid, choose_body, occlude

SIZE = 61


def body_of(shape, seed=0, **changes):
    return Body(**dict(dict(shape=shape, seed=SeedSequence(seed), column=30.0, row=28.0, right=1.5, down=-0.5, moment=5,
                            angle=0.7, radius=18.0), **changes))


def all_pixels(size=SIZE):
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) + 0.5
    return columns, rows


def owners_of(frames, **squares):
    """Maps of owners: things 0, 1, ... are squares (first frame, last frame, top, left, side), named in their order."""
    owners = np.full((frames, SIZE, SIZE), -1, np.int16)
    for thing, (first, last, top, left, side) in enumerate(squares.values()):
        owners[first:last + 1, top:top + side, left:left + side] = thing
    return owners


@pytest.mark.parametrize('shape', SHAPES)
def test_bodies_hide_what_they_cover_and_nothing_else(shape):
    for seed in range(6):
        body = body_of(shape, seed)
        rng = np.random.default_rng(1)
        first, second = rng.random((2, SIZE, SIZE, 3)).astype(np.float32)
        painted, other = first.copy(), second.copy()
        hidden = body.paint(painted, 7)
        assert np.array_equal(hidden, body.paint(other, 7)) and np.array_equal(hidden, body.covers(*all_pixels(), 7))
        assert hidden.dtype == bool and 0.02 < hidden.mean() < 0.9
        assert np.array_equal(painted[~hidden], first[~hidden])
        same = np.isclose(painted, other, atol=1e-5).all(-1)
        through = hidden & ~same  # the antialiased edge, one pixel wide: nothing is seen through inside it
        inside = hidden.copy()
        for axis in (0, 1):
            for step in (-1, 1):
                inside &= np.roll(hidden, step, axis)
        inside[[0, -1]] = inside[:, [0, -1]] = False
        assert same[inside].mean() > 0.9 and through.sum() < hidden.sum() / 2


@pytest.mark.parametrize('shape', SHAPES)
def test_bodies_move_and_look_the_same(shape):
    body = body_of(shape, right=2.0, down=-3.0)
    pictures = np.zeros((2, SIZE, SIZE, 3), np.float32)
    first, second = (body.paint(picture, frame) for picture, frame in zip(pictures, (5, 6), strict=True))
    assert np.array_equal(first[3:, :-2], second[:-3, 2:]) and not np.array_equal(first, second)
    np.testing.assert_allclose(pictures[0][3:, :-2], pictures[1][:-3, 2:], atol=2e-3)


def test_bodies_are_of_all_shapes_and_speeds():
    run = range(4, 10)
    bodies = [any_body(np.random.default_rng(seed), SeedSequence(seed), 128, run, (20.0, 30.0)) for seed in range(80)]
    assert {body.shape for body in bodies} == set(SHAPES)
    speeds = np.array([np.hypot(body.right, body.down) for body in bodies])
    assert ((speeds == 0) | ((speeds >= 0.5) & (speeds <= 4))).all() and 0.2 < (speeds == 0).mean() < 0.5
    assert all((body.column, body.row, body.moment) == (20.0, 30.0, 7) for body in bodies)


def test_nothing_ahead_of_time_and_pauses_between():
    frames, affected = 200, []
    for seed in range(4):
        images, hidden = np.zeros((frames, SIZE, SIZE, 3), np.float32), np.zeros((frames, SIZE, SIZE), bool)
        occlude(SeedSequence(seed), images, owners_of(frames, only=(0, 199, 20, 20, 15)), hidden)
        shares = hidden.mean((1, 2))
        covered = shares > 0
        assert not covered[:2].any() and covered[:12].any()
        assert shares[covered].min() >= 0.1 and shares.max() <= 0.35
        changes = np.flatnonzero(np.diff(covered.astype(int))) + 1
        lengths = np.diff(changes)
        assert set(lengths[::2]) <= set(range(3, 9)) and set(lengths[1::2]) <= {2, 3, 4}
        affected.append(covered.mean())
    assert 0.55 < np.mean(affected) < 0.72  # 5.5 of 8.5 frames; fewer in short clips, which begin without


@pytest.mark.parametrize('num_frames', [2, 4])
def test_short_clips_stay_clear(num_frames):
    for seed in range(5):
        images, hidden = np.zeros((num_frames, SIZE, SIZE, 3), np.float32), np.zeros((num_frames, SIZE, SIZE), bool)
        occlude(SeedSequence(seed), images, owners_of(num_frames), hidden)
        assert not hidden.any() and not images.any()


def test_a_thing_seen_before_is_hidden():
    """Of two things only the one that was there before is aimed at; the other appears with the body."""
    owners = owners_of(12, before=(0, 11, 12, 34, 12), new=(6, 11, 35, 8, 12))
    covered = []
    for seed in range(25):
        rng, hidden = np.random.default_rng(seed), np.zeros(owners.shape, bool)
        body = choose_body(rng, SeedSequence(seed), owners, hidden, range(6, 10))
        masks = np.stack([body.covers(*all_pixels(), frame) for frame in range(6, 10)])
        covered.append([masks[owners[6:10] == thing].mean() for thing in (0, 1)])
    before, new = np.mean(covered, 0)
    assert before > 0.7 > 0.5 > new


def test_what_was_hidden_was_not_seen():
    owners, hidden = owners_of(12, only=(0, 11, 12, 34, 12)), np.zeros((12, SIZE, SIZE), bool)
    rng, run = np.random.default_rng(0), range(6, 10)
    assert occlusions._seen_before(rng, owners, hidden, run) == 0
    hidden[1:6] = True
    assert occlusions._seen_before(rng, owners, hidden, run) is None  # seen in one frame, which is too few
    hidden[5, :20] = False
    assert occlusions._seen_before(rng, owners, hidden, run) == 0  # most of it, in a second one


def test_things_too_small_to_see_are_no_aim():
    owners = owners_of(12, speck=(0, 11, 12, 34, 4), none=(0, 11, 40, 40, 0))
    assert occlusions._seen_before(np.random.default_rng(0), owners, np.zeros(owners.shape, bool), range(6, 9)) is None


@pytest.mark.parametrize('size', [32, 61, 192])
@pytest.mark.parametrize('shape', SHAPES)
def test_bodies_are_fitted_to_a_share(size, shape):
    columns, rows = all_pixels(size)
    for share in (0.12, 0.3):
        body = body_of(shape, column=size / 2, row=size / 2, right=0.0, down=0.0)
        fitted = occlusions._fitted(body, Grid(size), share, range(3, 8))
        assert fitted.covers(columns, rows, 5).mean() == pytest.approx(share, abs=0.035)


def test_where_no_try_fits_one_stays_in_the_middle(monkeypatch):
    monkeypatch.setattr(occlusions, 'TRIES', 0)
    owners = owners_of(12)
    body = choose_body(np.random.default_rng(0), SeedSequence(0), owners, np.zeros(owners.shape, bool), range(4, 12))
    shares = [body.covers(*all_pixels(), frame).mean() for frame in range(4, 12)]
    assert min(shares) == max(shares) == pytest.approx(0.2, abs=0.03)
    assert (body.column, body.row) == (SIZE / 2, SIZE / 2)
