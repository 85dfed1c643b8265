"""Calibration: by hand, and pixel by pixel."""
import math

import numpy as np
import pytest
import torch

from mmseg_vittm.evaluation.calibration import BINS, Reliability, calibration_error, count_reliability


def test_by_hand():
    """Bins of a quarter: 0.9 right, 0.8 wrong; 0.6 right twice; 0.3 wrong.

    Gaps: |0.85 - 0.5| of 2 pixels, |0.6 - 1| of 2, |0.3 - 0| of 1: (0.7 + 0.8 + 0.3) / 5.
    """
    counts = count_reliability(torch.tensor([0.9, 0.8, 0.6, 0.6, 0.3]), torch.tensor([1, 0, 1, 1, 0]).bool(), 4)
    assert counts.pixels.tolist() == [0, 1, 2, 2] and counts.right.tolist() == [0, 0, 2, 1]
    np.testing.assert_allclose(counts.confidence, [0, 0.3, 1.2, 1.7], rtol=1e-6)
    assert calibration_error(counts) == pytest.approx(1.8 / 5, rel=1e-6)
    np.testing.assert_allclose(counts.accuracy, [np.nan, 0, 1, 0.5])
    np.testing.assert_allclose(counts.mean_confidence, [np.nan, 0.3, 0.6, 0.85], rtol=1e-6)


def test_bounds_belong_to_the_bin_below():
    counts = count_reliability(torch.tensor([0.0, 0.25, 0.2500001, 0.5, 1.0]), torch.ones(5).bool(), 4)
    assert counts.pixels.tolist() == [2, 2, 0, 1]


@pytest.mark.parametrize('seed', range(4))
def test_against_bins_one_by_one(seed):
    rng = np.random.default_rng(seed)
    confidence, right = rng.random(2000), rng.random(2000) < 0.6
    error = 0.0
    for low in np.arange(BINS) / BINS:
        inside = (confidence > low) & (confidence <= low + 1 / BINS)
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    found = calibration_error(count_reliability(torch.tensor(confidence), torch.tensor(right)))
    assert BINS == 15 and found == pytest.approx(error, abs=1e-9)


def test_a_calibrated_and_a_wrong_one():
    sure = torch.full((1000,), 0.9)
    calibrated = count_reliability(sure, torch.arange(1000) % 10 > 0)
    assert calibration_error(calibrated) == pytest.approx(0, abs=1e-7)
    assert calibration_error(count_reliability(sure, torch.zeros(1000).bool())) == pytest.approx(0.9)


def test_sums_of_many_pixels_are_exact():
    confidence = torch.full((3_000_000,), 0.7)
    assert count_reliability(confidence, confidence > 0).confidence.sum() == pytest.approx(float(confidence[0]) * 3e6,
                                                                                           rel=1e-9)


def test_nothing_counted():
    nothing = Reliability(*np.zeros((3, BINS)))
    assert math.isnan(calibration_error(nothing)) and np.isnan(nothing.accuracy).all()
    assert count_reliability(torch.zeros(0), torch.zeros(0).bool()).pixels.sum() == 0
