"""Segmentors made ready to be measured: on their device, optimised or compiled."""
from dataclasses import dataclass

import torch
from mmengine.config import Config
from torch import nn

from ...errors import InputError
from ...inference.fast import is_optimizable, optimize
from ..complexity.counting import meta_copy
from ..segmentors import build_segmentor
from .stages import parts


@dataclass(frozen=True)
class Settings:
    """How a config is measured: what `tools/benchmark.py` was told."""
    device: torch.device
    dtype: str = 'fp32'
    compile: bool = False
    batch_size: int = 1
    throughput: bool = False
    real: bool = False
    image_size: tuple[int, int] | None = None
    allow_partial: bool = False


@dataclass(frozen=True)
class Built:
    """A segmentor on its device, and where it came from.

    Attributes:
        model: The segmentor, optimised or compiled as the settings have it.
        blueprint: Its `meta_copy` from before that, to count with.
        path: The config as the user named it.
        cfg: The config.
        checkpoint: Its weights; None where they are random.
    """
    model: nn.Module
    blueprint: nn.Module
    path: str
    cfg: Config
    checkpoint: str | None = None


def build_for_measuring(path: str, cfg: Config, settings: Settings, checkpoint: str | None = None) -> Built:
    """Builds a config's segmentor as it is measured: a SlideSegmentor is optimised, any other is run as it is.

    Args:
        path: The config as the user named it.
        cfg: The config.
        settings: Device, precision and compilation.
        checkpoint: Weights; None for random ones, which take as long.

    Raises:
        CheckpointError: The checkpoint cannot be read, or does not fit the model exactly.
        InputError: The model cannot be built or compiled.
    """
    model = build_segmentor(cfg, checkpoint, settings.allow_partial)
    blueprint = meta_copy(model)
    model.to(settings.device)
    if is_optimizable(model):
        optimize(model, settings.dtype, settings.compile)
    elif settings.compile:
        compile_parts(model)
    return Built(model, blueprint, path, cfg, checkpoint)


def compile_parts(model: nn.Module) -> None:
    """Compiles a segmentor's backbone, neck and decode head; what surrounds them stays eager.

    Raises:
        InputError: It has no such parts.
    """
    found = list(parts(model))
    if not found:
        raise InputError(f'compile=True: {type(model).__name__} has no backbone and decode head to compile; leave it '
                         'out')
    for part, _ in found:
        part.forward = torch.compile(part.forward)
