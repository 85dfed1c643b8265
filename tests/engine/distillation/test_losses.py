"""The losses against the formulas, written out in float64."""
import math

import pytest
import torch
import torch.nn.functional as F

from mmseg_vittm.engine.distillation.losses import as_classes, feature_loss, logit_loss
from mmseg_vittm.engine.distillation.resampling import resample


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 3


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value - max(values)) for value in values]
    return [power / sum(powers) for power in powers]


def divergence(student: torch.Tensor, teacher: torch.Tensor, temperature: float, weights: torch.Tensor) -> float:
    """The formula, a cell at a time."""
    total, count = 0.0, 0.0
    for image in range(len(student)):
        for row in range(student.shape[2]):
            for column in range(student.shape[3]):
                q = softmax([value / temperature for value in teacher[image, :, row, column].tolist()])
                p = softmax([value / temperature for value in student[image, :, row, column].tolist()])
                weight = float(weights[image, row, column])
                total += weight * sum(a * (math.log(a) - math.log(b)) for a, b in zip(q, p, strict=True))
                count += weight
    return temperature**2 * total / count


@pytest.mark.parametrize('temperature', [0.5, 1.0, 4.0])
def test_logit_loss_is_the_formula(temperature):
    student, teacher = drawn(2, 5, 3, 4), drawn(2, 5, 3, 4, seed=1)
    weights = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(2))
    found = logit_loss(student, teacher, temperature, weights)
    assert float(found) == pytest.approx(divergence(student, teacher, temperature, weights), rel=1e-5)


def test_gradient_of_logits_is_the_difference_of_probabilities():
    """d(T^2 KL)/dz = T (p - q), over the number of cells."""
    student, teacher = drawn(1, 4, 2, 2).requires_grad_(), drawn(1, 4, 2, 2, seed=1)
    logit_loss(student, teacher, 3.0, torch.ones(1, 2, 2)).backward()
    expected = 3.0 * ((student / 3).softmax(1) - (teacher / 3).softmax(1)) / 4
    torch.testing.assert_close(student.grad, expected.detach())


def test_nothing_is_lost_where_both_agree_or_nothing_counts():
    logits, ones = drawn(1, 3, 2, 2), torch.ones(1, 2, 2)
    assert float(logit_loss(logits, logits + 7, 2.0, ones)) == pytest.approx(0, abs=1e-6)
    assert float(logit_loss(logits, -logits, 2.0, 0 * ones)) == 0


def test_cells_without_weight_do_not_count():
    student, teacher, weights = drawn(1, 3, 2, 2), drawn(1, 3, 2, 2, seed=1), torch.tensor([[[1., 1.], [0., 0.]]])
    changed = student.clone()
    changed[:, :, 1] += drawn(1, 3, 2, seed=4)
    assert float(logit_loss(student, teacher, 1.0, weights)) == float(logit_loss(changed, teacher, 1.0, weights))


def test_one_channel_is_a_class_and_the_rest():
    logits = drawn(1, 1, 2, 2)
    torch.testing.assert_close(as_classes(logits).softmax(1)[:, 1:], logits.sigmoid())
    assert as_classes(drawn(1, 3, 2, 2)).shape[1] == 3


def test_feature_loss_is_the_formula():
    student, teacher = drawn(2, 6, 3, 3), drawn(2, 6, 3, 3, seed=1) * 50 + 20
    weights = torch.rand(2, 3, 3, generator=torch.Generator().manual_seed(2))
    mean, spread = teacher.double().mean(1, keepdim=True), teacher.double().std(1, correction=0, keepdim=True)
    distance = ((student.double() - (teacher.double() - mean) / spread)**2).mean(1)
    assert float(feature_loss(student, teacher, weights)) == pytest.approx(
        float((distance * weights).sum() / weights.sum()), rel=1e-4)
    assert float(feature_loss(0 * student, teacher, weights)) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(('cells', 'grid'), [((12, 9), (6, 6)), ((6, 6), (12, 24)), ((7, 5), (3, 11)),
                                             ((4, 4), (4, 4))])
def test_resampling_is_that_of_interpolate(cells, grid):
    given = drawn(2, 3, *cells)
    expected = F.interpolate(given, grid, mode='bilinear', antialias=True)
    torch.testing.assert_close(resample(given, (96, 96), grid, (96, 96)), expected, atol=1e-5, rtol=1e-5)


def test_resampling_between_paddings_leaves_pixels_in_place():
    """A map of a place's own coordinates says the same place on the other grid."""
    rows = ((torch.arange(8) + 0.5) * 8).expand(1, 1, 8, 8).transpose(2, 3)  # centres of 8 x 8 cells of 64 pixels
    found = resample(rows, (64, 64), (5, 5), (80, 80))[0, 0, :, 0]  # 5 x 5 cells of 80 pixels: centres 8, 24, ...
    torch.testing.assert_close(found[1:3], torch.tensor([24., 40.]))  # at its edge a mean has fewer cells
    assert 8 < float(found[0]) < 12 and 52 < float(found[3]) < 56 and float(found[4]) > 56
