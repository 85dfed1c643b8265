"""Where a temporal module's attention looks before it is trained: at what lies at its own place in the frame.

Queries that are random at first pool everything into nearly the same token, and learn slowly to tell things apart. Here
each query begins as a place in the frame: it pools the tokens around it, and the cells of the map around it read that.
"""
import math

import torch
from torch import Tensor, nn

from ..ttm.layers import Attention
from .tokens import positions

SHARPNESS = 10.0  # attention's score for the very place, which far ones fall to 0 from


def grid_of(count: int, aspect: float = 4 / 3) -> tuple[int, int]:
    """Returns the grid (H, W) of H * W >= count places that is nearest to a frame's shape, width over height."""
    height = max(1, round(math.sqrt(count / aspect)))
    return height, -(-count // height)


def places(count: int, dims: int) -> Tensor:
    """Returns the position codes (count, dims) of places spread over a frame."""
    return positions(grid_of(count), dims, torch.device('cpu'), torch.float32)[:count].clone()


@torch.no_grad()
def attend_locally(attention: Attention, queries: nn.Parameter) -> None:
    """Sets attention that queries (1, k, C) pool tokens by up, so that each pools those around a place."""
    dims, heads = attention.q.in_features, attention.num_heads
    queries.copy_(places(queries.shape[1], dims)[None])
    turn = nn.init.orthogonal_(torch.empty(dims, dims))  # spreads what tells places apart over all heads
    width = dims // heads
    scale = math.sqrt(SHARPNESS * math.sqrt(width) / (dims / 2 * width / dims))
    attention.q.weight.copy_(turn * scale)
    attention.kv.weight[:dims].copy_(turn * scale)
    value = nn.init.orthogonal_(torch.empty(dims, dims))
    attention.kv.weight[dims:].copy_(value)
    attention.proj.weight.copy_(value.T)
    for bias in (attention.q.bias, attention.kv.bias, attention.proj.bias):
        bias.zero_()


@torch.no_grad()
def read_locally(place: nn.Linear, key_value: nn.Linear, num_heads: int) -> None:
    """Sets up a map's read from tokens, so that each cell reads those that are around its place.

    Args:
        place: Makes a query's part of a cell's position code (dims).
        key_value: Makes keys and values of tokens (dims) that hold position codes.
        num_heads: Heads of the attention.
    """
    dims, width = place.in_features, place.out_features // num_heads
    turn = nn.init.orthogonal_(torch.empty(place.out_features, dims))
    scale = math.sqrt(SHARPNESS * math.sqrt(width) / (dims / 2 * width / dims))
    place.weight.copy_(turn * scale)
    key_value.weight[:place.out_features].copy_(turn * scale)
