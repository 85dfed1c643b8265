"""Token merging: alike tokens become one, which counts as many, and are put back where they came from.

Bolya et al., "Token Merging: Your ViT But Faster", ICLR 2023 (ToMe): bipartite soft matching, proportional attention
and the tracking of sizes. Merging by a threshold, where every image of a batch keeps another number of tokens, fills
the batch up with tokens of size 0, which no token attends to.
"""
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Merged:
    """Tokens that each stand for some of the N tokens that there were at first.

    Attributes:
        tokens: (B, M, C).
        sizes: (B, M), float32: how many of the first tokens each stands for; 0 for what only fills the batch up. None
            while each stands for itself.
        source: (B, N), which of the M holds each of the first tokens. None while each stands for itself.
    """
    tokens: Tensor
    sizes: Tensor | None = None
    source: Tensor | None = None

    def holding(self, tokens: Tensor) -> 'Merged':
        """Returns other tokens (B, M, C) in these ones' places."""
        return replace(self, tokens=tokens)

    def attention_bias(self) -> Tensor | None:
        """Returns `key_bias` of the tokens' sizes; None while each stands for itself."""
        return None if self.sizes is None else key_bias(self.sizes, self.tokens.dtype)

    def unmerged(self) -> Tensor:
        """Returns (B, N, C): every one of the first tokens has the value of the token that it went into."""
        if self.source is None:
            return self.tokens
        return self.tokens.gather(1, self.source.unsqueeze(2).expand(-1, -1, self.tokens.shape[2]))


