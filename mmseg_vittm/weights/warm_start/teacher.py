"""The ViT itself on the process grid: what a warm-started process stream is measured by."""
import torch
import torch.nn.functional as F
from torch import Tensor

from ...vittm import ViTTMEncoder
from ...vittm.block import ViTTMBlock


class Teacher:
    """The ViT itself on the process grid: its residual stream, with the tokens that a ViTTM has no place for.

    It computes by the encoder's own blocks and patch embedding, which hold its weights until they are calibrated:
    its features are to be asked for before.

    Args:
        encoder: The encoder that was started from it.
        prefix: Its prefix tokens (1, P, C), with their positions; P may be 0.
        norm_pre: Weight and bias of its norm before the blocks, None without.
        norm: Weight and bias of its norm after them, None without.
    """

    def __init__(self, encoder: ViTTMEncoder, prefix: Tensor, norm_pre: tuple[Tensor, Tensor] | None = None,
                 norm: tuple[Tensor, Tensor] | None = None):
        self.encoder, self.prefix, self.norm_pre, self.norm = encoder, prefix, norm_pre, norm

    def begin(self, process: Tensor) -> Tensor:
        """Returns the residual stream (B, P + Np, C) before the first block, of embedded patches (B, Np, C)."""
        stream = torch.cat([self.prefix.to(process).expand(len(process), -1, -1), process], dim=1)
        return stream if self.norm_pre is None else layer_norm(stream, self.norm_pre)

    def step(self, block: ViTTMBlock, stream: Tensor, rope: Tensor | None) -> Tensor:
        """Returns the residual stream (B, P + Np, C) after a block; prefix tokens have no rotary position."""
        if rope is not None:
            sine, cosine = rope.new_zeros(self.prefix.shape[1], rope.shape[1]).chunk(2, dim=1)
            rope = torch.cat([torch.cat([sine, cosine + 1.0], dim=1), rope])
        return self.encode(block, stream, rope)

    @staticmethod
    def encode(block: ViTTMBlock, stream: Tensor, rope: Tensor | None) -> Tensor:
        """Returns tokens (B, N, C) after a block's encoder."""
        return block.encoder(stream) if rope is None else block.encoder(stream, rope=rope)

    def patches(self, stream: Tensor, last: bool = False) -> Tensor:
        """Returns the patches (B, Np, C) of a residual stream, after the last block through the final norm."""
        stream = stream[:, self.prefix.shape[1]:]
        return layer_norm(stream, self.norm) if last and self.norm is not None else stream

    def features(self, images: Tensor) -> list[Tensor]:
        """Returns the patches (B, Np, C) before the first block, and after each one, of images (B, channels, H, W)."""
        rope = self.encoder.rotary(self.encoder.grids(*images.shape[2:])[0])
        stream = self.begin(self.encoder.embed(images)[0])
        streams = [stream]
        for block in self.encoder.blocks:
            streams.append(self.step(block, streams[-1], rope))
        last = len(self.encoder.blocks)
        return [self.patches(stream, number == last) for number, stream in enumerate(streams)]


def layer_norm(tokens: Tensor, norm: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Returns normalised tokens (..., C), with a weight and a bias (C,) or without."""
    weight, bias = (None, None) if norm is None else (one.to(tokens) for one in norm)
    return F.layer_norm(tokens, tokens.shape[-1:], weight, bias, 1e-6)
