"""The cell heads: a process token reads from the memory tokens of its own cell of the image alone, and writes to these.

Not the paper's. Its linear attention has every process token read from one c x C summary of the whole memory: what lies
in a token's own patch can hardly be told apart in it, and that is what a finer memory is there for. Here a process
token attends to just these tokens, which costs less too: nothing is projected per memory token. What lies elsewhere
comes by the process tokens' self-attention.

The memory tokens lie in the order of their cells, see `by_cell`, so that a cell is a slice.
"""
import math

import torch
from torch import Tensor, nn

from .streams import Grid

CELL = 'cell'

class CellReadHead(nn.Module):
    """Scaled softmax attention of each target token to the source tokens of its cell.

    Both projections of the source are moved to where there are fewer tokens: q . (Wk x) is (Wk^T q) . x, and a weighted
    sum of Wv x is Wv times that of x. Keys have no bias: a softmax over tokens does not see one.

    Args:
        embed_dims: Width C of both streams, and of values.
        num_heads: Attention heads.
        latent_dims: Width c of queries and keys, a multiple of `num_heads`.
        num_targets: Ignored; any number of target tokens is fine.
    """

    def __init__(self, embed_dims: int, num_heads: int, latent_dims: int, num_targets: int):
        super().__init__()
        self.num_heads, self.scale = num_heads, math.sqrt(latent_dims // num_heads)
        self.q = nn.Linear(embed_dims, latent_dims)
        self.k = nn.Linear(embed_dims, latent_dims, bias=False)
        self.v = nn.Linear(embed_dims, embed_dims)

    def forward(self, target: Tensor, source: Tensor) -> Tensor:
        """Returns the update (B, Nt, C) of `target` (B, Nt, C) from `source` (B, Nt * R, C), in the order of cells."""
        cells = source.unflatten(1, (target.shape[1], -1))  # (B, Nt, R, C)
        queries = (self.q(target) / self.scale).unflatten(2, (self.num_heads, -1))  # (B, Nt, heads, c / heads)
        queries = _per_head(queries, self.k.weight.unflatten(0, (self.num_heads, -1)))  # (B, Nt, heads, C)
        weights = (queries @ cells.transpose(2, 3)).softmax(dim=-1)  # (B, Nt, heads, R)
        values = self.v.weight.unflatten(0, (self.num_heads, -1)).transpose(1, 2)
        return _per_head(weights @ cells, values).flatten(2) + self.v.bias


class CellWriteHead(nn.Module):
    """Each target token takes the value of the source token in whose cell it lies.

    Args:
        embed_dims: Width C of both streams.
        num_heads: Ignored: nothing is weighed, a target token has one source token.
        latent_dims: Ignored: the head has no queries or keys.
        num_targets: Ignored; any multiple of the number of source tokens is fine.
    """

    def __init__(self, embed_dims: int, num_heads: int, latent_dims: int, num_targets: int):
        super().__init__()
        self.v = nn.Linear(embed_dims, embed_dims)

    def forward(self, target: Tensor, source: Tensor) -> Tensor:
        """Returns the update (B, Ns * R, C) of `target`, likewise, in the order of cells, from `source` (B, Ns, C)."""
        size = target.shape[1] // source.shape[1]
        return self.v(source).unsqueeze(2).expand(-1, -1, size, -1).flatten(1, 2)


def _per_head(tokens: Tensor, weight: Tensor) -> Tensor:
    """Multiplies tokens (B, N, heads, c) by one matrix (c, d) per attention head, (heads, c, d): (B, N, heads, d)."""
    return torch.einsum('bnhc,hcd->bnhd', tokens, weight)


def by_cell(tokens: Tensor, grid: Grid, cells: Grid) -> Tensor:
    """Brings tokens (B, H * W, C) from the order of the rows of their grid (H, W) to that of cells.

    Args:
        tokens: The tokens.
        grid: Theirs, (H, W).
        cells: The grid of cells, (h, w), which divide H and W. Cells lie in the order of rows, and so do the
            tokens of each.
    """
    height, width = (side // count for side, count in zip(grid, cells, strict=True))
    return tokens.unflatten(1, (cells[0], height, cells[1], width)).transpose(2, 3).flatten(1, 4)


def by_row(tokens: Tensor, grid: Grid, cells: Grid) -> Tensor:
    """Brings tokens (B, H * W, C) back from the order of cells to that of rows, see `by_cell`."""
    height, width = (side // count for side, count in zip(grid, cells, strict=True))
    return tokens.unflatten(1, (*cells, height, width)).transpose(2, 3).flatten(1, 4)


def check_cells(process_init: str, process_patch: Grid, memory_patch: Grid, fusion: str) -> None:
    """Checks that each process token has a cell of several memory tokens, which stay several.

    Args:
        process_init: As of the encoder.
        process_patch: (height, width) of a process patch in pixels.
        memory_patch: Likewise, of the memory.
        fusion: As of the encoder.

    Raises:
        ValueError: It has not.
    """
    sides = list(zip(process_patch, memory_patch, strict=True))
    if process_init != 'patch' or any(process % memory for process, memory in sides) or process_patch == memory_patch:
        raise ValueError(
            "read_write_head='cell' needs process tokens of patches that hold several patches of the memory, got "
            f'process_init={process_init!r}, process_patch_size {process_patch} and memory_patch_size {memory_patch}; '
            "give process_init='patch' and a process_patch_size that is a multiple of memory_patch_size")
    if fusion == 'erase':
        raise ValueError("read_write_head='cell' cannot work with fusion='erase', by which all memory tokens of a cell "
                         "become the same; give 'add' or 'add_erase'")
