"""Margins over plain ViTs, against values worked out by hand."""
import math

import pytest

from mmseg_vittm.measure.laboratory.margins import best_as_fast, front, interpolated, margins

SLOW, FAST, WORSE = (10.0, 50.0), (40.0, 40.0), (8.0, 45.0)  # WORSE is slower than SLOW and no better


@pytest.mark.parametrize(('fps', 'there', 'strict'), [
    (20.0, 45.0, 40.0),  # halfway between 10 and 40 in the logarithm
    (10.0, 50.0, 50.0), (40.0, 40.0, 40.0),
    (5.0, 50.0, 50.0),  # slower than all: the slowest may be taken
    (40.1, None, None),  # faster than all
    (10 * 4 ** 0.25, 47.5, 40.0)])
def test_readings_of_a_front(fps, there, strict):
    for places in ([SLOW, FAST], [FAST, WORSE, SLOW], [SLOW, SLOW, FAST]):
        found = interpolated(places, fps)
        assert found == (None if there is None else pytest.approx(there))
        assert best_as_fast(places, fps) == strict


def test_a_front_leaves_out_what_is_slower_and_worse():
    assert front([FAST, WORSE, SLOW]) == [SLOW, FAST]
    assert front([(1.0, 1.0), (1.0, 2.0)]) == [(1.0, 2.0)]
    assert interpolated([], 1.0) is None and best_as_fast([], 1.0) is None


def test_margins_of_each_seed_and_of_the_mean():
    slow, fast = ({0: 50.0, 1: 52.0}, 10.0), ({0: 40.0, 1: 44.0}, 40.0)
    found = margins({0: 46.0, 1: 47.0}, 20.0, [slow, fast])
    assert found['interpolated']['mean'] == pytest.approx(46.5 - (51 + 42) / 2)
    assert found['interpolated']['seeds'] == {0: pytest.approx(46 - 45), 1: pytest.approx(47 - 48)}
    assert found['strict']['mean'] == pytest.approx(46.5 - 42)
    assert found['strict']['seeds'] == {0: pytest.approx(46 - 40), 1: pytest.approx(47 - 44)}


def test_margins_are_of_seeds_that_all_have():
    found = margins({0: 46.0, 1: 90.0}, 20.0, [({0: 50.0, 1: 52.0}, 10.0), ({0: 40.0}, 40.0)])
    assert found['interpolated'] == dict(mean=pytest.approx(1.0), seeds={0: pytest.approx(1.0)})
    assert margins({1: 1.0}, 20.0, [({0: 50.0}, 10.0)]) is None and margins({0: 1.0}, 20.0, []) is None


def test_faster_than_the_front_there_is_no_margin():
    found = margins({0: 46.0}, 99.0, [({0: 50.0}, 10.0)])
    assert found == {name: dict(mean=None, seeds={0: None}) for name in ('interpolated', 'strict')}


def test_the_line_in_the_plot_is_the_interpolation():
    """Straight in the logarithm of the speed: at any point of the line between two models."""
    for part in (0.1, 0.3, 0.9):
        fps = math.exp(math.log(10) + part * (math.log(40) - math.log(10)))
        assert interpolated([SLOW, FAST], fps) == pytest.approx(50 - 10 * part)
