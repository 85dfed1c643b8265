"""Read/write heads and fusions against formulas written out token by token, as in the paper."""
import math

import pytest
import torch
from tiny_models import assert_no_dead_parameters
from torch import nn
from torch.nn.functional import elu, gelu, layer_norm, linear, softmax

from mmseg_vittm.vittm import FUSIONS, HEADS

DIMS, HEADS_COUNT, LATENT, TARGETS, SOURCES = 24, 3, 12, 5, 7


def build(name: str) -> nn.Module:
    """A head whose weights are all random: fresh LayerNorms and zero biases would hide a wrong order."""
    torch.manual_seed(0)
    head = HEADS[name](DIMS, HEADS_COUNT, LATENT, num_targets=TARGETS)
    for weight in head.parameters():
        nn.init.normal_(weight, std=0.5)
    return head


def streams() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(2, TARGETS, DIMS, generator=generator), torch.randn(2, SOURCES, DIMS, generator=generator))


def project(layer: nn.Linear, tokens, norm: nn.LayerNorm | None = None):
    out = linear(tokens, layer.weight, layer.bias)
    return out if norm is None else layer_norm(out, out.shape[-1:], norm.weight, norm.bias, eps=1e-5)


def per_head(tokens, index: int):
    """The channels of one attention head, (N, c)."""
    width = tokens.shape[-1] // HEADS_COUNT
    return tokens[:, index * width:(index + 1) * width]


def linear_reference(head, target, source):
    def phi(x):
        return 1 + elu(x)
    columns = []
    for h in range(HEADS_COUNT):
        q = phi(per_head(project(head.q, target), h))
        k, v = phi(per_head(project(head.k, source), h)), per_head(project(head.v, source), h)
        rows = []
        for i in range(len(target)):
            scores = torch.stack([(q[i] * k[n]).sum() for n in range(len(source))])
            rows.append((scores[:, None] * v).sum(0) / (scores.sum() + 1e-6))
        columns.append(torch.stack(rows))
    return torch.cat(columns, dim=1)


def cross_reference(head, target, source):
    columns = []
    for h in range(HEADS_COUNT):
        q = per_head(project(head.q, target, head.q_norm), h)
        k = per_head(project(head.k, source, head.k_norm), h)
        v = per_head(project(head.v, source, head.v_norm), h)
        columns.append(softmax(q @ k.T / math.sqrt(DIMS / HEADS_COUNT), dim=1) @ v)
    return project(head.proj, torch.cat(columns, dim=1))


def latent_reference(head, target, source):
    columns = []
    for h in range(HEADS_COUNT):
        q = softmax(per_head(project(head.q, target, head.q_norm), h), dim=1)  # over channels
        k = softmax(per_head(project(head.k, source, head.k_norm), h), dim=0)  # over tokens
        v = per_head(project(head.v, source, head.v_norm), h)
        columns.append(q @ (k.T @ v))
    return project(head.proj, torch.cat(columns, dim=1))


def token_summary_reference(head, target, source):
    tokens = torch.cat([source, target])
    normed = layer_norm(tokens, (DIMS, ), head.norm.weight, head.norm.bias, eps=1e-5)
    scores = project(head.mlp.fc2, gelu(project(head.mlp.fc1, normed)))  # (Ns + Nt, Nt)
    return torch.stack([softmax(scores[:, i], dim=0) @ tokens for i in range(TARGETS)])


REFERENCES = dict(linear=linear_reference, cross=cross_reference, latent=latent_reference,
                  token_summary=token_summary_reference)


