"""The networks of classifiers: timm's models, with one head or two."""
import difflib

import timm
from torch import Tensor, nn

from .. import vittm  # noqa: F401  (registers ViTTM with timm)
from ..errors import InputError


def build_network(model_name: str, num_classes: int, img_size: int | tuple[int, int] | None, drop_path_rate: float,
                  model_args: dict | None = None) -> nn.Module:
    """Builds a model of timm with random weights.

    Args:
        model_name: Its name, such as `'vittm_base_patch28_224'`.
        num_classes: Classes of its head, or heads.
        img_size: Input in pixels, an int or (height, width); None is the model's own.
        drop_path_rate: Stochastic depth of the last block; 0 is for models too that take no such argument.
        model_args: More arguments of the model, as timm's `create_model` takes them.

    Raises:
        ValueError: timm has no such model, or it refuses an argument; says which.
    """
    if not isinstance(model_name, str) or not timm.is_model(model_name):
        near = difflib.get_close_matches(str(model_name), timm.list_models(), 3, 0.5)
        raise ValueError(f'model_name: timm has no {model_name!r}; '
                         + (f'the nearest are {", ".join(near)}' if near else 'timm.list_models() has them all'))
    if type(num_classes) is not int or num_classes < 2:
        raise ValueError(f'num_classes must be a whole number from 2 on, got {num_classes!r}')
    if not 0 <= drop_path_rate < 1:
        raise ValueError(f'drop_path_rate must be in [0, 1), got {drop_path_rate!r}')
    own = dict(num_classes=num_classes, img_size=img_size, drop_path_rate=drop_path_rate)
    twice = sorted(set(own) & set(model_args or {}))
    if twice:
        raise ValueError(f'model_args has {", ".join(twice)}, which the classifier takes itself; set it there')
    weights = sorted({'pretrained', 'checkpoint_path'} & set(model_args or {}))
    if weights:
        raise ValueError(f"model_args has {weights[0]}: set init_cfg=dict(type='Pretrained', checkpoint=PATH) instead")
    asked = {name: value for name, value in own.items() if value is not None and (name, value) != ('drop_path_rate', 0)}
    try:
        return timm.create_model(model_name, **asked, **(model_args or {}))
    except (AssertionError, TypeError) as error:
        raise ValueError(f'{model_name} refuses an argument of img_size, drop_path_rate and model_args: {error}; those '
                         'that it does not take are left out by img_size=None and drop_path_rate=0') from error


def head_logits(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Returns the logits (B, K) of each head of images (B, 3, H, W), by its name; that of a single head is empty.

    Raises:
        InputError: The images have another size than the model takes.
    """
    if hasattr(network, 'forward_heads'):
        process, memory = network.forward_heads(images)
        return dict(process=process, memory=memory)
    embedding = getattr(network, 'patch_embed', None)
    size = getattr(embedding, 'img_size', None)
    if getattr(embedding, 'strict_img_size', False) and size and tuple(size) != tuple(images.shape[2:]):
        raise InputError(f'images of {images.shape[2]} x {images.shape[3]} pixels for a model of {size[0]} x '
                         f'{size[1]}; set model.img_size and image_size of TimmTransform to the same')
    return {'': network(images)}


def head_prefixes(network: nn.Module) -> tuple[str, ...]:
    """Returns how the names of the weights of a network's heads begin."""
    heads = (getattr(network, 'pretrained_cfg', None) or {}).get('classifier') or ()
    return tuple(f'{name}.' for name in ([heads] if isinstance(heads, str) else heads))
