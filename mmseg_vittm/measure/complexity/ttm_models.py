"""What the Token Turing Machine's slides compare it with, as models of one step each: LSTM and attention over the past.

A step's model takes the tokens (1, N, C) of one frame. What it keeps of earlier frames are buffers, zeros here, since
only shapes count. `torch.device('meta')` makes them without memory.
"""
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...ttm import Machine
from ...ttm.layers import Attention, Mlp, Norm
from ...ttm.process import transformer


class MachineStep(nn.Module):
    """A step of a Token Turing Machine, from an empty memory.

    Args:
        machine: The machine.
    """

    def __init__(self, machine: Machine):
        super().__init__()
        self.machine = machine

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the next memory (1, m, C) and outputs (1, r, C) of tokens (1, N, C)."""
        return self.machine.step(self.machine.empty_memory(tokens), tokens)


class LSTMStep(nn.Module):
    """A step of an LSTM with a state for each token, a projection in and one out, and an MLP.

    Args:
        embed_dims: Width C of tokens and state.
        num_tokens: Tokens N of a frame.
        mlp_dims: Hidden width of the MLP; 0 leaves out MLP and projections, so that the bare LSTM stays.
    """

    def __init__(self, embed_dims: int, num_tokens: int, mlp_dims: int):
        super().__init__()
        self.inputs, self.outputs = (nn.Linear(embed_dims, embed_dims) if mlp_dims else nn.Identity() for _ in range(2))
        self.gates = nn.Linear(2 * embed_dims, 4 * embed_dims)
        self.mlp = nn.Sequential(Norm(embed_dims), Mlp(embed_dims, mlp_dims, embed_dims)) if mlp_dims else None
        for name in ('hidden', 'cell'):
            self.register_buffer(name, torch.zeros(1, num_tokens, embed_dims))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns outputs and the new hidden and cell states, (1, N, C) each, of tokens (1, N, C)."""
        gates = self.gates(torch.cat([self.inputs(tokens), self.hidden], dim=2))
        take, forget, show, new = gates.chunk(4, dim=2)
        cell = forget.sigmoid() * self.cell + take.sigmoid() * new.tanh()
        hidden = show.sigmoid() * cell.tanh()
        outputs = self.outputs(hidden)
        return outputs if self.mlp is None else outputs + self.mlp(outputs), hidden, cell


class CausalLayer(nn.Module):
    """A pre-norm layer in which a frame's tokens attend to each other and to those of earlier frames.

    Args:
        embed_dims: Width C.
        num_heads: Attention heads.
        mlp_dims: Hidden width of the MLP; 0 for none.
        cached: Whether keys and values of earlier frames are kept, or the tokens, which are projected anew.
    """

    def __init__(self, embed_dims: int, num_heads: int, mlp_dims: int, cached: bool):
        super().__init__()
        self.cached = cached
        self.norm = Norm(embed_dims)
        self.attention = Attention(embed_dims, num_heads)
        self.mlp = nn.Sequential(Norm(embed_dims), Mlp(embed_dims, mlp_dims, embed_dims)) if mlp_dims else None

    def forward(self, tokens: Tensor, past: Tensor) -> Tensor:
        """Returns tokens (1, N, C) of tokens (1, N, C) and what is kept of P earlier ones, (1, P, C) or (1, P, 2 C)."""
        normed = self.norm(tokens)
        if self.cached:
            keys_values = torch.cat([past, self.attention.kv(normed)], dim=1)
        else:
            keys_values = self.attention.kv(torch.cat([self.norm(past), normed], dim=1))
        tokens = tokens + self.attention.attend(normed, keys_values)
        return tokens if self.mlp is None else tokens + self.mlp(tokens)


class CausalStep(nn.Module):
    """A step of a causal transformer over the past: the tokens of a frame, through layers that know earlier ones.

    Args:
        embed_dims: Width C.
        num_layers: Layers.
        num_heads: Attention heads.
        mlp_dims: Hidden width of the MLPs; 0 for none.
        num_past: Earlier tokens P that are attended to.
        cached: Whether their keys and values are kept, or they are projected anew at each step.
    """

    def __init__(self, embed_dims: int, num_layers: int, num_heads: int, mlp_dims: int, num_past: int, cached: bool):
        super().__init__()
        self.layers = nn.ModuleList(CausalLayer(embed_dims, num_heads, mlp_dims, cached) for _ in range(num_layers))
        self.norm = Norm(embed_dims)
        self.register_buffer('past', torch.zeros(num_layers, 1, num_past, embed_dims * (2 if cached else 1)))

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns processed tokens (1, N, C) of tokens (1, N, C)."""
        for layer, past in zip(self.layers, self.past, strict=True):
            tokens = layer(tokens, past)
        return self.norm(tokens)


class WindowStep(nn.Module):
    """A transformer over the tokens of a frame and over as many kept ones as it is told, all of them computed anew.

    With the tokens of earlier frames this is a temporal transformer; with those that it put out at the step before,
    a recurrent one.

    Args:
        embed_dims: Width C.
        num_layers: Layers.
        num_heads: Attention heads.
        mlp_dims: Hidden width of the MLPs.
        num_tokens: Tokens N of the frame.
        num_kept: Kept tokens P.
    """

    def __init__(self, embed_dims: int, num_layers: int, num_heads: int, mlp_dims: int, num_tokens: int, num_kept: int):
        super().__init__()
        self.transformer = transformer(embed_dims, num_kept + num_tokens, num_layers, mlp_dims, num_heads)
        self.register_buffer('kept', torch.zeros(1, num_kept, embed_dims))

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns processed tokens (1, P + N, C) of tokens (1, N, C)."""
        return self.transformer(torch.cat([self.kept, tokens], dim=1))


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Returns what a function builds, on the meta device: shapes without numbers, however large."""
    with torch.device('meta'):
        return build()
