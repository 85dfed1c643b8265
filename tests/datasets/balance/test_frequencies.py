"""Weights of classes and shares of images, by their definitions."""
import numpy as np
import pytest

from mmseg_vittm.datasets.balance.frequencies import LARGEST_RATIO, class_weights, image_shares


@pytest.mark.parametrize('power', [0.0, 0.5, 1.0])
def test_weights_of_classes(power):
    pixels = np.array([600, 300, 90, 10])
    weights = class_weights(pixels, power)
    shares = pixels / 1000
    assert (shares * weights).sum() == pytest.approx(1)  # the mean pixel's
    ratios = (shares[0] / shares) ** power
    assert weights / weights[0] == pytest.approx(np.minimum(ratios, LARGEST_RATIO))


def test_classes_that_never_occur_get_the_largest_weight():
    weights = class_weights(np.array([500, 500, 0]))
    assert weights[2] == pytest.approx(LARGEST_RATIO * weights[0]) and np.isfinite(weights).all()


def drawn(counts, shares):
    return (counts / counts.sum(1, keepdims=True)).T @ shares


def test_at_power_1_classes_come_alike_where_images_allow():
    counts = np.diag([1000, 100, 10, 1])  # an image a class
    shares = image_shares(counts, 1.0, 1e9)
    assert shares == pytest.approx([0.25] * 4)
    assert image_shares(np.diag([50] * 4), 0.5, 10) == pytest.approx([0.25] * 4)


def test_at_power_0_labelled_images_are_alike():
    assert image_shares(np.array([[30, 0], [5, 5], [0, 60], [0, 0]]), 0.0, 1e9) == pytest.approx([1 / 3] * 3 + [0])


@pytest.mark.parametrize('power', [0.25, 0.5, 1.0])
def test_rare_classes_come_more_often(power):
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 1000, (50, 4)) * np.array([10, 3, 1, 0])
    counts[:3, 3] = 200
    before, after = drawn(counts, np.full(50, 0.02)), drawn(counts, image_shares(counts, power, 8))
    assert after[3] > (1 + power / 3) * before[3]


@pytest.mark.parametrize('most', [1, 1.5, 3, 7])
def test_no_image_is_drawn_too_often(most):
    counts = np.ones((40, 3), np.int64)
    counts[:, 0] = np.arange(1, 41) * 100
    counts[0, 2], counts[1, 2], counts[2] = 90, 45, 0
    shares = image_shares(counts, 1.0, most)
    assert shares.sum() == pytest.approx(1) and shares[2] == 0 and (shares >= 0).all()
    assert shares.max() <= max(most / 40, 1 / 39) * (1 + 1e-6)
    free = (shares < shares.max() * (1 - 1e-6)) & (shares > 0)
    unbounded = image_shares(counts, 1.0, 1e9)
    if free.any():  # those below the limit keep their ratios
        ratios = shares[free] / unbounded[free]
        assert ratios == pytest.approx(np.full(free.sum(), ratios[0]))
