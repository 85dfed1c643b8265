"""What to train, by the laboratory's recommendation (docs/laboratory.md): model, crop, scale, batch and iterations."""
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

ASPECT = 4  # longer side over shorter, at most: what is longer is scaled down to it
STEP = 32  # pixels: what crops are multiples of


class Budget(NamedTuple):
    """What a machine can train.

    Attributes:
        name: Its name.
        meant_for: What machine it is meant for.
        about: The model, in words.
        base: The config of the model, in configs/.
        backbone: Its settings in Python, beside the input's size and channels.
        head: Those of the decode head, beside the classes.
        tokens: Pixels of a process token, of which a crop has a whole number.
        crop: Pixels of a crop's side.
        short_side: Images are scaled to so many pixels of the shorter side, at most.
        batch: Images of an iteration, of all processes.
        passes: Times that each image is seen.
        least: Iterations, at least.
        most: Iterations, at most.
        lr: Learning rate of AdamW.
        workers: Processes that read data.
        weights: What to begin from.
    """
    name: str
    meant_for: str
    about: str
    base: str
    backbone: str
    head: str
    tokens: int
    crop: int
    short_side: int
    batch: int
    passes: int
    least: int
    most: int
    lr: float
    workers: int
    weights: str


BUDGETS = {budget.name: budget for budget in (
    Budget('cpu', 'two CPU cores, up to an hour',
           'ViTTM(32/8), cells, memory MLP: 6 layers of width 192, as fast as ViT/16 and better from random weights',
           '_base_/models/laboratory_vittm.py',
           "process_patch_size=32, memory_patch_size=8, read_write_head='cell', memory_mlp_ratio=0.5", '',
           32, 192, 360, 8, 60, 400, 4000, 1e-3, 1, 'random weights'),
    Budget('small', 'a GPU of 16 GB',
           'ViTTM-S(16/8), cells: 12 layers of width 384; the most accurate of the laboratory if begun from a ViT/16',
           '_base_/models/segmenter_vittm.py',
           "arch='small', process_patch_size=16, memory_patch_size=8, read_write_head='cell'",
           'in_channels=768, channels=384, embed_dims=384, num_heads=6',
           16, 512, 512, 16, 100, 4000, 40000, 1e-4, 8, '--warm-start vit_small_patch16_224.augreg_in21k'),
    Budget('base', 'a GPU of 40 GB or several',
           'ViTTM-B(49, 196), cells: 12 layers of width 768, process tokens of 32 pixels, memory tokens of 16',
           '_base_/models/segmenter_vittm.py',
           "process_patch_size=32, memory_patch_size=16, read_write_head='cell'", '',
           32, 512, 512, 16, 120, 8000, 160000, 1e-4, 8, '--warm-start vit_base_patch16_224.augreg_in21k'),
)}


class Settings(NamedTuple):
    """What follows from a budget and the data.

    Attributes:
        scale: (longer, shorter) side in pixels that images are scaled to, at most; None where they keep their size.
        is_scaled: Whether images are scaled in testing.
        crop: (height, width) of crops, in pixels.
        stride: Step from one window to the next in testing, (height, width).
        batch: Images of an iteration.
        iterations: Number of iterations.
        interval: Iterations from one validation and checkpoint to the next.
        warm_up: Iterations in which the learning rate rises.
    """
    scale: tuple[int, int] | None
    is_scaled: bool
    crop: tuple[int, int]
    stride: tuple[int, int]
    batch: int
    iterations: int
    interval: int
    warm_up: int


def settings_for(budget: Budget, sizes: Sequence[tuple[int, int]], images: int, keep_scale: bool) -> Settings:
    """Returns the settings for a data set.

    Args:
        budget: The budget.
        sizes: (height, width) of its images.
        images: Number of those that train.
        keep_scale: Images keep their size, because a pixel of them has a size of its own (satellite, microscopy).
    """
    sides = np.sort(np.asarray(sizes), axis=1)  # shorter, longer
    short = float(np.median(sides[:, 0]))
    if keep_scale:
        scale, target = None, short
    else:
        target = min(short, float(budget.short_side))
        factor = target / short
        aspect = min(float((sides[:, 1] / sides[:, 0]).max()), ASPECT)
        same = (sides == sides[0]).all()
        longer = sides[0, 1] * factor if same else max(aspect * target, target)
        scale = round(longer), round(target)
    crop_side = max(budget.tokens, min(budget.crop, _floor(target, budget.tokens)))
    iterations = min(max(budget.passes * images / budget.batch, budget.least), budget.most)
    iterations = int(math.ceil(iterations / 100) * 100)
    stride = max(budget.tokens, _floor(crop_side * 2 / 3, budget.tokens))
    is_scaled = not (keep_scale or (sides == sides[0]).all() and tuple(sides[0][::-1]) == scale)
    return Settings(scale, is_scaled, (crop_side, crop_side), (stride, stride), min(budget.batch, max(2, images)),
                    iterations, max(100, iterations // 5), min(100 if budget.name == 'cpu' else 1500, iterations // 10))


def _floor(value: float, step: int) -> int:
    return int(value // step) * step