def key_bias(sizes: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns log sizes (B, 1, 1, M) to add to attention's scores: the key of a token of size s counts as s equal ones.

    Args:
        sizes: (B, M).
        dtype: Of the scores.
    """
    return sizes.log()[:, None, None].to(dtype)


def merge(merged: Merged, parents: Tensor, length: int | None = None) -> Merged:
    """Merges tokens into others: each group becomes its mean, weighed by sizes. The order of those that stay is kept.

    Args:
        merged: M tokens.
        parents: (B, M), for each token the index of the one that takes it in, its own where it stays. That one stays.
        length: Tokens that stay, where that is the same for each image and known, and no token has size 0; None
            counts them, for which a GPU waits, drops those of size 0, and fills images of fewer up. On the meta device,
            where there is nothing to count, all stay.
    """
    tokens, places = merged.tokens, torch.arange(parents.shape[1], device=parents.device)
    stays = parents == places
    sizes = tokens.new_ones(tokens.shape[:2], dtype=torch.float32) if merged.sizes is None else merged.sizes
    if length is None:
        stays = stays & (sizes > 0)
        length = parents.shape[1] if parents.is_meta else int(stays.sum(dim=1).max())
    target = (stays.cumsum(dim=1) - 1).clamp(min=0).gather(1, parents)  # (B, M), among those that stay
    totals = sizes.new_zeros(len(sizes), length).scatter_add(1, target, sizes)
    sums = sizes.new_zeros(len(sizes), length, tokens.shape[2]).scatter_add(
        1, target.unsqueeze(2).expand_as(tokens), tokens.float() * sizes.unsqueeze(2))
    means = sums / totals.clamp(min=1).unsqueeze(2)
    source = target if merged.source is None else target.gather(1, merged.source)
    return Merged(means.to(tokens.dtype), totals, source)


def alike(first: Tensor, second: Tensor) -> Tensor:
    """Returns the cosine similarities (..., N, M), at most 1, of vectors (..., N, C) and (..., M, C), in float32."""
    kind = 'cpu' if first.is_meta else first.device.type  # which autocast does not know
    with torch.autocast(kind, enabled=False):
        first, second = F.normalize(first.float(), dim=-1), F.normalize(second.float(), dim=-1)
        return (first @ second.transpose(-2, -1)).clamp(max=1)


class Pairs(NamedTuple):
    """Pairs of bipartite matching: every other token, with the likest of those between.

    Attributes:
        similarity: (B, A), cosine, -inf where either of the two has size 0.
        partner: (B, A), the index among the M tokens of the one that would take the other in.
        own: (A), the index of that other.
    """
    similarity: Tensor
    partner: Tensor
    own: Tensor


@torch.no_grad()
def pair_up(merged: Merged, metric: Tensor, prefix: int = 0) -> Pairs:
    """Matches tokens in pairs.

    Args:
        merged: M tokens, of which some may have size 0.
        metric: (B, M, c) vectors whose cosine similarity says how alike tokens are; ToMe takes the attention's keys.
        prefix: Class and register tokens at the beginning, which are left out; two other tokens at least follow.
    """
    scores = alike(metric[:, prefix::2], metric[:, prefix + 1::2])
    if merged.sizes is not None:
        absent = merged.sizes[:, prefix:] == 0
        scores = scores.masked_fill(absent[:, ::2, None] | absent[:, None, 1::2], -torch.inf)
    best, partner = scores.max(dim=2)
    return Pairs(best, 2 * partner + prefix + 1, torch.arange(prefix, metric.shape[1], 2, device=metric.device))


def merge_pairs(merged: Merged, pairs: Pairs, chosen: Tensor, length: int | None = None) -> Merged:
    """Merges the chosen ones (B, A) of the pairs of M tokens; `length` as in `merge`."""
    batch, count = merged.tokens.shape[:2]
    parents = torch.arange(count, device=chosen.device).repeat(batch, 1)
    parents[:, pairs.own] = torch.where(chosen, pairs.partner, pairs.own)
    return merge(merged, parents, length)


def merge_likest(merged: Merged, metric: Tensor, count: int, prefix: int = 0) -> Merged:
    """Merges the `count` likest pairs of tokens, as ToMe does, and no more than half of the tokens.

    Args:
        merged: M tokens, none of them of size 0.
        metric: (B, M, c), as in `pair_up`.
        count: Pairs.
        prefix: Class and register tokens at the beginning, which are not merged.
    """
    length = metric.shape[1]
    if 2 * count > length - prefix:  # not min(), which nests from block to block where sizes are symbols of a compiler
        count = (length - prefix) // 2
    if not count:
        return merged
    pairs = pair_up(merged, metric, prefix)
    likest = pairs.similarity.argsort(dim=1, descending=True, stable=True)[:, :count]
    true = torch.ones_like(likest, dtype=torch.bool)  # a tensor: tracing, by which FLOPs are counted, takes no number
    chosen = torch.zeros_like(pairs.similarity, dtype=torch.bool).scatter(1, likest, true)
    return merge_pairs(merged, pairs, chosen, length - count)


def merged_per_block(merge_tokens: int | float, num_tokens: int) -> int:
    """Returns how many tokens each block merges away: the number itself, or a share of the input's tokens."""
    return merge_tokens if isinstance(merge_tokens, int) else round(merge_tokens * num_tokens)


def check_merge_tokens(merge_tokens: int | float, num_tokens: int, num_blocks: int) -> None:
    """Checks the option `merge_tokens`.

    Raises:
        ValueError: It is no number of tokens and no share of them, or leaves fewer than two.
    """
    number = type(merge_tokens) is int and merge_tokens >= 0
    if not number and not (type(merge_tokens) is float and 0 <= merge_tokens <= 0.5):
        raise ValueError('merge_tokens must be a number of tokens that each block merges away, from 0, or their share '
                         f"of the input's tokens, a float from 0.0 to 0.5; got {merge_tokens!r}")
    per_block = merged_per_block(merge_tokens, num_tokens)
    if merge_tokens and not per_block:
        raise ValueError(f'merge_tokens={merge_tokens!r} of {num_tokens} tokens is none; give a larger share, or 0')
    if per_block and num_tokens - per_block * num_blocks < 2:
        most = max(0, num_tokens - 2) // num_blocks
        share = math.floor(1000 * (most - 0.5) / max(1, num_tokens)) / 1000
        give = 'give 0' if not most else f'give {most if isinstance(merge_tokens, int) else share} or less'
        raise ValueError(f'merge_tokens={merge_tokens!r} in each of {num_blocks} blocks merges '
                         f'{per_block * num_blocks} of {num_tokens} tokens away, which would leave fewer than two; '
                         f'{give}, a larger img_size or smaller patches')
