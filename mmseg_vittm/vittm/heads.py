"""The read/write heads: how a target stream gathers from a source stream (paper, section 3.2).

A head maps a source (B, Ns, C) and a target (B, Nt, C) to an update (B, Nt, C) of the target. Reading, the
process tokens are the target and the memory tokens the source; writing, the other way round. Where source tokens were
merged, their `sizes` (B, Ns) say as how many equal ones each counts; None: as one.
"""
import torch
import torch.nn.functional as F
from timm.layers import Mlp
from torch import Tensor, nn

from .linear_attention import linear_attention, merge_heads, projected_linear_attention, split_heads
from .merging import key_bias


class KeyValueHead(nn.Module):
    """Queries of the target, keys and values of the source: what the attention heads share.

    Args:
        embed_dims: Width C of both streams, and of values.
        num_heads: Attention heads.
        latent_dims: Width c of queries and keys, a multiple of `num_heads`.
    """
    fixes_targets = False

    def __init__(self, embed_dims: int, num_heads: int, latent_dims: int):
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(embed_dims, latent_dims)
        self.k = nn.Linear(embed_dims, latent_dims)
        self.v = nn.Linear(embed_dims, embed_dims)


class LinearAttentionHead(KeyValueHead):
    """Linear attention with the feature map phi(x) = 1 + elu(x): the paper's default, linear in both lengths.

    There is no output projection: the authors' checkpoints carry an unused one, dropped when they are loaded.

    Args:
        embed_dims: Width C of both streams.
        num_heads: Attention heads.
        latent_dims: Width c of queries and keys, a multiple of `num_heads`.
        num_targets: Ignored; any number of target tokens is fine.

    Attributes:
        projects_tokens: Whether every source token is projected to a value, as the paper counts, or only their sums:
            the same update by less work.
    """
    projects_tokens = False

    def __init__(self, embed_dims: int, num_heads: int, latent_dims: int, num_targets: int):
        super().__init__(embed_dims, num_heads, latent_dims)

    def forward(self, target: Tensor, source: Tensor, sizes: Tensor | None = None) -> Tensor:
        """Returns the update (B, Nt, C) of `target` (B, Nt, C) from `source` (B, Ns, C) of `sizes` (B, Ns)."""
        q, k = self.q(target), self.k(source)
        if self.projects_tokens:
            return linear_attention(q, k, self.v(source), self.num_heads, sizes)
        return projected_linear_attention(q, k, source, self.v.weight, self.v.bias, self.num_heads, sizes)


class CrossAttentionHead(KeyValueHead):
    """Scaled softmax attention of the target to the source, with a LayerNorm on each of q, k and v.

    Args:
        embed_dims: Width C of both streams, and of queries, keys and values.
        num_heads: Attention heads.
        latent_dims: Ignored: this head's queries and keys have the streams' width.
        num_targets: Ignored; any number of target tokens is fine.
    """

    def __init__(self, embed_dims: int, num_heads: int, latent_dims: int, num_targets: int):
        super().__init__(embed_dims, num_heads, embed_dims)
        self.q_norm = nn.LayerNorm(embed_dims, eps=1e-5)
        self.k_norm = nn.LayerNorm(embed_dims, eps=1e-5)
        self.v_norm = nn.LayerNorm(embed_dims, eps=1e-5)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, target: Tensor, source: Tensor, sizes: Tensor | None = None) -> Tensor:
        """Returns the update (B, Nt, C) of `target` (B, Nt, C) from `source` (B, Ns, C) of `sizes` (B, Ns)."""
        q = split_heads(self.q_norm(self.q(target)), self.num_heads)
        k = split_heads(self.k_norm(self.k(source)), self.num_heads)
        v = split_heads(self.v_norm(self.v(source)), self.num_heads)
        bias = None if sizes is None else key_bias(sizes, q.dtype)
        return self.proj(merge_heads(F.scaled_dot_product_attention(q, k, v, attn_mask=bias)))


class LatentAttentionHead(KeyValueHead):
    """Attention through a c x C summary of the source: softmax of q over channels, of k over tokens.

    Args:
        embed_dims: Width C of both streams.
        num_heads: Attention heads.
        latent_dims: Width c of queries and keys, a multiple of `num_heads`.
        num_targets: Ignored; any number of target tokens is fine.
    """

    def __init__(self, embed_dims: int, num_heads: int, latent_dims: int, num_targets: int):
        super().__init__(embed_dims, num_heads, latent_dims)
        self.q_norm = nn.LayerNorm(latent_dims, eps=1e-5)
        self.k_norm = nn.LayerNorm(latent_dims, eps=1e-5)
        self.v_norm = nn.LayerNorm(embed_dims, eps=1e-5)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, target: Tensor, source: Tensor, sizes: Tensor | None = None) -> Tensor:
        """Returns the update (B, Nt, C) of `target` (B, Nt, C) from `source` (B, Ns, C) of `sizes` (B, Ns)."""
        q = split_heads(self.q_norm(self.q(target)), self.num_heads).softmax(dim=-1)
        k = split_heads(self.k_norm(self.k(source)), self.num_heads)
        k = (k if sizes is None else k + sizes.log()[:, None, :, None].to(k.dtype)).softmax(dim=-2)
        v = split_heads(self.v_norm(self.v(source)), self.num_heads)
        return self.proj(merge_heads(q @ (k.transpose(-2, -1) @ v)))


class TokenSummaryHead(nn.Module):
    """Token summarisation of source and target together, as in Token Turing Machines.

    An MLP scores each of the Ns + Nt tokens once per target token; each target's update is the average of all
    tokens, weighted by the softmax of its scores. The MLP's size ties the head to its number of target tokens.

    Args:
        embed_dims: Width C of both streams.
        num_heads: Ignored: the head has no attention heads.
        latent_dims: Ignored: the head has no queries or keys.
        num_targets: Number Nt of target tokens.
    """
    fixes_targets = True

    def __init__(self, embed_dims: int, num_heads: int, latent_dims: int, num_targets: int):
        super().__init__()
        self.norm = nn.LayerNorm(embed_dims, eps=1e-5)
        self.mlp = Mlp(embed_dims, hidden_features=num_targets, out_features=num_targets)

    def forward(self, target: Tensor, source: Tensor) -> Tensor:
        """Returns the update (B, Nt, C) of `target` (B, Nt, C) from `source` (B, Ns, C)."""
        tokens = torch.cat([source, target], dim=1)
        weight = self.mlp(self.norm(tokens)).softmax(dim=1)  # (B, Ns + Nt, Nt)
        return weight.transpose(1, 2) @ tokens


HEADS = {
    'linear': LinearAttentionHead,
    'cross': CrossAttentionHead,
    'latent': LatentAttentionHead,
    'token_summary': TokenSummaryHead,
}
