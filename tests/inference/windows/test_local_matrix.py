"""The part of an axis's matrix for some of its pixels: that of the whole axis, bit for bit, from few windows."""
import pytest
import torch

from mmseg_vittm.inference.windows import local_matrix, resampling_matrix, window_starts, windows_over


@pytest.mark.parametrize('length,crop,stride,cells', [(300, 64, 40, 9), (97, 64, 64, 8), (1000, 96, 80, 12),
                                                      (64, 64, 3, 5), (500, 32, 1, 4), (30, 30, 10, 30)])
@pytest.mark.parametrize('align_corners', [False, True])
def test_it_is_part_of_the_whole(length, crop, stride, cells, align_corners):
    starts = window_starts(length, crop, stride)
    whole = resampling_matrix(cells, crop, starts, length, length, align_corners=align_corners)
    for first in range(0, length, 37):
        last = min(first + 37, length)
        over = windows_over(starts, crop, first, last)
        near = local_matrix(cells, crop, starts[over[0]:over[-1] + 1], first, last, align_corners)
        inside = slice(over[0] * cells, (over[-1] + 1) * cells)
        assert torch.equal(near, whole[first:last, inside])
        assert not whole[first:last, :inside.start].any() and not whole[first:last, inside.stop:].any()


@pytest.mark.parametrize('length,crop,stride', [(300, 64, 40), (97, 64, 64), (100, 64, 1)])
def test_windows_over_pixels(length, crop, stride):
    starts = window_starts(length, crop, stride)
    for first in range(0, length, 7):
        last = min(first + 11, length)
        expected = [n for n, start in enumerate(starts) if set(range(start, start + crop)) & set(range(first, last))]
        assert list(windows_over(starts, crop, first, last)) == expected
