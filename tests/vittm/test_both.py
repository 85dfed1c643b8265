"""Both: any criterion of one tensor is the sum of two, values and gradients."""
import copy
import pickle

import pytest
import timm.loss
import torch
import torch.nn.functional as F

from mmseg_vittm.vittm import Both

CLASSES = torch.tensor([0, 3, 1, 3])
SOFT = torch.rand(4, 5, generator=torch.Generator().manual_seed(3))
HARD = (SOFT > 0.5).float()
CRITERIA = {
    'cross_entropy': (torch.nn.CrossEntropyLoss(), CLASSES),
    'weighted': (torch.nn.CrossEntropyLoss(torch.arange(1.0, 6.0), label_smoothing=0.1), CLASSES),
    'sum': (torch.nn.CrossEntropyLoss(reduction='sum'), CLASSES),
    'label_smoothing': (timm.loss.LabelSmoothingCrossEntropy(0.1), CLASSES),
    'soft_target': (timm.loss.SoftTargetCrossEntropy(), SOFT),
    'binary_of_classes': (timm.loss.BinaryCrossEntropy(0.1, target_threshold=0.2), CLASSES),
    'binary_of_soft': (timm.loss.BinaryCrossEntropy(0.0), SOFT),
    'jsd': (timm.loss.JsdCrossEntropy(num_splits=2), CLASSES[:2]),
    'asymmetric': (timm.loss.AsymmetricLossMultiLabel(), HARD),
    'asymmetric_single': (timm.loss.AsymmetricLossSingleLabel(), CLASSES),
    'poly': (timm.loss.PolyCrossEntropy(), CLASSES),
    'poly_binary': (timm.loss.PolyBinaryCrossEntropy(), HARD),
    'two_way': (timm.loss.TwoWayLoss(), HARD),
    'zlpr': (timm.loss.ZlprLoss(), HARD),
    'distillation': (lambda x, target: F.kl_div(F.log_softmax(x / 2, 1), target, reduction='batchmean'), SOFT),
    'margin': (lambda x, target: (1 - x[range(4), target] + x.masked_fill(x < 0, 0).sum(1)).clamp(min=0).mean(),
               CLASSES),
    'operators': (lambda x, target: (2 * x ** 2 - x / 3 + (1 - x) * abs(-x)).mean() + (target.float() @ x).sum(),
                  CLASSES),
}


def logits(seed: int) -> torch.Tensor:
    """Logits (4, 5) with a gradient, the same at every call."""
    return torch.randn(4, 5, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@pytest.mark.parametrize('name', CRITERIA)
def test_a_criterion_is_the_sum_of_both(name):
    criterion, target = CRITERIA[name]
    process, memory = logits(0), logits(1)
    loss = criterion(Both(process, memory), target)
    assert type(loss) is torch.Tensor and loss.ndim == 0
    gradients = torch.autograd.grad(loss, (process, memory))
    expected = criterion(process, target) + criterion(memory, target)
    torch.testing.assert_close(loss, expected)
    for actual, right in zip(gradients, torch.autograd.grad(expected, (process, memory)), strict=True):
        assert right.abs().max() > 1e-3
        torch.testing.assert_close(actual, right)


def test_numbers_without_a_gradient_are_the_memory_streams():
    process, memory = logits(0), logits(1)
    classes = memory.argmax(1)
    assert not torch.equal(process.argmax(1), classes)
    both = Both(process, memory)
    assert (both.argmax(1) == classes).float().mean() == 1
    assert (both.detach().topk(2, dim=1).indices[:, 0] == classes).sum() == 4


def test_it_is_a_tuple_and_knows_what_tensors_say_of_themselves():
    process, memory = logits(0), logits(1)
    both = Both(process, memory)
    first, second = both
    assert first is process is both[0] is both.process and second is memory is both[-1] is both.memory
    assert (both.shape, both.dtype, both.device, both.ndim) == ((4, 5), torch.float32, torch.device('cpu'), 2)
    assert torch.equal(both[1:].memory, memory[1:]) and torch.equal(both[:, 2].process, process[:, 2])
    assert torch.equal(torch.stack([both, both]).process, torch.stack([process, process]))
    assert [half.shape for half in both.split(2)] == [(2, 5), (2, 5)]
    with pytest.raises(AttributeError, match='no attribute'):
        _ = both.no_such_thing
    with pytest.raises(ValueError, match='differ in this: .* of process, .* of memory tokens; take `.process`'):
        _ = Both(process, memory[1:]).shape


def test_copies():
    both = Both(logits(0).detach(), logits(1).detach())
    for again in (copy.deepcopy(both), pickle.loads(pickle.dumps(both))):
        assert type(again) is Both and torch.equal(again.process, both.process)
        assert torch.equal(again.memory, both.memory)
