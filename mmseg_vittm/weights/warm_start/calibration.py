"""The calibration: read and write norms that give the ViT's own residual stream back, block by block."""
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...vittm import ViTTMEncoder
from ...vittm.block import ViTTMBlock
from ...vittm.fusion import Add
from .fit import last_layer

Streams = list[tuple[Tensor, Tensor]]
ANCHOR = 10.0
LEAST_SCALE = 1e-3  # of LayerScale: smaller ones would need biases that are too large


class Teacher:
    """The ViT itself on the process grid: its residual stream, with the tokens that a ViTTM has no place for.

    It computes by the encoder's own blocks, which hold its weights.

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
        return stream if self.norm_pre is None else _layer_norm(stream, self.norm_pre)

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
        return _layer_norm(stream, self.norm) if last and self.norm is not None else stream

    def features(self, images: Tensor) -> list[Tensor]:
        """Returns the patches (B, Np, C) before the first block, and after each one, of images (B, channels, H, W)."""
        rope = self.encoder.rotary(self.encoder.grids(*images.shape[2:])[0])
        stream = self.begin(self.encoder.embed(images)[0])
        streams = [stream]
        for block in self.encoder.blocks:
            streams.append(self.step(block, streams[-1], rope))
        last = len(self.encoder.blocks)
        return [self.patches(stream, number == last) for number, stream in enumerate(streams)]


def _layer_norm(tokens: Tensor, norm: tuple[Tensor, Tensor] | None = None) -> Tensor:
    weight, bias = (None, None) if norm is None else (one.to(tokens) for one in norm)
    return F.layer_norm(tokens, tokens.shape[-1:], weight, bias, 1e-6)


class Fit(NamedTuple):
    """How near a norm's output comes to the ViT's residual stream, on the images that it was calibrated on.

    Attributes:
        name: Of the norm.
        before: Relative error of the tokens with the weight and bias that it had.
        after: With those that were folded in.
    """
    name: str
    before: float
    after: float


def _least_squares(tokens: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
    centred = tokens - tokens.mean(0)
    weight = (centred * (goal - goal.mean(0))).sum(0) / centred.square().sum(0).clamp(min=1e-12)
    return weight, goal.mean(0) - weight * tokens.mean(0)


def _moments(tokens: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
    weight = goal.std(0) / tokens.std(0).clamp(min=1e-6)
    return weight, goal.mean(0) - weight * tokens.mean(0)


def _scale(tokens: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
    weight = ((tokens * goal).sum() / tokens.square().sum().clamp(min=1e-12)).expand(tokens.shape[1])
    return weight, torch.zeros_like(weight)


METHODS: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = dict(
    least_squares=_least_squares, moments=_moments, scale=_scale)


@torch.no_grad()
def calibrate(teacher: Teacher, images: Sequence[Tensor], method: str = 'least_squares', anchor: float = ANCHOR,
              outputs: Collection[int] = ()) -> list[Fit]:
    """Sets an encoder's read and write norms so that its process stream is the ViT's residual stream again.

    Block by block, on what the calibrated blocks before give: a norm's weight and bias are those with which its
    normalised tokens come nearest to the ViT's own at that place. Anchors keep what a norm would lose: see `Anchor`.

    Args:
        teacher: The ViT, with the encoder that was started from it.
        images: Batches (B, channels, H, W), normalised as in training.
        method: `'least_squares'` per channel; `'moments'`, mean and scale per channel; `'scale'`, one number.
        anchor: See `Anchor`; 0 for none.
        outputs: Blocks whose streams are taken as maps, which have no anchor on them.

    Returns:
        One fit per norm that was calibrated.
    """
    encoder, solve, fits = teacher.encoder, METHODS[method], []
    streams = [encoder.embed(batch) for batch in images]
    goals = [teacher.begin(process) for process, _ in streams]
    ropes = [encoder.rotary(encoder.grids(*batch.shape[2:])[0]) for batch in images]
    anchors = Anchor(encoder, anchor)
    if teacher.norm_pre is None:
        anchors.on_embeddings(goals)
        streams = [encoder.embed(batch) for batch in images]
    last = len(encoder.blocks) - 1
    for number, block in enumerate(encoder.blocks):
        if number or teacher.norm_pre is None:
            fits.append(_fit(f'blocks.{number}.read_norm', block.read_norm, streams, [
                teacher.patches(goal) for goal in goals], solve, partial(_read, encoder, block)))
        normed = [(block.read_norm(process), block.read_norm(memory)) for process, memory in streams]
        goals = [teacher.step(block, goal, rope) for goal, rope in zip(goals, ropes, strict=True)]
        finished = number == last and teacher.norm is not None
        constant = None if finished else anchors.on_block(block, goals)
        streams = [(teacher.encode(block, _read(encoder, block, process, memory), rope), memory)
                   for (process, memory), rope in zip(normed, ropes, strict=True)]
        stays = constant is not None and number < last and number not in outputs
        if not finished:
            fits.append(_fit(f'blocks.{number}.write_norm', block.write_norm, streams, [
                teacher.patches(goal) + (constant if stays else 0.0) for goal in goals], solve))
        if number < last:
            streams = [(block.write_norm(process), block.write_norm(memory)) for process, memory in streams]
            if stays:
                anchors.on_memory(block, streams, constant, goals)
            streams = [(process, block.memory_mlp(encoder.write_fusion(
                memory, block.write_head(target=memory, source=process)))) for process, memory in streams]
    return fits


def _read(encoder: ViTTMEncoder, block: ViTTMBlock, process: Tensor, memory: Tensor) -> Tensor:
    return encoder.read_fusion(process, block.read_head(target=process, source=memory))


class Anchor:
    """Constants on the streams, so that the norms keep how long a token is.

    A norm makes all tokens equally long, and the ViT's residual stream does not have them so. A constant vector that
    outweighs a token makes the norm divide all tokens by nearly the same number: its weight then undoes the division,
    its bias takes the constant away. So it goes, for each read norm, from the embeddings' bias or the write norm
    before it, and for each write norm from the bias of the encoder's last layer; memory gets it from the bias of the
    write head, at the place where process tokens have theirs. Nothing but biases holds it.

    Where a branch is dropped in training (stochastic depth), so would its bias be: such a block has none.

    Args:
        encoder: The encoder.
        power: Mean square of the constant over that of the ViT's residual stream; 0 for none.
    """

    def __init__(self, encoder: ViTTMEncoder, power: float):
        self.encoder, self.power = encoder, power

    def _constant(self, goals: Sequence[Tensor], scale: Tensor | None = None) -> Tensor:
        """Returns the constant (C,), of both signs, on the channels that LayerScale leaves largest."""
        channels = torch.arange(self.encoder.embed_dims) if scale is None else scale.abs().cpu().argsort(
            descending=True)[:max(2, len(scale) // 4 * 2)].sort().values
        constant = torch.zeros(self.encoder.embed_dims)
        constant[channels] = (self.power * self.encoder.embed_dims / len(channels)) ** 0.5
        constant[channels[1::2]] *= -1.0
        squares = torch.cat([goal.flatten() for goal in goals]).square().mean()
        return constant.to(squares) * squares.sqrt()

    def on_embeddings(self, goals: Sequence[Tensor]) -> None:
        """Adds it to the embeddings' biases."""
        for stream in (self.encoder.process_stream, self.encoder.memory_stream):
            if self.power and hasattr(stream, 'proj'):
                stream.proj.bias.add_(self._constant(goals))

    def on_block(self, block: ViTTMBlock, goals: Sequence[Tensor]) -> Tensor | None:
        """Adds it to the bias of a block's last layer, and returns it (C,); None where it cannot stay there."""
        encoder = block.encoder
        scale = getattr(encoder, 'gamma_2', None)
        scale = getattr(getattr(encoder, 'ls2', None), 'gamma', scale)
        if not self.power or getattr(encoder.drop_path2, 'drop_prob', 0.0):
            return None
        constant = self._constant(goals, scale)
        used = constant != 0
        if scale is not None and scale[used].abs().min() < LEAST_SCALE:
            return None
        encoder.mlp.fc2.bias[used] += constant[used] / (1.0 if scale is None else scale[used])
        return constant

    def on_memory(self, block: ViTTMBlock, streams: Streams, constant: Tensor, goals: Sequence[Tensor]) -> None:
        """Adds it to what a block writes, in proportion to the memory, where the head has a bias for it."""
        layer = getattr(block.write_head, last_layer(block.write_head))
        if not isinstance(layer, nn.Linear) or not isinstance(self.encoder.write_fusion, Add):
            return
        memory = torch.cat([memory.flatten(0, 1) for _, memory in streams])
        goal = torch.cat([goal.flatten() for goal in goals])
        longer = (memory - memory.mean(0)).square().mean().sqrt() / goal.square().mean().sqrt()
        layer.bias.copy_(longer * constant - memory.mean(0))


def _fit(name: str, norm: nn.LayerNorm, streams: Streams, target: Sequence[Tensor], solve: Callable,
         use: Callable[[Tensor, Tensor], Tensor] = lambda process, memory: process) -> Fit:
    """Fits one norm. What `use` makes of the normalised streams is linear in its weight and bias at a warm start."""
    tokens = torch.cat([use(_layer_norm(process), _layer_norm(memory)).flatten(0, 1) for process, memory in streams])
    goal = torch.cat([one.flatten(0, 1) for one in target])
    ones = torch.ones_like(streams[0][0]), torch.ones_like(streams[0][1])
    through = use(*ones).mean()  # how often the bias gets through
    before = tokens * norm.weight + through * norm.bias
    weight, bias = solve(tokens.double(), goal.double())
    norm.weight.copy_(weight)
    norm.bias.copy_(bias / through)
    return Fit(name, relative_error(before, goal), relative_error(tokens * norm.weight + through * norm.bias, goal))


def relative_error(tokens: Tensor, goal: Tensor) -> float:
    """Returns the length of all differences over the length of all goals."""
    return ((tokens - goal).norm() / goal.norm().clamp(min=1e-12)).item()
