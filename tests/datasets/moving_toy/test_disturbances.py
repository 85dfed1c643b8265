"""What fails in the camera of the moving toy scenes: how often, and how strongly."""
import numpy as np
import pytest

from mmseg_vittm.datasets.moving_toy.disturbances import Failures

FRAMES = 4000


@pytest.fixture(scope='module')
def failures():
    return Failures(np.random.default_rng(0), FRAMES)


@pytest.fixture
def grey():
    return np.full((45, 45, 3), 0.5, np.float32)


def test_how_often(failures, grey):
    flickering = [not np.array_equal(failures.flicker(grey, frame), grey) for frame in range(FRAMES)]
    bursting = [bool(failures.noise[frame] or failures.lost[frame]) for frame in range(FRAMES)]
    assert 0.13 < np.mean(flickering) < 0.17 and 0.10 < np.mean(bursting) < 0.14
    edges = np.flatnonzero(np.diff(np.array([0, *bursting, 0])))
    assert set(edges[1::2] - edges[::2]) == {1, 2, 3}
    assert not (failures.noise.astype(bool) & failures.lost.astype(bool)).any()
    assert (failures.noise > 0).sum() > 100 and (failures.lost > 0).sum() > 100


def test_flicker_changes_brightness_and_cast(failures):
    image = np.full((2, 2, 3), 0.55, np.float32)
    factors = [failures.flicker(image, frame)[0, 0] / 0.55 for frame in range(FRAMES)]
    factors = np.array([each for each in factors if not np.allclose(each, 1)])
    assert factors.min() > 0.5 and factors.max() < 1.7
    assert (factors.mean(1) < 0.85).mean() == pytest.approx(0.5, abs=0.1)
    assert factors.std(1).mean() > 0.02
    assert failures.flicker(np.ones_like(image), 0).max() <= 1


def test_good_frames_stay_bit_for_bit(failures, grey):
    good = next(frame for frame in range(FRAMES) if failures.exposures[frame] is None
                and not failures.noise[frame] and not failures.lost[frame])
    rng = np.random.default_rng(0)
    assert np.array_equal(failures.burst(failures.flicker(grey, good), good, rng), grey)


def test_noise_is_strong(failures, grey):
    for frame in np.flatnonzero(failures.noise)[:20]:
        noisy = failures.burst(grey, frame, np.random.default_rng(frame)) - grey
        assert noisy.std() == pytest.approx(failures.noise[frame], rel=0.1) and abs(noisy.mean()) < 0.03
    strengths = failures.noise[failures.noise > 0]
    assert strengths.min() >= 0.15 and strengths.max() <= 0.35


@pytest.mark.parametrize('size', [32, 45, 128])
def test_lost_blocks_are_stripes_of_flat_colours(failures, size):
    grey, block = np.full((size, size, 3), 0.5, np.float32), size // 16
    for frame in np.flatnonzero(failures.lost)[:20]:
        changed = failures.burst(grey, frame, np.random.default_rng(frame))
        lost = (changed != grey).any(-1)
        assert 0 < lost.mean() < 0.4 and np.array_equal(grey, np.full_like(grey, 0.5))
        for row in np.flatnonzero(lost.any(1)):
            first = np.flatnonzero(lost[row])[0]
            assert lost[row, first:].all() and first % block == 0  # from a block to the end of the line
            top, left = row // block * block, first
            for column in range(left, size, block):
                part = changed[top:top + block, column:column + block]
                assert (part == part[0, 0]).all()
