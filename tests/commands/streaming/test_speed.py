"""Speed: quantiles of a histogram against sorted lists, frames a second against their formula."""
import math

import numpy as np
import pytest

from mmseg_vittm.commands.streaming.speed import RECENT, Histogram, Speed


@pytest.mark.parametrize('count', [1, 2, 19, 1000])
def test_quantiles(count):
    rng = np.random.default_rng(count)
    waits = np.exp(rng.normal(-3, 2, count))  # tenths of milliseconds to minutes
    histogram = Histogram()
    for wait in waits:
        histogram.add(wait)
    for share in (0, 0.05, 0.5, 0.95, 1):
        exact = np.sort(waits)[max(1, math.ceil(share * count)) - 1]
        assert histogram.quantile(share) == pytest.approx(exact, rel=0.0101)
    assert histogram.count == count


def test_extreme_durations():
    histogram = Histogram()
    assert histogram.quantile(0.5) is None
    for wait in (-1.0, 0.0, 1e-9):
        histogram.add(wait)
    assert histogram.quantile(1) == pytest.approx(1e-5, rel=0.03)
    histogram.add(1e9)
    assert histogram.quantile(1) == pytest.approx(1e5, rel=0.03)


def test_memory_is_constant():
    histogram = Histogram()
    bins = len(histogram._bins)
    speed = Speed()
    for number in range(5000):
        histogram.add(number / 100)
        speed.add(number / 10, number / 10 + 0.02)
    assert len(histogram._bins) == bins < 1300 and len(speed._recent) == RECENT


def test_speed_of_a_run_and_of_late():
    speed = Speed()
    assert speed.fps is None and speed.of_late() is None and speed.seconds == 0
    speed.add(10, 10.5)
    assert speed.fps == pytest.approx(2) and speed.of_late() is None
    for number in range(1, 400):  # 20 a second, then 10 a second
        done = 10.5 + min(number, 99) / 20 + max(0, number - 99) / 10
        speed.add(done - (0.04 if number % 10 else 0.3), done)
    assert speed.seconds == pytest.approx(0.5 + 99 / 20 + 30) and speed.fps == pytest.approx(400 / speed.seconds)
    fps, median, most = speed.of_late()
    assert fps == pytest.approx(10) and median == pytest.approx(0.04) and most == pytest.approx(0.3)
