"""The anchors: constants on the streams, by which a norm keeps how long a token is."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...vittm import ViTTMEncoder
from ...vittm.fusion import Add
from ...vittm.heads import TokenSummaryHead
from .fit import last_layer

Streams = list[tuple[Tensor, Tensor]]
POWER = 30.0
STEPS = 10  # to the constant that keeps the memory's mean
LARGEST = 1e4  # of a bias before LayerScale: float16 ends at 65504


class Anchor:
    """A constant vector on both streams, which each read norm takes away and each write norm passes on.

    A norm makes all tokens equally long, and the ViT's residual stream does not have them so. A constant that outweighs
    a token makes the norm divide all tokens by nearly the same number: its weight then undoes the division, its bias
    takes the constant away. So a read norm gets it from the bias of the patch embeddings, or from the write norm
    before it; a write norm gets it from the bias of the encoder's last layer. The memory gets it from the bias of
    what is written, where process tokens have theirs. Nothing but biases holds it.

    Where a branch is dropped in training (stochastic depth), so would its bias be: in such a block the write norm goes
    without, and so it does where LayerScale would need biases that are too large. Where the write cannot give memory a
    constant, in token summaries and add-erase, there is none anywhere.

    Args:
        encoder: The encoder.
        power: Mean square of the constant over that of the ViT's residual stream; 0 for none.

    Attributes:
        biases: Names of the biases that hold it.
    """

    def __init__(self, encoder: ViTTMEncoder, power: float):
        first = encoder.blocks[0].write_head
        passes = first is None or isinstance(encoder.write_fusion, Add) and not isinstance(first, TokenSummaryHead)
        self.encoder, self.power = encoder, power * passes
        self.biases: list[str] = []

    def constant(self, goals: Sequence[Tensor], scale: Tensor | None = None) -> Tensor:
        """Returns the constant (C,), of mean zero.

        A norm also takes away what a token has along the constant, so it lies where the tokens differ least; and it is
        on many channels, so that none has to hold a large number.

        Args:
            goals: The ViT's residual stream (B, Np, C), by batch.
            scale: LayerScale (C,): it is on the half of the channels where this is largest.
        """
        width = self.encoder.embed_dims
        channels = torch.arange(width) if scale is None else scale.abs().cpu().argsort(descending=True)[
            :max(2, width // 4 * 2)].sort().values
        tokens = torch.cat([goal.flatten(0, 1) for goal in goals]).double().cpu()
        centred = tokens[:, channels] - tokens[:, channels].mean(0)
        covariance = centred.T @ centred
        covariance += covariance.trace()  # so that the mean over channels is where they differ most
        least = torch.linalg.eigh(covariance).eigenvectors[:, :max(1, len(channels) // 4)]
        signs = torch.ones(len(channels), dtype=least.dtype)
        signs[1::2] = -1.0
        direction = least @ (least.T @ signs)
        constant = torch.zeros(width, dtype=least.dtype)
        constant[channels] = direction / direction.norm() * (self.power * tokens.square().mean() * width).sqrt()
        return constant.to(goals[0])

    def on_embeddings(self, goals: Sequence[Tensor]) -> None:
        """Adds it to the biases of the patch embeddings."""
        for name in ('process_stream', 'memory_stream'):
            stream = getattr(self.encoder, name)
            if self.power and hasattr(stream, 'proj'):
                stream.proj.bias.add_(self.constant(goals))
                self.biases.append(f'{name}.proj.bias')

    def on_block(self, number: int, goals: Sequence[Tensor], constant: Tensor) -> None:
        """Adds it to the bias of a block's last layer, for the write norm, where it can stay there."""
        block = self.encoder.blocks[number].encoder
        if not self.power or getattr(block.drop_path2, 'drop_prob', 0.0):
            return
        scale = getattr(getattr(block, 'ls2', None), 'gamma', getattr(block, 'gamma_2', None))
        if scale is not None:
            constant = self.constant(goals, scale)
            constant = torch.where(constant == 0, 0.0, constant / scale)
            if not constant.abs().max() < LARGEST:
                return
        block.mlp.fc2.bias.add_(constant)
        self.biases.append(f'blocks.{number}.encoder.mlp.fc2.bias')

    def on_memory(self, number: int, streams: Streams, embedded: Sequence[Tensor], constant: Tensor,
                  goals: Sequence[Tensor], norm: nn.LayerNorm | None) -> Streams:
        """Gives it to what a block writes, with what has the memory tokens keep their mean.

        The norms are those of the process stream, which replace the memory's mean by one that is neither's. So the
        constant that is written is the one from which the next norm makes, of the tokens that were embedded, their
        mean again, in proportion to what it makes of their differences from it.

        Args:
            number: The block.
            streams: Both, after the block, (B, Np, C) and (B, Nm, C), by batch.
            embedded: Memory tokens (B, Nm, C) before the first block, by batch.
            constant: What process tokens have, (C,).
            goals: The ViT's residual stream (B, Np, C), by batch.
            norm: What memory tokens pass next, None for nothing.

        Returns:
            The streams with it.
        """
        tokens = torch.cat([memory.flatten(0, 1) for _, memory in streams])
        first = torch.cat([one.flatten(0, 1) for one in embedded])
        mean, first_mean = tokens.mean(0), first.mean(0)
        first = first - first_mean
        length = torch.cat([one.flatten() for one in goals]).square().mean().sqrt()
        bias = (tokens - mean).square().mean().sqrt() / length * constant - mean
        for _ in range(STEPS):
            given = tokens + bias if norm is None else norm(tokens + bias)
            scale = ((given - given.mean(0)) * first).sum() / first.square().sum()
            slope = torch.ones_like(bias) if norm is None else norm.weight / (tokens + bias).var(1).mean().sqrt()
            least = 0.1 * slope.square().mean().sqrt()  # a channel of a smaller slope would need too much
            bias = bias + (scale * first_mean - given.mean(0)) * slope / (slope.square() + least.square())
        head: nn.Module = self.encoder.blocks[number].write_head
        head.get_submodule(last_layer(head)).bias.copy_(bias)
        self.biases.append(f'blocks.{number}.write_head.{last_layer(head)}.bias')
        return [(process, memory + bias) for process, memory in streams]
