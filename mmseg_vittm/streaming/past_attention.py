"""PastAttention: causal attention over the last frames, whose cost grows with how many they are."""
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..stack import MODELS
from .frame import Frame
from .token_read import token_reads
from .tokens import FrameTokens


@MODELS.register_module()
class PastAttention(BaseModule):
    """The last frames' own tokens, read by the tokens of the frame: what a memory is measured against.

    Keys and values of earlier frames are kept, not computed again. With `num_frames=1` it remembers nothing: what the
    same weights give without a past.

    Args:
        in_channels: Width of each stream of tokens.
        into: Numbers of the streams whose tokens read, from 0.
        num_frames: Frames K that are read, the present one among them.
        embed_dims: Width C of what is read, a multiple of 16.
        pool: Of each stream of tokens: cells on a side that are averaged to one; half as many read as one.
        read_dims: See `TokenRead`, as the next.
        read_heads: Likewise.

    Raises:
        ValueError: `num_frames` is below 1.
    """

    def __init__(self, in_channels: Sequence[int], into: Sequence[int] = (0, ), num_frames: int = 8,
                 embed_dims: int = 128, pool: Sequence[int] = (1, 4), read_dims: int = 32, read_heads: int = 2,
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if num_frames < 1:
            raise ValueError(f'num_frames must be at least 1, the present frame, got {num_frames}')
        self.into, self.num_frames = tuple(into), num_frames
        self.inputs = FrameTokens(in_channels, embed_dims, pool)
        self.norm = nn.LayerNorm(embed_dims)
        self.reads = token_reads(in_channels, into, embed_dims, read_dims, read_heads, pool)
        self.ages = nn.Parameter(torch.zeros(num_frames, 2 * read_dims * len(self.into)))

    def begin(self, frame: Frame) -> dict[str, Tensor]:
        """Returns the state (B, ...) before a stream's first frame: keys and values of no frames."""
        found = self._keys_values(frame)
        return dict(past=torch.zeros_like(found)[:, None].expand(-1, self.num_frames - 1, -1, -1),
                    known=torch.zeros(len(found), self.num_frames - 1, dtype=torch.bool, device=found.device))

    def state_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Returns what the state consists of, by name, with the sides after the first; None is any."""
        return dict(past=(self.num_frames - 1, None, self.ages.shape[1]), known=(self.num_frames - 1, ))

    def forward(self, frame: Frame, state: dict[str, Tensor]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Returns the frame's tokens (B, N, C) with the past in them, and the state after the frame."""
        present = self._keys_values(frame)
        past = torch.cat([state['past'], present[:, None]], dim=1)  # (B, K, N, all 2 * read_dims), the present last
        known = torch.cat([state['known'], state['known'].new_ones(len(present), 1)], dim=1)  # (B, K)
        seen = (past + self.ages[:, None]).flatten(1, 2).chunk(len(self.into), dim=2)
        mask = known[:, :, None].expand(-1, -1, past.shape[2]).flatten(1)
        tokens = list(frame.tokens)
        for stream, read, one in zip(self.into, self.reads, seen, strict=True):
            tokens[stream] = read(tokens[stream], frame.grids[stream], one, mask)
        return tuple(tokens), dict(past=past[:, 1:], known=known[:, 1:])

    def _keys_values(self, frame: Frame) -> Tensor:
        """Returns the keys and values of a frame for all reads, (B, N, all 2 * read_dims)."""
        tokens = self.norm(self.inputs(frame))
        return torch.cat([read.key_value(tokens) for read in self.reads], dim=2)
