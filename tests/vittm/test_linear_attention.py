"""Linear attention against its definition: values and gradients, over shapes and types."""
import pytest
import torch
import torch.nn.functional as F

from mmseg_vittm.vittm.heads import LinearAttentionHead
from mmseg_vittm.vittm.linear_attention import (
    feature_map,
    linear_attention,
    linear_attention_reference,
    merge_heads,
    projected_linear_attention,
    split_heads,
)

SHAPES = [(1, 1, 1, 1, 1, 1), (2, 5, 7, 3, 2, 4), (1, 64, 1, 4, 8, 3), (3, 1, 33, 2, 5, 5), (2, 49, 196, 12, 16, 64)]


def tokens(shape, dtype, scale: float = 1.0) -> list[torch.Tensor]:
    """q, k and v for (batch, targets, sources, heads, channels of q and k, of v) per attention head."""
    batch, targets, sources, heads, narrow, wide = shape
    generator = torch.Generator().manual_seed(0)
    sizes = (targets, narrow), (sources, narrow), (sources, wide)
    return [(scale * torch.randn(batch, length, heads * width, generator=generator)).to(dtype).requires_grad_()
            for length, width in sizes]


def with_gradients(function, inputs, heads: int) -> list[torch.Tensor]:
    out = function(*inputs, heads)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    return [out, *torch.autograd.grad((out * weight).sum(), inputs)]


@pytest.mark.parametrize('shape', SHAPES, ids=str)
@pytest.mark.parametrize('dtype,tolerance', [(torch.float64, 1e-10), (torch.float32, 2e-5), (torch.bfloat16, 0.05)])
def test_equals_the_definition(shape, dtype, tolerance):
    inputs = tokens(shape, dtype)
    ours = with_gradients(linear_attention, inputs, shape[3])
    exact = [value.detach().double().requires_grad_() for value in inputs]
    reference = with_gradients(linear_attention_reference, exact, shape[3])
    assert ours[0].shape == (shape[0], shape[1], shape[3] * shape[5]) and ours[0].dtype == dtype
    for one, other in zip(ours, reference, strict=True):
        assert (one.double() - other).abs().max() <= tolerance * (1 + other.abs().max())


@pytest.mark.parametrize('shape', SHAPES, ids=str)
@pytest.mark.parametrize('dtype,tolerance', [(torch.float64, 1e-10), (torch.float32, 2e-5), (torch.bfloat16, 0.05)])
def test_projecting_sums_equals_projecting_tokens(shape, dtype, tolerance):
    """Values and the gradients of queries, keys, source, weight and bias."""
    q, k, source = tokens(shape, dtype)
    generator, dims = torch.Generator().manual_seed(2), shape[3] * shape[5]
    weight, bias = ((torch.randn(*sizes, generator=generator) / dims**0.5).to(dtype).requires_grad_()
                    for sizes in ((dims, dims), (dims,)))
    inputs = [q, k, source, weight, bias]

    def reference(q, k, source, weight, bias, heads):
        return linear_attention_reference(q, k, F.linear(source, weight, bias), heads)
    ours = with_gradients(projected_linear_attention, inputs, shape[3])
    exact = [value.detach().double().requires_grad_() for value in inputs]
    for one, other in zip(ours, with_gradients(reference, exact, shape[3]), strict=True):
        assert one.dtype == dtype and (one.double() - other).abs().max() <= tolerance * (1 + other.abs().max())


def test_the_head_computes_the_same_either_way():
    head = LinearAttentionHead(24, 3, 6, num_targets=5).double()
    target, source = torch.randn(2, 5, 24).double(), torch.randn(2, 9, 24).double()
    sums = head(target, source)
    head.projects_tokens = True
    torch.testing.assert_close(sums, head(target, source), atol=1e-12, rtol=1e-12)


def test_feature_map():
    x = torch.cat([torch.linspace(-40, 40, 4001), torch.tensor([0.0, -0.0, -torch.inf])]).double()
    torch.testing.assert_close(feature_map(x), 1 + F.elu(x), atol=1e-15, rtol=1e-12)
    assert (feature_map(torch.linspace(-80, 0, 99)) > 0).all()  # where 1 + elu rounds to zero
    at = torch.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    (slope, ) = torch.autograd.grad(feature_map(at).sum(), at)
    torch.testing.assert_close(slope, torch.tensor([torch.tensor(-2.0).exp().item(), 1.0, 1.0]))
    assert feature_map(torch.tensor(torch.nan)).isnan()


def test_large_and_small_values():
    for scale in (30.0, 1e-4):
        inputs = tokens(SHAPES[1], torch.float64, scale)
        torch.testing.assert_close(linear_attention(*inputs, 3), linear_attention_reference(*inputs, 3))


def test_heads_are_split_and_merged():
    x = torch.arange(24.0).reshape(1, 3, 8)
    assert torch.equal(split_heads(x, 2)[0, 1, :, 0], x[0, :, 4]) and torch.equal(merge_heads(split_heads(x, 4)), x)
