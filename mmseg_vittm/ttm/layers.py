"""What the machine's parts consist of: norm, MLP, attention, position embedding, as in the released unit."""
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = partial(nn.LayerNorm, eps=1e-6)


class Mlp(nn.Module):
    """Two dense layers with the tanh approximation of GELU between them.

    Args:
        in_dims: Width of the input.
        hidden_dims: Width between the layers.
        out_dims: Width of the output.
    """

    def __init__(self, in_dims: int, hidden_dims: int, out_dims: int):
        super().__init__()
        self.fc1 = nn.Linear(in_dims, hidden_dims)
        self.fc2 = nn.Linear(hidden_dims, out_dims)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., out_dims) of (..., in_dims)."""
        return self.fc2(F.gelu(self.fc1(x), approximate='tanh'))


class Attention(nn.Module):
    """Scaled dot-product attention of targets to sources.

    Args:
        embed_dims: Width C.
        num_heads: Attention heads, which divide C.

    Raises:
        ValueError: The heads do not divide the width.
    """

    def __init__(self, embed_dims: int, num_heads: int):
        super().__init__()
        check_heads(embed_dims, num_heads)
        self.num_heads = num_heads
        self.q = nn.Linear(embed_dims, embed_dims)
        self.kv = nn.Linear(embed_dims, 2 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, target: Tensor, source: Tensor) -> Tensor:
        """Returns (B, Nt, C) of `target` (B, Nt, C), or (1, Nt, C) for all alike, and `source` (B, Ns, C)."""
        return self.attend(target, self.kv(source))

    def attend(self, target: Tensor, keys_values: Tensor) -> Tensor:
        """Returns as `forward`, of the projected `source`, keys and values (B, Ns, 2 C), which may be kept."""
        batch, length = len(keys_values), target.shape[1]
        q = self.q(target).unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (1 or B, heads, Nt, c)
        k, v = keys_values.unflatten(2, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, Ns, c) each
        gathered = F.scaled_dot_product_attention(q.expand(batch, -1, -1, -1), k, v)
        return self.proj(gathered.transpose(1, 2).reshape(batch, length, -1))


def check_heads(embed_dims: int, num_heads: int) -> None:
    """Checks that attention heads divide the width.

    Raises:
        ValueError: They do not; names the heads that do.
    """
    if num_heads < 1 or embed_dims % num_heads:
        fitting = [heads for heads in range(1, embed_dims + 1) if embed_dims % heads == 0 and heads <= 16]
        raise ValueError(f'num_heads={num_heads} does not divide embed_dims={embed_dims}; give one of {fitting}, or '
                         'another width')


def new_position(num_tokens: int, embed_dims: int) -> nn.Parameter:
    """Returns a learned position embedding (1, N, C), small random numbers at first."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(1, num_tokens, embed_dims), std=0.02))
