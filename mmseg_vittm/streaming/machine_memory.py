"""MachineMemory: a Token Turing Machine across the frames of a stream."""
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..stack import MODELS
from ..ttm import TokenTuringMachine
from .frame import Frame
from .places import attend_locally, begin_as_identity
from .token_read import token_reads
from .tokens import FrameTokens

RENEWED = -0.8  # the gate's bias before training: 0.3 of what is written at a frame replaces what was remembered
NORM = 0.53  # of a memory token's channels before training: tokens are pooled half from memory, half from the frame


@MODELS.register_module()
class MachineMemory(BaseModule):
    """What a Token Turing Machine remembers of a stream's earlier frames, read by the tokens of the frame.

    The machine's inputs are the frame's tokens, a ViTTM's process and memory tokens. Its memory is all that is kept
    of the past, so that time and memory per frame do not depend on how long the stream is. It begins as zeros. Before
    each step it is normed, and a learned embedding is added, by which the machine tells its tokens apart. A gate per
    token says how much of it the machine's write replaces, so that what is seen badly need not be remembered: that is
    not in the Token Turing Machine's paper.

    With `memory_mode='attention'` machine and reads begin local: each memory token holds what is around a place of the
    frame, and the frame's tokens read what is around theirs; see `streaming.places`.

    Args:
        in_channels: Width of each stream of tokens.
        into: Numbers of the streams whose tokens read, from 0.
        embed_dims: Width C of the machine, a multiple of 16.
        num_memory_tokens: Tokens m of its memory.
        num_process_tokens: Tokens r that it reads, processes and puts out at each frame.
        memory_mode: See `TokenTuringMachine`, as the next four.
        process_unit: Likewise.
        num_layers: Likewise.
        mlp_dims: Likewise.
        num_heads: Likewise.
        pool: Of each stream of tokens: cells on a side that are averaged to one input; half as many read as one.
        read_dims: See `TokenRead`, as the next.
        read_heads: Likewise.
    """

    def __init__(self, in_channels: Sequence[int], into: Sequence[int] = (0, ), embed_dims: int = 128,
                 num_memory_tokens: int = 48, num_process_tokens: int = 48, memory_mode: str = 'attention',
                 process_unit: str = 'transformer', num_layers: int = 1, mlp_dims: int = 64, num_heads: int = 4,
                 pool: Sequence[int] = (1, 4), read_dims: int = 32, read_heads: int = 2, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.into = tuple(into)
        self.inputs = FrameTokens(in_channels, embed_dims, pool)
        self.machine = TokenTuringMachine(embed_dims, num_memory_tokens, num_process_tokens, memory_mode, process_unit,
                                          num_layers, mlp_dims, num_heads)
        begin_as_identity(self.machine.process)
        self.slots = nn.Parameter(nn.init.trunc_normal_(torch.empty(num_memory_tokens, embed_dims), std=0.02))
        if memory_mode == 'attention':
            attend_locally(self.machine.read.attention, self.machine.read.queries)
            attend_locally(self.machine.write.pooling.attention, self.machine.write.pooling.queries)
        self.gate = nn.Linear(2 * embed_dims, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, RENEWED)
        self.memory_norm = nn.LayerNorm(embed_dims)
        nn.init.constant_(self.memory_norm.weight, NORM)
        self.reads = token_reads(in_channels, into, embed_dims, read_dims, read_heads, pool)

    def begin(self, frame: Frame) -> dict[str, Tensor]:
        """Returns the state (B, ...) before a stream's first frame."""
        tokens = frame.tokens[0]
        return dict(memory=tokens.new_zeros(len(tokens), *self.slots.shape, dtype=torch.float32))

    def state_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Returns what the state consists of, by name, with the sides after the first; None is any."""
        return dict(memory=tuple(self.slots.shape))

    def forward(self, frame: Frame, state: dict[str, Tensor]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Returns the frame's tokens (B, N, C) with the past in them, and the state after the frame."""
        before = state['memory']
        known = self.memory_norm(before)
        written, outputs = self.machine.step(known + self.slots, self.inputs(frame))  # outputs are normed
        gate = self.gate(torch.cat([known, self.memory_norm(written)], dim=2)).sigmoid()  # (B, m, 1)
        memory = torch.lerp(before, written.to(before.dtype), gate.to(before.dtype))
        tokens = list(frame.tokens)
        for stream, read in zip(self.into, self.reads, strict=True):
            tokens[stream] = read(tokens[stream], frame.grids[stream], read.key_value(outputs))
        return tuple(tokens), dict(memory=memory)
