"""Whole models from checkpoints: read safely, loaded strictly."""
import re
from collections import OrderedDict
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import CheckpointLoader
from mmseg.apis import init_model
from mmseg.registry import DATASETS
from torch import Tensor, nn

from ..errors import CheckpointError
from .files import check_dataset_meta, check_weights
from .safe_pickle import shown

DATASET_META = 'dataset_meta'
FIRST = 5  # names of weights that an error lists


def read_checkpoint(path: str, map_location: Any = 'cpu', allow_partial: bool = True) -> dict:
    """Reads a checkpoint of a whole model, without running code in it.

    Args:
        path: A `.pth` file of mmengine's Runner, or a `.safetensors` file of `tools/convert_checkpoint.py`.
        map_location: As in `torch.load`.
        allow_partial: Whether a `.pth` file may be without `meta`, which every Runner writes.

    Returns:
        A dict with `state_dict` and `meta`, and what else the Runner saved.

    Raises:
        CheckpointError: The file cannot be read, or is no such checkpoint.
    """
    checkpoint = CheckpointLoader.load_checkpoint(path, map_location, logger='silent')
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get('state_dict'), dict):
        raise CheckpointError(f"{path}: no checkpoint of a whole model, it has no 'state_dict'; backbone weights are "
                              'loaded by --pretrained or init_cfg')
    check_weights(checkpoint['state_dict'], path)
    if 'meta' not in checkpoint and not allow_partial:
        raise CheckpointError(f"{path}: no checkpoint of a training run, it has no 'meta'; --allow-partial loads its "
                              "weights, with the classes of the config's data set")
    check_dataset_meta(checkpoint.setdefault('meta', {}).get(DATASET_META), path)
    return checkpoint


def load_weights(model: nn.Module, state: dict[str, Tensor], path: str, allow_partial: bool = False,
                 revise_keys: tuple = ((r'^module\.', ''),)) -> None:
    """Copies weights into a model: all of its own, and nothing left over.

    Args:
        model: Takes the weights; may be wrapped for several processes or test-time augmentation.
        state: Weights by name.
        path: The file, for messages.
        allow_partial: Load what fits, and log what does not.
        revise_keys: Pattern and replacement, for the names.

    Raises:
        CheckpointError: Weights are missing, unexpected, or of another shape or kind of number; says how many, and
            names the first. With `allow_partial`: nothing fits.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    own, fitting, misfits = model.state_dict(), OrderedDict(), {}
    for name, tensor in state.items():
        for pattern, replacement in revise_keys:
            name = re.sub(pattern, replacement, name)
        if name in own and _numbers(tensor) != _numbers(own[name]):
            misfits[name] = f'{name} {_numbers(tensor)}, here {_numbers(own[name])}'
        else:
            fitting[name] = tensor
    if hasattr(state, '_metadata'):
        fitting._metadata = state._metadata  # versions of modules: some rename old weights by them
    try:
        result = model.load_state_dict(fitting, strict=False)
    except RuntimeError as error:
        reason = ' '.join(str(error).split())
        raise CheckpointError(f'{path} does not fit the model of this config: {reason}') from error
    missing = [name for name in result.missing_keys
               if name not in misfits and not name.endswith('num_batches_tracked')]
    groups = (('missing', missing), ('unexpected', result.unexpected_keys),
              ('of another shape', [*misfits.values()]))
    problems = '; '.join(f'{title} ({len(names)}): {", ".join(map(shown, names[:FIRST]))}'
                         f'{", ..." if len(names) > FIRST else ""}' for title, names in groups if names)
    if not problems:
        return
    if not allow_partial:
        raise CheckpointError(f'{path} does not fit the model of this config: {problems}. Give the config that it was '
                              'trained with, or --allow-partial to load what fits')
    if len(fitting) == len(result.unexpected_keys):
        raise CheckpointError(f'{path}: nothing in it fits the model of this config: {problems}')
    MMLogger.get_current_instance().warning(f'{path} was loaded in part. {problems}')


def _numbers(tensor: Tensor) -> str:
    """Returns the shape and the kind of numbers of a tensor, whose precision may differ."""
    kind = '' if tensor.is_floating_point() else 'complex ' if tensor.is_complex() else 'integer '
    return f'{kind}{tuple(tensor.shape)}'


def load_model(config: Config, path: str, device: str, allow_partial: bool = False) -> nn.Module:
    """Builds the segmentor of a config with a checkpoint's weights, ready for `mmseg.apis.inference_model`.

    Args:
        config: The config; stays as it is.
        path: The checkpoint, see `read_checkpoint`.
        device: Such as `'cpu'` or `'cuda:0'`.
        allow_partial: Load what fits, and log what does not.

    Raises:
        CheckpointError: The checkpoint cannot be read, or does not fit the model exactly.
    """
    checkpoint = read_checkpoint(path, allow_partial=allow_partial)
    model = init_model(config.copy(), device='cpu')
    load_weights(model, checkpoint['state_dict'], path, allow_partial)
    meta = checkpoint['meta'].get(DATASET_META) or {}
    if not meta.get('classes') or meta.get('palette') is None or len(meta['palette']) == 0:
        meta = DATASETS.get(config.test_dataloader.dataset.type).METAINFO
    model.dataset_meta = dict(meta)
    return model.to(torch.device(device)).eval()
