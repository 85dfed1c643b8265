"""The two ways in which the machine reads, and writes, many tokens as few: token summary and attention pooling.

Both take the tokens in parts, memory, inputs and outputs, as if these were concatenated. A token summary, whose tokens
are many and whose arithmetic is little, does so without copying them into one.
"""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .layers import Attention, Mlp, Norm, new_position

SCORE_DIMS = 64
POOLING_HEADS = 8


class TokenSummary(nn.Module):
    """Token summary (TokenLearner v1.1): k weighted sums of all tokens, as they are before the norm.

    An MLP scores each token k times; the weights of a sum are the softmax of its scores over the tokens. The bias of
    the last layer adds the same to the scores of all tokens, so that no output depends on it: it is there because the
    released weights have it.

    Args:
        embed_dims: Width C.
        num_tokens: Sums k.
    """

    def __init__(self, embed_dims: int, num_tokens: int):
        super().__init__()
        self.norm = Norm(embed_dims)
        self.scores = Mlp(embed_dims, SCORE_DIMS, num_tokens)

    def forward(self, parts: Sequence[Tensor]) -> Tensor:
        """Returns k tokens (B, k, C) of parts (B, n, C), each of its own n."""
        scores = torch.cat([self.scores(self.norm(part)) for part in parts], dim=1)  # (B, all n, k)
        weights = scores.transpose(1, 2).softmax(dim=2)
        shares = weights.split([part.shape[1] for part in parts], dim=2)
        total, *others = (share @ part for share, part in zip(shares, parts, strict=True))
        for other in others:
            total = total + other
        return total


class AttentionPooling(nn.Module):
    """Attention pooling: k learned query tokens attend to all tokens, with 8 heads, no residual and no norm.

    The bias of the keys changes no output, as it adds the same to all scores of a query.

    Args:
        embed_dims: Width C, which 8 divides.
        num_tokens: Query tokens k.

    Raises:
        ValueError: 8 does not divide the width.
    """

    def __init__(self, embed_dims: int, num_tokens: int):
        super().__init__()
        if embed_dims % POOLING_HEADS:
            raise ValueError(f"memory_mode='attention' has {POOLING_HEADS} heads, which do not divide "
                             f"embed_dims={embed_dims}; give a multiple of {POOLING_HEADS}, or memory_mode='summary'")
        self.queries = new_position(num_tokens, embed_dims)
        self.attention = Attention(embed_dims, POOLING_HEADS)

    def forward(self, parts: Sequence[Tensor]) -> Tensor:
        """Returns k tokens (B, k, C) of parts (B, n, C), each of its own n."""
        return self.attention(self.queries, torch.cat(parts, dim=1))


class PooledWrite(nn.Module):
    """A write that replaces the memory: as many tokens as it had, pooled from memory, inputs and outputs.

    Args:
        pooling: A `TokenSummary` or `AttentionPooling` to as many tokens as the memory has.
        position: Learned position embedding (1, m + N + r, C) of what is pooled; None for none.
    """

    def __init__(self, pooling: nn.Module, position: nn.Parameter | None = None):
        super().__init__()
        self.pooling = pooling
        self.position = position

    def forward(self, memory: Tensor, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Returns the next memory (B, m, C) of `memory`, `outputs` (B, r, C) and `inputs` (B, N, C)."""
        return self.pooling(placed((memory, inputs, outputs), self.position))


def placed(parts: Sequence[Tensor], position: Tensor | None) -> Sequence[Tensor]:
    """Returns parts (B, n, C) with the position embedding (1, all n, C) of their concatenation, if there is one."""
    if position is None:
        return parts
    places = position.split([part.shape[1] for part in parts], dim=1)
    return [part + place for part, place in zip(parts, places, strict=True)]
