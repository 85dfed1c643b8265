"""Linear attention against its definition: values and gradients, over shapes and types."""
import pytest
import torch

from mmseg_vittm.vittm.linear_attention import linear_attention, linear_attention_reference, merge_heads, split_heads

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


def test_large_and_small_values():
    for scale in (30.0, 1e-4):
        inputs = tokens(SHAPES[1], torch.float64, scale)
        torch.testing.assert_close(linear_attention(*inputs, 3), linear_attention_reference(*inputs, 3))


def test_heads_are_split_and_merged():
    x = torch.arange(24.0).reshape(1, 3, 8)
    assert torch.equal(split_heads(x, 2)[0, 1, :, 0], x[0, :, 4]) and torch.equal(merge_heads(split_heads(x, 4)), x)
