"""Cross entropy with weights of classes, where pixels are void: PyTorch's numbers, on both stacks."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmseg.models.losses import CrossEntropyLoss
from mmseg.registry import MODELS

from mmseg_vittm.engine.weighted_loss import WeightedCrossEntropyLoss, with_weighted_losses

WEIGHTS = [0.5, 1.0, 4.0]


def batch(void=True):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, 7, generator=generator, dtype=torch.float32).requires_grad_()
    labels = torch.randint(0, 3, (2, 5, 7), generator=generator)
    if void:
        labels[:, :2] = 255
    return logits, labels


@pytest.mark.parametrize('void', [True, False])
@pytest.mark.parametrize('avg_non_ignore', [True, False])
def test_is_pytorchs(void, avg_non_ignore):
    logits, labels = batch(void)
    loss = WeightedCrossEntropyLoss(class_weight=WEIGHTS, avg_non_ignore=avg_non_ignore, loss_weight=2.0)
    found = loss(logits, labels, ignore_index=255)
    expected = 2 * F.cross_entropy(logits, labels, torch.tensor(WEIGHTS), ignore_index=255)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    own, reference = (torch.autograd.grad(one, logits, retain_graph=True)[0] for one in (found, expected))
    assert torch.allclose(own, reference, atol=1e-7) and loss.loss_name == 'loss_ce'


def test_mmsegmentations_own_fails_there():
    """What this is for; where it is mended upstream, this test says so."""
    logits, labels = batch()
    with pytest.raises(IndexError):
        CrossEntropyLoss(class_weight=WEIGHTS, avg_non_ignore=True)(logits, labels, ignore_index=255)


@pytest.mark.parametrize('options,arguments', [
    (dict(), {}), (dict(avg_non_ignore=True), {}), (dict(class_weight=WEIGHTS, reduction='sum'), {}),
    (dict(class_weight=WEIGHTS), dict(reduction_override='none')), (dict(class_weight=WEIGHTS), dict(avg_factor=9.0))])
def test_else_is_mmsegmentations(options, arguments):
    logits, labels = batch()
    found, expected = (kind(**options)(logits, labels, ignore_index=255, **arguments)
                       for kind in (WeightedCrossEntropyLoss, CrossEntropyLoss))
    assert torch.equal(found, expected)


def test_pixels_with_weights_of_their_own():
    """Those of OHEM, which keeps some pixels."""
    logits, labels = batch()
    kept = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1)).gt(0.5).float()
    found = WeightedCrossEntropyLoss(class_weight=WEIGHTS)(logits, labels, weight=kept, ignore_index=255)
    each = F.cross_entropy(logits, labels, torch.tensor(WEIGHTS), ignore_index=255, reduction='none')
    weights = torch.tensor([*WEIGHTS, 0.0])[labels.clamp(max=3)]
    assert found.item() == pytest.approx(((each * kept).sum() / weights.sum()).item(), rel=1e-5)


def test_all_void():
    logits, labels = batch()
    found = WeightedCrossEntropyLoss(class_weight=WEIGHTS)(logits, torch.full_like(labels, 255), ignore_index=255)
    assert found.item() == 0


@pytest.mark.parametrize('losses', [dict, list])
def test_a_models_config(losses, mmseg_scope):
    weighted = dict(type='CrossEntropyLoss', class_weight=WEIGHTS, loss_name='loss_w')
    plain = dict(type='CrossEntropyLoss')
    scoped = dict(type='mmseg.CrossEntropyLoss', class_weight=[1])
    loss_decode = weighted if losses is dict else [weighted, plain, scoped]
    cfg = ConfigDict(decode_head=dict(loss_decode=loss_decode), auxiliary_head=[dict(loss_decode=plain)])
    before = cfg.to_dict()
    found = with_weighted_losses(cfg)
    assert cfg.to_dict() == before and found['auxiliary_head'][0]['loss_decode']['type'] == 'CrossEntropyLoss'
    kinds = found['decode_head']['loss_decode']
    if losses is dict:
        assert type(MODELS.build(kinds)) is WeightedCrossEntropyLoss
    else:
        assert [type(MODELS.build(one)) for one in kinds] == [WeightedCrossEntropyLoss, CrossEntropyLoss,
                                                              WeightedCrossEntropyLoss]