@pytest.mark.parametrize('name', HEADS)
def test_head_equals_its_formula(name):
    head, (target, source) = build(name).double(), (x.double() for x in streams())
    expected = torch.stack([REFERENCES[name](head, t, s) for t, s in zip(target, source, strict=True)])
    actual = head(target=target, source=source)
    assert actual.shape == target.shape
    torch.testing.assert_close(actual, expected, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize('name', HEADS)
def test_head_gradients_reach_weights_and_both_streams(name):
    head, (target, source) = build(name), streams()
    target.requires_grad_(), source.requires_grad_()
    # A softmax over tokens does not see what is added to all of them.
    invariant = dict(cross=('k_norm.bias', ), latent=('k_norm.bias', ), token_summary=('fc2.bias', ))
    assert_no_dead_parameters(head, [head(target=target, source=source)], invariant.get(name, ()))
    assert target.grad.abs().max() > 1e-6 and source.grad.abs().max() > 1e-6


@pytest.mark.parametrize('name', HEADS)
def test_head_sees_source_as_a_set(name):
    """Attention has no order of its own: shuffling the source changes nothing, shuffling the batch only the batch."""
    head, (target, source) = build(name), streams()
    order = torch.tensor([6, 0, 3, 5, 1, 4, 2])
    expected = head(target=target, source=source)
    torch.testing.assert_close(head(target=target, source=source[:, order]), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(head(target=target.flip(0), source=source.flip(0)), expected.flip(0))
    assert not torch.allclose(head(target=target, source=source.flip(0)), expected, atol=1e-3)


@pytest.mark.parametrize('name', ['linear', 'cross', 'latent'])
@pytest.mark.parametrize('targets,sources', [(1, 1), (9, 2), (2, 9)])
def test_attention_heads_take_any_number_of_tokens(name, targets, sources):
    out = build(name)(target=torch.randn(2, targets, DIMS), source=torch.randn(2, sources, DIMS))
    assert out.shape == (2, targets, DIMS) and out.isfinite().all()


def test_linear_head_stays_finite_where_phi_vanishes():
    """1 + elu(x) underflows to 0 for very negative x: the 1e-6 keeps 0 / 0 away."""
    head = build('linear')
    nn.init.constant_(head.k.bias, -1e4)
    target, source = streams()
    source.requires_grad_()
    out = head(target=target, source=source)
    out.sum().backward()
    assert out.isfinite().all() and source.grad.isfinite().all()


@pytest.mark.parametrize('name,fixes', [('linear', False), ('cross', False), ('latent', False),
                                        ('token_summary', True)])
def test_heads_say_whether_they_fix_the_token_count(name, fixes):
    assert HEADS[name].fixes_targets is fixes


def test_add_and_erase():
    target, update = torch.randn(2, TARGETS, DIMS), torch.randn(2, TARGETS, DIMS)
    assert torch.equal(FUSIONS['add'](DIMS, TARGETS)(target, update), target + update)
    assert torch.equal(FUSIONS['erase'](DIMS, TARGETS)(target, update), update)
    assert not FUSIONS['add'].fixes_targets and not FUSIONS['erase'].fixes_targets


def test_add_erase_has_one_gate_per_target_token():
    torch.manual_seed(0)
    fusion, (target, _) = FUSIONS['add_erase'](DIMS, TARGETS), streams()
    update = torch.randn(2, TARGETS, DIMS)
    expected = torch.empty_like(target)
    for b in range(2):
        logits = fusion.gate.weight @ update[b].mean(0) + fusion.gate.bias
        for t in range(TARGETS):
            a = 1 / (1 + math.exp(-logits[t].item()))
            expected[b, t] = target[b, t] * (1 - a) + update[b, t] * a
    torch.testing.assert_close(fusion(target, update), expected)
    assert fusion.fixes_targets
    assert_no_dead_parameters(fusion, [fusion(target, update)])


@pytest.mark.parametrize('bias,which', [(-1e4, 'target'), (1e4, 'update')])
def test_add_erase_gates_saturate_to_either_stream(bias, which):
    fusion = FUSIONS['add_erase'](DIMS, TARGETS)
    nn.init.constant_(fusion.gate.bias, bias)
    given = dict(target=torch.randn(2, TARGETS, DIMS), update=torch.randn(2, TARGETS, DIMS))
    torch.testing.assert_close(fusion(**given), given[which])
