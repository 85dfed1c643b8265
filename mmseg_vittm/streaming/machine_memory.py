"""MachineMemory: a Token Turing Machine across the frames of a stream."""
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..stack import MODELS
from ..ttm import TokenTuringMachine
from .frame import Frame
from .places import attend_locally, places
from .token_read import TokenRead
from .tokens import FrameTokens

RETAINED = 0.4  # how strongly a memory token is drawn to its own place before training, beside the frame's tokens there


@MODELS.register_module()
class MachineMemory(BaseModule):
    """What a Token Turing Machine remembers of a stream's earlier frames, read by the tokens of the frame.

    The machine's inputs are the frame's tokens, a ViTTM's process and memory tokens. Its memory is all that is kept
    of the past, so that time and memory per frame do not depend on how long the stream is. It begins as zeros. Before
    each step it is normed, so that it stays bounded however many there are, and a learned embedding is added, by which
    the machine tells its tokens apart.

    With `memory_mode='attention'` machine and reads begin local: each memory token holds what is around a place of the
    frame, and the frame's tokens read what is around theirs; see `streaming.places`.

    Args:
        in_channels: Width of each stream of tokens.
        into: Numbers of the streams whose tokens read, from 0.
        embed_dims: Width C of the machine, a multiple of 8.
        num_memory_tokens: Tokens m of its memory.
        num_process_tokens: Tokens r that it reads, processes and puts out at each frame.
        memory_mode: See `TokenTuringMachine`, as the next four.
        process_unit: Likewise.
        num_layers: Likewise.
        mlp_dims: Likewise.
        num_heads: Likewise.
        pool: Of each stream of tokens: cells on a side that are averaged to one input.
        read_dims: See `TokenRead`, as the next.
        read_heads: Likewise.
    """

    def __init__(self, in_channels: Sequence[int], into: Sequence[int] = (0, ), embed_dims: int = 128,
                 num_memory_tokens: int = 48, num_process_tokens: int = 48, memory_mode: str = 'attention',
                 process_unit: str = 'transformer', num_layers: int = 1, mlp_dims: int = 256, num_heads: int = 4,
                 pool: Sequence[int] = (1, 4), read_dims: int = 32, read_heads: int = 2, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.into = tuple(into)
        self.inputs = FrameTokens(in_channels, embed_dims, pool)
        self.machine = TokenTuringMachine(embed_dims, num_memory_tokens, num_process_tokens, memory_mode, process_unit,
                                          num_layers, mlp_dims, num_heads)
        self.slots = nn.Parameter(nn.init.trunc_normal_(torch.empty(num_memory_tokens, embed_dims), std=0.02))
        if memory_mode == 'attention':
            attend_locally(self.machine.read.attention, self.machine.read.queries)
            attend_locally(self.machine.write.pooling.attention, self.machine.write.pooling.queries)
            self.slots.data.copy_(RETAINED * places(num_memory_tokens, embed_dims))
        self.memory_norm, self.norm = nn.LayerNorm(embed_dims), nn.LayerNorm(embed_dims)
        self.reads = nn.ModuleList(TokenRead(in_channels[stream], embed_dims, read_dims, read_heads) for stream in into)

    def begin(self, frame: Frame) -> dict[str, Tensor]:
        """Returns the state (B, ...) before a stream's first frame."""
        tokens = frame.tokens[0]
        return dict(memory=tokens.new_zeros(len(tokens), *self.slots.shape, dtype=torch.float32))

    def state_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Returns what the state consists of, by name, with the sides after the first; None is any."""
        return dict(memory=tuple(self.slots.shape))

    def forward(self, frame: Frame, state: dict[str, Tensor]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Returns the frame's tokens (B, N, C) with the past in them, and the state after the frame."""
        memory, outputs = self.machine.step(self.memory_norm(state['memory']) + self.slots, self.inputs(frame))
        outputs, tokens = self.norm(outputs), list(frame.tokens)
        for stream, read in zip(self.into, self.reads, strict=True):
            tokens[stream] = read(tokens[stream], frame.grids[stream], read.key_value(outputs))
        return tuple(tokens), dict(memory=memory)
