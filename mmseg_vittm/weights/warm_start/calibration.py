"""The calibration: read and write norms that give the ViT's own residual stream back, block by block."""
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...vittm import ViTTMEncoder
from ...vittm.block import ViTTMBlock
from .anchor import POWER, Anchor, Streams
from .teacher import Teacher, layer_norm


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


class Calibrated(NamedTuple):
    """What a calibration set.

    Attributes:
        fits: One per norm whose weight and bias it set.
        biases: Names of the biases that hold anchors.
    """
    fits: list[Fit]
    biases: list[str]


def _least_squares(tokens: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
    centred = tokens - tokens.mean(0)
    weight = (centred * (goal - goal.mean(0))).sum(0) / centred.square().sum(0).clamp(min=1e-12)
    return weight, goal.mean(0) - weight * tokens.mean(0)


@torch.no_grad()
def calibrate(teacher: Teacher, images: Sequence[Tensor], anchor: float = POWER,
              outputs: Collection[int] = ()) -> Calibrated:
    """Sets an encoder's read and write norms so that its process stream is the ViT's residual stream again.

    Block by block, on what the calibrated blocks before give: a norm's weight and bias are those with which its
    normalised tokens come nearest to the ViT's own at that place (least squares, per channel).

    Args:
        teacher: The ViT, with the encoder that was started from it.
        images: Batches (B, channels, H, W), normalised as in training.
        anchor: Power of the anchors, see `Anchor`; 0 for none.
        outputs: Blocks whose streams are taken as maps, which have no anchor on them.
    """
    encoder, fits = teacher.encoder, []
    streams = [encoder.embed(batch) for batch in images]
    embedded = [memory for _, memory in streams]
    whole = [teacher.begin(process) for process, _ in streams]  # with the prefix tokens
    goals = [teacher.patches(one) for one in whole]
    ropes = [encoder.rotary(encoder.grids(*batch.shape[2:])[0]) for batch in images]
    anchors = Anchor(encoder, anchor)
    if teacher.norm_pre is None:
        anchors.on_embeddings(goals)
        streams = [encoder.embed(batch) for batch in images]
    constant = None
    last = len(encoder.blocks) - 1
    for number, block in enumerate(encoder.blocks):
        read = partial(_read, encoder, block)
        if number or teacher.norm_pre is None:
            fits.append(_fit(f'blocks.{number}.read_norm', block.read_norm, streams, goals, read))
        if number and anchors.power:
            streams = anchors.on_memory(number - 1, streams, embedded, constant, goals, block.read_norm)
        streams = [(block.read_norm(process), block.read_norm(memory)) for process, memory in streams]
        whole = [teacher.step(block, one, rope) for one, rope in zip(whole, ropes, strict=True)]
        goals = [teacher.patches(one) for one in whole]
        finished = number == last and teacher.norm is not None  # the ViT's own last norm is the write norm
        constant = anchors.constant(goals)
        if not finished:
            anchors.on_block(number, goals, constant)
        streams = [(teacher.encode(block, read(process, memory), rope), memory)
                   for (process, memory), rope in zip(streams, ropes, strict=True)]
        constant = constant * float(number < last and number not in outputs)
        if not finished:
            fits.append(_fit(f'blocks.{number}.write_norm', block.write_norm, streams,
                             [goal + constant for goal in goals]))
        streams = [(block.write_norm(process), block.write_norm(memory)) for process, memory in streams]
        if block.write_head is not None:
            streams = [(process, block.memory_mlp(encoder.write_fusion(
                memory, block.write_head(target=memory, source=process)))) for process, memory in streams]
    if anchors.power and encoder.blocks[last].write_head is not None:
        anchors.on_memory(last, streams, embedded, constant, goals, None)
    return Calibrated(fits, anchors.biases)


def _read(encoder: ViTTMEncoder, block: ViTTMBlock, process: Tensor, memory: Tensor) -> Tensor:
    """Returns process tokens with what they read, (B, Np, C)."""
    return encoder.read_fusion(process, block.read_head(target=process, source=memory))


def _fit(name: str, norm: nn.LayerNorm, streams: Streams, target: Sequence[Tensor],
         use: Callable[[Tensor, Tensor], Tensor] = lambda process, memory: process) -> Fit:
    """Fits one norm. What `use` makes of the normalised streams is linear in its weight and bias at a warm start."""
    tokens = torch.cat([use(layer_norm(process), layer_norm(memory)).flatten(0, 1) for process, memory in streams])
    goal = torch.cat([one.flatten(0, 1) for one in target])
    ones = torch.ones_like(streams[0][0]), torch.ones_like(streams[0][1])
    through = use(*ones).mean()  # how often the bias gets through
    before = tokens * norm.weight + through * norm.bias
    weight, bias = _least_squares(tokens.double(), goal.double())
    norm.weight.copy_(weight)
    norm.bias.copy_(bias / through)
    return Fit(name, relative_error(before, goal), relative_error(tokens * norm.weight + through * norm.bias, goal))


def relative_error(tokens: Tensor, goal: Tensor) -> float:
    """Returns the length of all differences over the length of all goals."""
    return ((tokens - goal).norm() / goal.norm().clamp(min=1e-12)).item()
