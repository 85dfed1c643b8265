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


def linear_attention_reference(q: Tensor, k: Tensor, v: Tensor, num_heads: int) -> Tensor:
    """The definition, as `linear_attention`: every target weighs every source, phi(q) phi(k)^T, (Nt, Ns) numbers."""
    phi_q, phi_k = (split_heads(1 + F.elu(tokens), num_heads) for tokens in (q, k))
    weights = phi_q @ phi_k.transpose(-2, -1)  # (B, heads, Nt, Ns)
    return merge_heads(weights @ split_heads(v, num_heads) / (weights.sum(dim=-1, keepdim=True) + 1e-6))


def linear_attention(q: Tensor, k: Tensor, v: Tensor, num_heads: int) -> Tensor:
    """Returns phi(q) (phi(k)^T v) / (phi(q) sum(phi(k)) + 1e-6), per attention head.

    It is computed in this order, from the right, and the division is done on the queries;
    `linear_attention_reference` is the definition.

    Args:
        q: Queries (B, Nt, c) of all attention heads, before the feature map.
        k: Keys (B, Ns, c), likewise.
        v: Values (B, Ns, C).
        num_heads: Attention heads; divides c and C.

    Returns:
        (B, Nt, C).
    """
    q = (1 + F.elu(q)).unflatten(2, (num_heads, -1))  # (B, Nt, heads, c / heads)
    k = (1 + F.elu(k)).unflatten(2, (num_heads, -1))  # (B, Ns, heads, c / heads)
    q = q / ((q * k.sum(dim=1, keepdim=True)).sum(dim=-1, keepdim=True) + 1e-6)  # fewer numbers than the result
    summary = k.permute(0, 2, 3, 1) @ split_heads(v, num_heads)  # (B, heads, c / heads, C / heads)
    return merge_heads(q.transpose(1, 2) @ summary)
