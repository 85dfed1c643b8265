"""A frame's tokens as a temporal module takes them: pooled, of one width, and told where in the frame they are."""
import math
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..vittm.streams import Grid
from .frame import Frame

FINEST = 10  # half waves across the frame of the quickest of the sines that tell places apart; the slowest has a half
PLACE_SHARE = 4  # one in so many channels of a token, the last ones, is for its place before training


@lru_cache(maxsize=64)
def positions(grid: Grid, dims: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Returns sines and cosines (H * W, dims) of the places of a grid's cells, as shares of its sides.

    They are the same for a place in the frame whatever the grid, so that the tokens of all streams, and of all sizes of
    frames, are told apart alike. Channels are, per rate: sine and cosine of the row, of the column.

    Args:
        grid: (H, W).
        dims: A multiple of 4.
        device: Where the result is.
        dtype: Its type.
    """
    rates = math.pi * torch.logspace(math.log10(0.5), math.log10(FINEST), dims // 4, dtype=torch.float64)
    rows, columns = ((torch.arange(side, dtype=torch.float64) + 0.5)[:, None] / side * rates for side in grid)
    rows, columns = rows[:, None].expand(*grid, -1), columns[None].expand(*grid, -1)  # (H, W, rates)
    return torch.stack([rows.sin(), rows.cos(), columns.sin(), columns.cos()], dim=3).flatten(2).flatten(0, 1).to(
        device, dtype)


def pooled(tokens: Tensor, grid: Grid, factor: int) -> tuple[Tensor, Grid]:
    """Returns tokens averaged over squares of `factor` cells, and their grid; squares at the edges may be cut.

    Args:
        tokens: (B, H * W, C).
        grid: (H, W).
        factor: Cells on a side.
    """
    if factor == 1:
        return tokens, grid
    if not any(side % factor for side in grid):
        height, width = (side // factor for side in grid)
        squares = tokens.unflatten(1, (height, factor, width, factor))
        # One sum over both at once reads memory in strides: on a CPU it takes ten times as long.
        return squares.sum(dim=2).sum(dim=3).flatten(1, 2) / factor ** 2, (height, width)
    cells = tokens.transpose(1, 2).unflatten(2, grid)
    small = F.avg_pool2d(cells, factor, ceil_mode=True, count_include_pad=False)
    return small.flatten(2).transpose(1, 2), tuple(small.shape[2:])


def add_squares(tokens: Tensor, grid: Grid, added: Tensor, gain: float, factor: int) -> Tensor:
    """Returns tokens with what is added to all of each square that `pooled` averages.

    Args:
        tokens: (B, H * W, C).
        grid: (H, W).
        added: Of the squares, (B, h * w, C).
        gain: What it is multiplied by.
        factor: Cells on a side.
    """
    if factor == 1:
        return torch.add(tokens, added, alpha=gain)
    height, width = (-(-side // factor) for side in grid)
    if not any(side % factor for side in grid):
        squares = tokens.unflatten(1, (height, factor, width, factor))
        return torch.add(squares, added.unflatten(1, (height, 1, width, 1)), alpha=gain).flatten(1, 4)
    rows, columns = (torch.arange(side, device=tokens.device) // factor for side in grid)
    return torch.add(tokens, added[:, (rows[:, None] * width + columns).flatten()], alpha=gain)


class FrameTokens(nn.Module):
    """The tokens of a frame, all streams in a row, as a temporal module takes them.

    Args:
        in_channels: Width of each stream.
        embed_dims: Width C, a multiple of 16.
        pool: Of each stream: cells on a side that are averaged to one token first.

    Raises:
        ValueError: The width is no such multiple, or `pool` is not as long as `in_channels`.
    """

    def __init__(self, in_channels: Sequence[int], embed_dims: int, pool: Sequence[int]):
        super().__init__()
        if embed_dims % 16:
            raise ValueError(f'embed_dims must be a multiple of 16, got {embed_dims}')
        if len(pool) != len(in_channels):
            raise ValueError(f'pool must have a number per stream of tokens, as in_channels={tuple(in_channels)}, got '
                             f'{tuple(pool)}')
        self.place_dims, self.pool = embed_dims // PLACE_SHARE, tuple(pool)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for channels in in_channels)
        self.projs = nn.ModuleList(nn.Linear(channels, embed_dims) for channels in in_channels)
        for proj in self.projs:
            proj.weight.data[-self.place_dims:] = 0
            proj.bias.data[-self.place_dims:] = 0

    def forward(self, frame: Frame) -> Tensor:
        """Returns tokens (B, N, C)."""
        found = []
        for number, (tokens, grid) in enumerate(zip(frame.tokens, frame.grids, strict=True)):
            tokens, grid = pooled(tokens, grid, self.pool[number])
            content = self.projs[number](self.norms[number](tokens))
            content[:, :, -self.place_dims:] += positions(grid, self.place_dims, content.device, content.dtype)
            found.append(content)
        return torch.cat(found, dim=1)
