"""How images were normalised for a ViT, and its patch embedding on images that are normalised otherwise."""
import json
import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from ...errors import InputError
from ...vittm.streams import to_pair

HALF = ((127.5, ) * 3, (127.5, ) * 3)
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
OPENAI = ((122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305))
SETTINGS_LIMIT = 2**18  # characters of the settings in a checkpoint of ours that are read


class Images(NamedTuple):
    """How images were normalised for a ViT, by channel, in the units of pixels (0 to 255)."""
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def checked(cls, mean: Sequence[float] | None, std: Sequence[float] | None) -> 'Images':
        """Returns what a config gives.

        Raises:
            InputError: They are not both as many numbers, the second positive.
        """
        try:
            images = cls(tuple(map(float, mean)), tuple(map(float, std)))
        except (TypeError, ValueError):
            images = cls((), ())
        if not 0 < len(images.mean) == len(images.std) or not all(
                map(math.isfinite, (*images.mean, *images.std))) or min(images.std) <= 0:
            raise InputError('WarmStart: mean and std must be given together, a number per channel each, from 0 to '
                             f'255, got mean={mean!r} and std={std!r}')
        return images


def trained_with(content: Any) -> tuple[Images | None, bool | None, tuple[int, int] | None]:
    """Returns how images were normalised in a training of ours, whether they were RGB, and the model's `img_size`.

    Its checkpoint says so in plain text; None for what it does not say.
    """
    meta = content.get('meta') if isinstance(content, dict) else None
    text = meta.get('settings') if isinstance(meta, dict) else None
    if not isinstance(text, str) or len(text) > SETTINGS_LIMIT:
        return None, None, None
    try:
        settings = json.loads(text)
        model = settings.get('model') or {}
        given = model.get('data_preprocessor') or settings.get('data_preprocessor')
        size = (model.get('backbone') or {}).get('img_size')
        rgb = given.get('type') == 'BandsPreProcessor' or bool(  # LoadBands reads files as RGB, others as BGR
            given.get('bgr_to_rgb') or given.get('rgb_to_bgr'))
        return Images.checked(given['mean'], given['std']), rgb, None if size is None else to_pair(size, 'img_size')
    except (AttributeError, InputError, KeyError, RecursionError, TypeError, ValueError):
        return None, None, None


@torch.no_grad()
def fold_images(embedding: nn.Conv2d, theirs: Images, ours: Images,
                positions: tuple[nn.Parameter, int] | None = None) -> None:
    """Has a patch embedding compute on images of one normalisation what it did on those of another.

    Args:
        embedding: The patch embedding.
        theirs: The normalisation that it was trained with.
        ours: That of the images it is to take.
        positions: Where it has no bias, position embeddings (1, N, C) and their first patch, which take it.

    Raises:
        InputError: The numbers of channels differ.
    """
    channels = embedding.weight.shape[1]
    if not channels == len(theirs.mean) == len(ours.mean):
        raise InputError(f'a warm start: the ViT has images of {len(theirs.mean)} channels, the data_preprocessor of '
                         f'{len(ours.mean)}, the model of {channels}; give them the same')
    tensor = partial(torch.tensor, dtype=torch.float64, device=embedding.weight.device)
    scale = tensor(ours.std) / tensor(theirs.std)
    shift = (tensor(ours.mean) - tensor(theirs.mean)) / tensor(theirs.std)
    kernel = embedding.weight.double()
    constant = torch.einsum('cihw,i->c', kernel, shift)
    embedding.weight.copy_(kernel * scale[:, None, None])
    if embedding.bias is not None:
        embedding.bias.add_(constant)
    else:
        positions[0][:, positions[1]:].add_(constant)


def differ(one: Images, other: Images) -> bool:
    """Tells whether two normalisations are not the same, but for rounding."""
    if len(one.mean) != len(other.mean):
        return True
    pairs = zip((*one.mean, *one.std), (*other.mean, *other.std), strict=True)
    return any(abs(left - right) > 1e-3 for left, right in pairs)


def shown_numbers(values: Sequence[float]) -> str:
    """Returns a mean or standard deviation for a message."""
    return ', '.join(f'{value:.5g}' for value in values)
