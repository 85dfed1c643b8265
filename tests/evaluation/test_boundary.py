"""Boundary IoU against distances, pixel by pixel, and by hand."""
import numpy as np
import pytest

from mmseg_vittm.evaluation.boundary import RATIO, band_width, boundary_labels, count_boundaries

VOID = 9


def slow_band(mask: np.ndarray, width: int) -> np.ndarray:
    """The pixels of a mask at most `width` rows and columns from a pixel that is none, or from beyond the image."""
    rows, cols = mask.shape
    band = np.zeros_like(mask)
    for y, x in zip(*np.nonzero(mask), strict=True):
        for other_y in range(y - width, y + width + 1):
            for other_x in range(x - width, x + width + 1):
                beyond = not (0 <= other_y < rows and 0 <= other_x < cols)
                band[y, x] |= beyond or not mask[other_y, other_x]
    return band


def slow_counts(prediction, truth, classes, width) -> tuple[list[int], list[int]]:
    """Intersections and unions of every class, from masks of one class each without void pixels."""
    both, either = [], []
    for one in range(classes):
        bands = [slow_band((labels == one) & (truth != VOID), width) for labels in (prediction, truth)]
        both.append(int((bands[0] & bands[1]).sum()))
        either.append(int((bands[0] | bands[1]).sum()))
    return both, either


def blobs(rng, size, classes, void=0.0) -> np.ndarray:
    """Labels in patches, some of them void."""
    coarse = rng.integers(0, classes, (size[0] // 5 + 1, size[1] // 4 + 1))
    coarse[rng.random(coarse.shape) < void] = VOID
    return np.kron(coarse, np.ones((5, 4), int))[:size[0], :size[1]].astype(np.uint8)


@pytest.mark.parametrize('void', [0.0, 0.2])
@pytest.mark.parametrize('size,width', [((17, 23), 1), ((30, 14), 2), ((12, 31), 4), ((6, 5), 9)])
def test_against_distances(size, width, void):
    rng = np.random.default_rng(width)
    truth, prediction = blobs(rng, size, 3, void), blobs(rng, size, 4)
    prediction = np.where(rng.random(size) < 0.6, np.where(truth == VOID, 0, truth), prediction).astype(np.uint8)
    ratio = width / np.hypot(*size)
    assert band_width(size, ratio) == width
    found = count_boundaries(prediction, truth, 4, VOID, ratio)
    both, either = slow_counts(prediction, truth, 4, width)
    there = np.flatnonzero(either)
    assert found.classes.tolist() == there.tolist() and sum(either) > 0
    assert found.intersections.tolist() == [both[one] for one in there]
    assert found.unions.tolist() == [either[one] for one in there]


def test_a_square_by_hand():
    """Class 1 is 4 x 4 in the midst of 8 x 8; predicted is a square one column to the right. Bands are 1 pixel wide.

    Of class 1 each band is a ring of 12 pixels. They share the three inner columns of their upper and lower sides, 6
    pixels, and no others: the left side of the prediction runs over the truth's inside, and the truth's right side over
    the prediction's.
    """
    truth, prediction = np.zeros((2, 8, 8), np.uint8)
    truth[2:6, 2:6], prediction[2:6, 3:7] = 1, 1
    found = count_boundaries(prediction, truth, 2, VOID, 1 / np.hypot(8, 8))
    assert found.classes.tolist() == [0, 1]
    assert found.intersections[1] == 6 and found.unions[1] == 18


def test_width_of_the_band():
    assert band_width((3, 4), 0.02) == 1, 'at least a pixel'
    assert band_width((300, 400)) == 10 and band_width((300, 400), 0.0049) == 2 and RATIO == 0.02


def test_the_image_ends_a_class():
    labels = boundary_labels(np.zeros((7, 9), np.uint8), 2, VOID)
    assert (labels[2:-2, 2:-2] == VOID).all() and (labels == 0).sum() == 7 * 9 - 3 * 5


def test_void_ends_a_class_in_both():
    """A prediction that goes on over void is as good as one that stops there."""
    truth = np.zeros((20, 20), np.uint8)
    truth[:, 10:] = VOID
    for beyond in (0, 1):
        prediction = np.where(truth == VOID, beyond, truth).astype(np.uint8)
        found = count_boundaries(prediction, truth, 2, VOID)
        assert found.classes.tolist() == [0] and (found.intersections == found.unions).all()


def test_perfect_and_disjoint():
    truth = blobs(np.random.default_rng(0), (30, 40), 4)
    perfect = count_boundaries(truth, truth, 4, VOID)
    assert (perfect.intersections == perfect.unions).all() and len(perfect.classes) == 4
    wrong = count_boundaries((truth + 1) % 4, truth, 4, VOID)
    assert not wrong.intersections.any() and wrong.unions.all()


def test_an_area_right_inside_and_wrong_at_its_outline_scores_low():
    truth = np.zeros((100, 100), np.uint8)
    truth[10:90, 10:90] = 1
    prediction = np.zeros_like(truth)
    prediction[13:87, 13:87] = 1
    found = count_boundaries(prediction, truth, 2, VOID)
    area = (prediction & truth).sum() / (prediction | truth).sum()
    assert area > 0.85 and found.intersections[1] / found.unions[1] < 0.1


def test_more_classes_than_a_byte_holds():
    truth = np.full((10, 10), 300, np.uint16)
    truth[:, 5:] = 400
    found = count_boundaries(truth, truth, 500, 500)
    assert found.classes.tolist() == [300, 400] and found.unions.tolist() == [26, 26]
