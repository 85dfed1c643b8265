"""Where a temporal module's attention looks before it is trained: at what lies at its own place in the frame.

Queries that are random at first pool everything into nearly the same token, and learn slowly to tell things apart.
Here each query begins as a place in the frame: it pools the tokens around it, and the tokens of the frame around it
read that.
"""
import math

import torch
from torch import Tensor, nn

from ..ttm.layers import Attention
from ..ttm.process import TransformerBlock
from .tokens import PLACE_SHARE, positions

SHARPNESS = 15.0  # attention's score, in each head, for the very place; 0 on average elsewhere
CONTENT = 0.02  # standard deviation of what scores begin to see of anything but places


def grid_of(count: int, aspect: float = 4 / 3) -> tuple[int, int]:
    """Returns the grid (H, W) of H * W >= count places that is nearest to a frame's shape, width over height."""
    height = max(1, round(math.sqrt(count / aspect)))
    return height, -(-count // height)


def places(count: int, dims: int) -> Tensor:
    """Returns the position codes (count, dims) of places spread over a frame."""
    return positions(grid_of(count), dims, torch.device('cpu'), torch.float32)[:count].clone()


def place_scores(heads: int, width: int, place_dims: int) -> Tensor:
    """Returns weights (heads * width, place_dims) of queries and keys by which every head scores places alone.

    A head has room for some of the rates of the position codes: heads share them out, each from slow to quick.
    """
    rates, room = place_dims // 4, max(1, width // 4)
    parts = -(-rates // room)
    weights = torch.zeros(heads, width, rates, 4)
    for head in range(heads):
        own = range(head % parts, rates, parts)
        scale = math.sqrt(SHARPNESS * math.sqrt(width) / (2 * len(own)))
        for place, rate in enumerate(own):
            weights[head, 4 * place:4 * place + 4, rate] = scale * torch.eye(4)[:width]
    return weights.flatten(2).flatten(0, 1)


@torch.no_grad()
def attend_locally(attention: Attention, queries: nn.Parameter) -> None:
    """Sets attention that queries (1, k, C) pool tokens by up, so that each pools those around a place."""
    dims, heads = attention.q.in_features, attention.num_heads
    room = dims // PLACE_SHARE
    queries.zero_()
    queries[0, :, -room:] = places(queries.shape[1], room)
    scores = place_scores(heads, dims // heads, room)
    for weight in (attention.q.weight, attention.kv.weight[:dims]):
        nn.init.normal_(weight, std=CONTENT)
        weight[:, -room:] = scores
    attention.kv.weight[dims:] = torch.eye(dims)
    attention.proj.weight.copy_(torch.eye(dims))
    for bias in (attention.q.bias, attention.kv.bias, attention.proj.bias):
        bias.zero_()


@torch.no_grad()
def read_locally(place: nn.Linear, key_value: nn.Linear, num_heads: int) -> None:
    """Sets up a read from tokens, so that each token of the frame reads those that are around its place.

    Args:
        place: Makes a query's part of a position code.
        key_value: Makes keys and values of tokens, whose last channels hold position codes.
        num_heads: Heads of the attention.
    """
    room = place.in_features
    scores = place_scores(num_heads, place.out_features // num_heads, room)
    place.weight.copy_(scores)
    nn.init.normal_(key_value.weight[:place.out_features], std=CONTENT)
    key_value.weight[:place.out_features, -room:] = scores


@torch.no_grad()
def begin_as_identity(process: nn.Module) -> None:
    """Has the transformer layers of a process unit add nothing until they are trained; others stay as they are."""
    for layer in process.modules():
        if isinstance(layer, TransformerBlock):
            for last in (layer.attention.proj, layer.mlp.fc2):
                last.weight.zero_()
                last.bias.zero_()
