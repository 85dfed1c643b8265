"""How close a warm-started process stream is to the ViT's own features, and the memory to what it was."""
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...vittm import ViTTMEncoder
from .calibration import relative_error


class Closeness(NamedTuple):
    """How close tokens are to the ViT's at one place.

    Attributes:
        cosine: The mean over tokens of their cosine with the ViT's token of the same patch.
        error: The length of all differences over the length of all of the ViT's tokens.
    """
    cosine: float
    error: float


@torch.no_grad()
def closeness(encoder: ViTTMEncoder, images: Sequence[Tensor], goals: Sequence[Sequence[Tensor]]) -> list[Closeness]:
    """Returns how close the process stream is to the ViT's own features on the same grid of patches.

    Measured where the ViT's blocks compute: at what enters each block's encoder, after the read; and last at the
    stream that comes out.

    Args:
        encoder: The encoder.
        images: Batches (B, channels, H, W).
        goals: The ViT's features (B, Np, C) of each batch, of `Teacher.features`.

    Returns:
        One entry per block, and one for the output.
    """
    entered, ours = [], []
    hooks = [block.encoder.register_forward_pre_hook(lambda module, inputs: entered.append(inputs[0]))
             for block in encoder.blocks]
    try:
        for batch in images:
            entered.clear()
            process, _ = encoder(batch)
            ours.append([*entered, process])
    finally:
        for hook in hooks:
            hook.remove()
    return [compare(torch.cat([one.flatten(0, 1) for one in left]), torch.cat([one.flatten(0, 1) for one in right]))
            for left, right in zip(zip(*ours, strict=True), zip(*goals, strict=True), strict=True)]


@torch.no_grad()
def memory_closeness(encoder: ViTTMEncoder, images: Sequence[Tensor], embedded: Sequence[Tensor]) -> Closeness:
    """Returns how close the memory tokens that the last block reads are to others.

    Args:
        encoder: The encoder.
        images: Batches (B, channels, H, W).
        embedded: Memory tokens (B, Nm, C) of each, as they were embedded before a calibration.
    """
    read = []
    hook = encoder.blocks[-1].read_head.register_forward_pre_hook(
        lambda module, inputs, named: read.append(named['source']), with_kwargs=True)
    try:
        for batch in images:
            encoder(batch)
    finally:
        hook.remove()
    return compare(*(torch.cat([one.flatten(0, 1) for one in tokens]) for tokens in (read, embedded)))


def compare(tokens: Tensor, goal: Tensor) -> Closeness:
    """Returns how close tokens (N, C) are to others."""
    return Closeness(torch.cosine_similarity(tokens, goal, dim=1).mean().item(), relative_error(tokens, goal))
