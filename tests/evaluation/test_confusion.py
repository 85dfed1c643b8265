"""Confusion matrices: hand-made ones, MMSegmentation's own areas, and counting pixel by pixel."""
import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric

from mmseg_vittm.evaluation.confusion import (
    class_scores,
    confusion_matrix,
    count_pairs,
    divide,
    mean,
    most_confused,
)

MATRIX = np.array([[6, 3, 1, 0],  # of 4 classes: the third is predicted, but never there
                   [2, 8, 0, 0],
                   [0, 0, 0, 0],
                   [0, 5, 0, 0]])


def test_pairs_by_hand():
    pairs = count_pairs(torch.tensor([0, 1, 1, 2, 2]), torch.tensor([0, 0, 1, 1, 1]), 3)
    assert pairs.places.tolist() == [0, 1, 4, 5] and pairs.counts.tolist() == [1, 1, 1, 2]
    assert confusion_matrix([pairs, pairs], 3).tolist() == [[2, 2, 0], [0, 2, 4], [0, 0, 0]]
    assert confusion_matrix([], 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize('classes', [2, 19, 150])
def test_pairs_against_counting(classes):
    rng = np.random.default_rng(classes)
    truth, prediction = rng.integers(0, classes, (2, 500))
    counted = np.zeros((classes, classes), int)
    for a, b in zip(truth, prediction, strict=True):
        counted[a, b] += 1
    pairs = count_pairs(torch.tensor(prediction), torch.tensor(truth), classes)
    assert (confusion_matrix([pairs], classes) == counted).all() and (pairs.counts > 0).all()


def test_scores_by_hand():
    scores = class_scores(MATRIX)
    np.testing.assert_allclose(scores.iou, [6 / 12, 8 / 18, 0, 0])
    np.testing.assert_allclose(scores.recall, [0.6, 0.8, np.nan, 0])
    np.testing.assert_allclose(scores.precision, [6 / 8, 8 / 16, 0, np.nan])
    np.testing.assert_allclose(scores.f1, [12 / 18, 16 / 26, 0, 0])


@pytest.mark.parametrize('seed', range(5))
def test_scores_are_mmsegmentations(seed):
    rng = np.random.default_rng(seed)
    truth = torch.tensor(rng.choice([0, 1, 2, 4, 5, 255], (40, 30)))  # 3 never is, 6 is neither there nor predicted
    prediction = torch.tensor(rng.integers(0, 6, (40, 30)))
    valid = truth != 255
    scores = class_scores(confusion_matrix([count_pairs(prediction[valid], truth[valid], 7)], 7))
    areas = IoUMetric.intersect_and_union(prediction, truth, 7, 255)
    expected = IoUMetric.total_area_to_metrics(*areas, metrics=['mIoU', 'mDice', 'mFscore'])
    for name, key in (('iou', 'IoU'), ('recall', 'Acc'), ('precision', 'Precision'), ('f1', 'Dice')):
        np.testing.assert_allclose(getattr(scores, name), expected[key], rtol=1e-6)
    assert np.isnan(scores.iou[6]) and scores.iou[3] == 0


def test_counts_beyond_what_float32_holds():
    """2**24 + 1 pixels, which a float32 sum loses one of."""
    pairs = count_pairs(torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long), 2)
    large = pairs._replace(counts=np.array([2**24]))
    assert confusion_matrix([large, pairs], 2)[0, 0] == 2**24 + 1


def test_most_confused_by_hand():
    found = most_confused(MATRIX, 3)
    assert [(pair.truth, pair.prediction, pair.pixels, pair.share) for pair in found] == [
        (3, 1, 5, 1.0), (0, 1, 3, 0.3), (1, 0, 2, 0.2)]
    assert len(most_confused(MATRIX, 99)) == 4, 'pairs that do not occur are none'
    assert most_confused(np.diag([3, 4]), 5) == []
    assert len(most_confused(MATRIX, 99, least=0.1)) == 2, '2 of 25 pixels are fewer than a tenth'


def test_nothing_to_share():
    assert np.isnan(divide(np.array([0]), np.array([0]))).all() and mean(np.array([np.nan, 0.5, 0.1])) == 0.3
    assert np.isnan(mean(np.array([np.nan])))
