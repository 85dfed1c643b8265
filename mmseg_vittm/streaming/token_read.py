"""TokenRead: what a temporal module found, brought back to the tokens of the frame."""
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..vittm.streams import Grid
from .places import read_locally
from .tokens import PLACE_SHARE, add_squares, pooled, positions

# Tokens have to change by about their own size, 1, to change a label; weights at a learning rate of 1e-3 change by
# hundredths in some hundred iterations.
GAIN = 8.0


class TokenRead(nn.Module):
    """Cross-attention by which tokens of the frame read what was found; adds nothing until it is trained.

    Args:
        channels: Width C of the frame's tokens.
        source_dims: Width of what is read, a multiple of 16.
        read_dims: Width of queries, keys and values, a multiple of `num_heads`.
        num_heads: Heads.
        pool: Cells on a side of the squares of tokens that read as one: their mean asks, and what it reads is added to
            each of them.
    """

    def __init__(self, channels: int, source_dims: int, read_dims: int, num_heads: int, pool: int = 1):
        super().__init__()
        self.place_dims, self.num_heads, self.pool = source_dims // PLACE_SHARE, num_heads, pool
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, read_dims)
        self.place = nn.Linear(self.place_dims, read_dims, bias=False)
        self.key_value = nn.Linear(source_dims, 2 * read_dims)
        self.out = nn.Linear(read_dims, channels)
        read_locally(self.place, self.key_value, num_heads)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, tokens: Tensor, grid: Grid, keys_values: Tensor, known: Tensor | None = None) -> Tensor:
        """Returns the tokens with what they read added.

        Args:
            tokens: (B, H * W, C).
            grid: (H, W).
            keys_values: What `key_value` makes of what was found, (B, N, 2 * read_dims).
            known: What of it there is, (B, N) bool; None for all.
        """
        squares, small = pooled(tokens, grid, self.pool)
        place = self.place(positions(small, self.place_dims, tokens.device, tokens.dtype))
        query = self.query(self.norm(squares)) + place
        query, key, value = (one.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
                             for one in (query, *keys_values.chunk(2, dim=2)))
        mask = None if known is None else known[:, None, None]  # for all heads and queries
        read = F.scaled_dot_product_attention(query, key, value, mask).transpose(1, 2).flatten(2)
        return add_squares(tokens, grid, self.out(read), GAIN, self.pool)


def token_reads(in_channels: Sequence[int], into: Sequence[int], source_dims: int, read_dims: int, num_heads: int,
                pool: Sequence[int]) -> nn.ModuleList:
    """Returns a `TokenRead` for each of the streams that are read `into`.

    Args:
        in_channels: Width of each stream of tokens.
        into: Numbers of the streams whose tokens read, from 0.
        source_dims: See `TokenRead`, as the next two.
        read_dims: Likewise.
        num_heads: Likewise.
        pool: Of each stream: as `FrameTokens` has it. Tokens read twice as finely as they are looked at.
    """
    return nn.ModuleList(TokenRead(in_channels[stream], source_dims, read_dims, num_heads, max(1, pool[stream] // 2))
                         for stream in into)
