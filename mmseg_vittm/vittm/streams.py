"""The two token streams: image to tokens and their grid, position embeddings, tokens back to a map."""
import math

import torch
import torch.nn.functional as F
from timm.layers import trunc_normal_
from torch import Tensor, nn

Grid = tuple[int, int]


def to_pair(value: int | tuple[int, int], name: str) -> tuple[int, int]:
    """Returns `value` as a (height, width) pair of positive integers; an error names the argument."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise ValueError(f'{name} must be a positive integer or a (height, width) pair of them, got {value!r}')
    return pair


def tokens_to_map(tokens: Tensor, grid: Grid) -> Tensor:
    """Lays tokens (B, H * W, C) out on their grid: (B, C, H, W)."""
    return tokens.transpose(1, 2).unflatten(2, grid)


def concat_maps(process: Tensor, memory: Tensor) -> Tensor:
    """Concatenates two maps (B, C, h, w) on channels, each upsampled (bilinear) to the finer grid of the two."""
    grid = tuple(max(sides) for sides in zip(process.shape[2:], memory.shape[2:], strict=True))
    maps = [stream if stream.shape[2:] == grid else F.interpolate(stream, grid, mode='bilinear', align_corners=False)
            for stream in (process, memory)]
    return torch.cat(maps, dim=1)


def nearest_grid(num_tokens: int, aspect: float) -> Grid:
    """Returns the (H, W) with H * W = `num_tokens` whose ratio H / W is nearest to `aspect`."""
    rows = [n for n in range(1, num_tokens + 1) if num_tokens % n == 0]
    height = min(rows, key=lambda n: abs(math.log(n * n / num_tokens / aspect)))
    return height, num_tokens // height


def resize_matrix(old: int, new: int, device: torch.device, mode: str = 'bicubic') -> Tensor:
    """Returns the (new, old) float32 matrix that resamples a line of `old` values, antialiased."""
    lines = torch.eye(old, device=device)[None, None]
    return F.interpolate(lines, size=(new, old), mode=mode, antialias=True)[0, 0]


def resample_positions(positions: Tensor, grid: Grid, mode: str = 'bicubic') -> Tensor:
    """Resamples position embeddings, or tokens, (B, H, W, C) to another grid: (B, H', W', C).

    Rows and columns apart, by matrices: the same numbers as timm's `resample_abs_pos_embed_nhwc` to 1e-5, but
    it compiles with dynamic shapes, where the backward pass of PyTorch's antialiased interpolation does not.
    """
    if tuple(positions.shape[1:3]) == tuple(grid):
        return positions
    with torch.no_grad():
        rows = resize_matrix(positions.shape[1], grid[0], positions.device, mode)
        columns = resize_matrix(positions.shape[2], grid[1], positions.device, mode)
    resampled = torch.einsum('yh,bhwc->bywc', rows, positions.float())
    return torch.einsum('xw,bywc->byxc', columns, resampled).to(positions.dtype)


def square_grid(num_tokens: int) -> Grid:
    """Returns the square grid of so many positions.

    Raises:
        ValueError: There is none.
    """
    side = math.isqrt(num_tokens)
    if side * side != num_tokens:
        raise ValueError(f"holds {num_tokens} positions, which are no square grid and not this model's either; set "
                         'img_size to what the checkpoint was trained at')
    return side, side


def lay_out_positions(positions: Tensor, grid: Grid) -> Tensor:
    """Lays flat position embeddings (1, N, C) out: (1, H, W, C), on `grid` where their number fits, else a square."""
    fits = positions.shape[1] == grid[0] * grid[1]
    return positions.unflatten(1, grid if fits else square_grid(positions.shape[1]))


class PositionEmbedding(nn.Module):
    """A learned position embedding, resampled (bicubic, antialiased) where another grid is asked for.

    It is resampled at every call: keeping the result gained ViTTM-B nothing measurable on a CPU (0.4%, in noise of 4%).

    Args:
        grid: The (H, W) that it is learned on.
        embed_dims: Width C.
    """

    def __init__(self, grid: Grid, embed_dims: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, *grid, embed_dims))
        trunc_normal_(self.weight, std=0.02)

    @property
    def grid(self) -> Grid:
        """The (H, W) that the embedding is learned on."""
        return self.weight.shape[1], self.weight.shape[2]

    def forward(self, grid: Grid) -> Tensor:
        """Returns the embedding (1, H * W, C) of a grid (H, W)."""
        return resample_positions(self.weight, grid).flatten(1, 2)


class PatchStream(nn.Module):
    """Tokens of a stream's own patch embedding: a p x p convolution of stride p.

    Args:
        patch_size: (height, width) of a patch in pixels.
        in_channels: Channels of the image.
        embed_dims: Width C.
        grid: The (H, W) of the position embedding.
    """

    def __init__(self, patch_size: tuple[int, int], in_channels: int, embed_dims: int, grid: Grid):
        super().__init__()
        self.proj = nn.Conv2d(in_channels, embed_dims, kernel_size=patch_size, stride=patch_size)
        self.pos_embed = PositionEmbedding(grid, embed_dims)

    def forward(self, images: Tensor) -> Tensor:
        """Returns tokens (B, H * W, C) of images (B, in_channels, H * p, W * p)."""
        patches = self.proj(images)
        return patches.flatten(2).transpose(1, 2) + self.pos_embed(patches.shape[2:])


class DownsampleStream(nn.Module):
    """Process tokens averaged from the memory tokens, plus a position embedding of their own.

    Args:
        embed_dims: Width C.
        grid: The (H, W) of the position embedding.
    """

    def __init__(self, embed_dims: int, grid: Grid):
        super().__init__()
        self.pos_embed = PositionEmbedding(grid, embed_dims)

    def forward(self, memory: Tensor, memory_grid: Grid, grid: Grid) -> Tensor:
        """Returns tokens (B, H * W, C) on `grid` (H, W) from memory tokens (B, Nm, C)."""
        pooled = F.adaptive_avg_pool2d(tokens_to_map(memory, memory_grid), grid)
        return pooled.flatten(2).transpose(1, 2) + self.pos_embed(grid)


class LatentStream(nn.Module):
    """Learned process tokens, the same for every image; learned position included.

    Args:
        embed_dims: Width C.
        grid: The (H, W) on which the tokens are laid out where a map is asked for.
    """

    def __init__(self, embed_dims: int, grid: Grid):
        super().__init__()
        self.tokens = nn.Parameter(torch.empty(1, grid[0] * grid[1], embed_dims))
        trunc_normal_(self.tokens, std=0.02)

    def forward(self, batch: int) -> Tensor:
        """Returns tokens (B, Np, C)."""
        return self.tokens.expand(batch, -1, -1)
