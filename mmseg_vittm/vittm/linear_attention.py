"""Linear attention with the feature map phi(x) = 1 + elu(x), linear in both lengths (paper, section 3.2)."""
import torch.nn.functional as F
from torch import Tensor


def split_heads(tokens: Tensor, num_heads: int) -> Tensor:
    """Splits channels into attention heads: (B, N, heads * c) to (B, heads, N, c)."""
    batch, length, dims = tokens.shape
    return tokens.reshape(batch, length, num_heads, dims // num_heads).transpose(1, 2)


def merge_heads(tokens: Tensor) -> Tensor:
    """Undoes `split_heads`: (B, heads, N, c) to (B, N, heads * c)."""
    return tokens.transpose(1, 2).flatten(2)


def linear_attention_reference(q: Tensor, k: Tensor, v: Tensor, num_heads: int, sizes: Tensor | None = None) -> Tensor:
    """The definition, as `linear_attention`: every target weighs every source, phi(q) phi(k)^T, (Nt, Ns) numbers."""
    phi_q, phi_k = (split_heads(1 + F.elu(tokens), num_heads) for tokens in (q, k))
    weights = phi_q @ phi_k.transpose(-2, -1)  # (B, heads, Nt, Ns)
    weights = weights if sizes is None else weights * sizes[:, None, None]
    return merge_heads(weights @ split_heads(v, num_heads) / (weights.sum(dim=-1, keepdim=True) + 1e-6))


def feature_map(x: Tensor) -> Tensor:
    """Returns phi(x) = 1 + elu(x), of any shape: x + 1 above zero, exp(x) below.

    Not by `F.elu`: that is expm1, which costs 12 times as much on a CPU, and 1 + expm1(x) rounds small values away.
    The slope at zero is 1, as there.
    """
    positive = x.relu()
    return (x - positive).exp() + positive


def linear_attention(q: Tensor, k: Tensor, v: Tensor, num_heads: int, sizes: Tensor | None = None) -> Tensor:
    """Returns phi(q) (phi(k)^T v) / (phi(q) sum(phi(k)) + 1e-6), per attention head.

    It is computed in this order, from the right, and the division is done on the queries;
    `linear_attention_reference` is the definition.

    Args:
        q: Queries (B, Nt, c) of all attention heads, before the feature map.
        k: Keys (B, Ns, c), likewise.
        v: Values (B, Ns, C).
        num_heads: Attention heads; divides c and C.
        sizes: (B, Ns): each source counts as so many equal ones; None: as one.

    Returns:
        (B, Nt, C).
    """
    q, k = feature_map(q), _counted(feature_map(k), sizes)
    summary = split_heads(k, num_heads).transpose(-2, -1) @ split_heads(v, num_heads)
    return _look_up(q, k, summary, num_heads)


def projected_linear_attention(q: Tensor, k: Tensor, source: Tensor, weight: Tensor, bias: Tensor,
                               num_heads: int, sizes: Tensor | None = None) -> Tensor:
    """Returns `linear_attention(q, k, source @ weight.T + bias, ...)` without projecting every source token.

    phi(k)^T (X W^T + 1 b^T) = (phi(k)^T X) W^T + (phi(k)^T 1) b^T: the c x C summary is projected in place of Ns
    tokens, which is 3 to 4 times less work where there are more tokens than channels per head.

    Args:
        q: Queries (B, Nt, c) of all attention heads, before the feature map.
        k: Keys (B, Ns, c), likewise.
        source: Tokens (B, Ns, C).
        weight: The values' projection (C, C).
        bias: Its bias (C).
        num_heads: Attention heads; divides c and C.
        sizes: (B, Ns): each source counts as so many equal ones; None: as one.

    Returns:
        (B, Nt, C).
    """
    q, k = feature_map(q), _counted(feature_map(k), sizes)
    summary = (k.transpose(1, 2) @ source).unflatten(1, (num_heads, -1))  # (B, heads, c / heads, C)
    summary = summary @ weight.unflatten(0, (num_heads, -1)).transpose(1, 2)  # (B, heads, c / heads, C / heads)
    totals = k.sum(dim=1).unflatten(1, (num_heads, -1, 1))  # (B, heads, c / heads, 1)
    return _look_up(q, k, summary + totals * bias.unflatten(0, (num_heads, 1, -1)), num_heads)


def _counted(k: Tensor, sizes: Tensor | None) -> Tensor:
    """Returns keys (B, Ns, c), after the feature map, as often as their tokens count."""
    return k if sizes is None else k * sizes.unsqueeze(2).to(k.dtype)


def _look_up(q: Tensor, k: Tensor, summary: Tensor, num_heads: int) -> Tensor:
    """Returns (B, Nt, C): summaries (B, heads, c / heads, C / heads) weighed by phi(q), over its products with k."""
    q = q.unflatten(2, (num_heads, -1))  # (B, Nt, heads, c / heads)
    totals = k.sum(dim=1, keepdim=True).unflatten(2, (num_heads, -1))
    q = q / ((q * totals).sum(dim=-1, keepdim=True) + 1e-6)  # fewer numbers than the result
    return merge_heads(q.transpose(1, 2) @ summary)
