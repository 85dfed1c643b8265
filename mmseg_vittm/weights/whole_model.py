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

from ..errors import CheckpointError, InputError, one_line
from ..vittm.fitting import TRAINED
from .dataset_meta import check_classes, check_dataset_meta
from .mmengine_loader import use_safe_reading
from .report import LoadReport
from .state_dicts import check_weights
from .strict import load_weights

DATASET_META = 'dataset_meta'


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
    use_safe_reading()
    checkpoint = CheckpointLoader.load_checkpoint(path, map_location, logger='silent')
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get('state_dict'), dict):
        raise CheckpointError(f"{path}: no checkpoint of a whole model, it has no 'state_dict'; backbone weights are "
                              'loaded by init_cfg')
    check_weights(checkpoint['state_dict'], path)
    if 'meta' not in checkpoint and not allow_partial:
        raise CheckpointError(f"{path}: no checkpoint of a training run, it has no 'meta'; allow_partial=True loads "
                              "its weights, with the classes of the config's data set")
    check_dataset_meta(checkpoint.setdefault('meta', {}).get(DATASET_META), path)
    return checkpoint


def load_model_weights(model: nn.Module, state: dict[str, Tensor], path: str, allow_partial: bool = False,
                       revise_keys: tuple = ((r'^module\.', ''),)) -> None:
    """Copies a checkpoint's weights into a model, see `load_weights`; what does not fit in part is logged.

    Args:
        model: Takes the weights; may be wrapped for several processes or test-time augmentation.
        state: Weights by name.
        path: The file, for messages.
        allow_partial: Load what fits, and log what does not.
        revise_keys: Pattern and replacement, for the names.

    Raises:
        CheckpointError: See `load_weights`.
    """
    model = unwrapped(model)
    revised = OrderedDict()
    for name, tensor in state.items():
        for pattern, replacement in revise_keys:
            name = re.sub(pattern, replacement, name)
        revised[name] = tensor
    if any(f'{TRAINED}{name}' in model.state_dict() for name in revised):  # a classifier's, converted: of timm's names
        revised = OrderedDict((f'{TRAINED}{name}', tensor) for name, tensor in revised.items())
    elif hasattr(state, '_metadata'):
        revised._metadata = state._metadata
    problems = load_weights(model, revised, LoadReport(path), allow_partial=allow_partial)
    if problems:
        MMLogger.get_current_instance().warning(f'{path} was loaded in part. {problems}')


def unwrapped(model: nn.Module) -> nn.Module:
    """Returns a model without what wraps it for several processes or test-time augmentation."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def load_model(config: Config | str, path: str, device: str = 'cpu', allow_partial: bool = False) -> nn.Module:
    """Builds the segmentor of a config with a checkpoint's weights, ready for `mmseg.apis.inference_model`.

    Args:
        config: The config, which stays as it is; or the path of its file.
        path: The checkpoint, see `read_checkpoint`.
        device: Such as `'cpu'` or `'cuda:0'`.
        allow_partial: Load what fits, and log what does not.

    Raises:
        CheckpointError: The checkpoint cannot be read, or does not fit the model exactly: its weights, or the number of
            its classes.
        InputError: There is no such device, or config file.
    """
    try:
        torch.empty(0, device=device)
    except (AssertionError, ImportError, NotImplementedError, RuntimeError) as error:
        raise InputError(f'device={device}: no such device here ({one_line(error)}); give cpu, cuda or cuda:N'
                         ) from error
    try:
        config = config if isinstance(config, Config) else Config.fromfile(config)
    except FileNotFoundError as error:
        raise InputError(f'{config}: no such config file; those of this project are in configs/') from error
    if config.get('model') is None:
        raise InputError(f'{config.filename}: has no model; give a whole config, not one of its parts')
    checkpoint = read_checkpoint(path, allow_partial=allow_partial)
    model = init_model(config.copy(), device='cpu')
    load_model_weights(model, checkpoint['state_dict'], path, allow_partial)
    meta = checkpoint['meta'].get(DATASET_META) or {}
    if allow_partial:
        meta = _fitting_meta(meta, model, path)
    else:
        check_classes(meta, model, path)
    if not meta.get('classes') or meta.get('palette') is None or len(meta['palette']) == 0:
        kind = ((config.get('test_dataloader') or {}).get('dataset') or {}).get('type')
        meta = getattr(DATASETS.get(kind) if isinstance(kind, str) else kind, 'METAINFO', meta)
    model.dataset_meta = dict(meta)
    return model.to(device).eval()


def _fitting_meta(meta: dict, model: nn.Module, path: str) -> dict:
    """Returns the classes of a checkpoint where they are the model's; else logs why not, and returns none."""
    try:
        check_classes(meta, model, path)
    except CheckpointError as error:
        MMLogger.get_current_instance().warning(f'{error}; the classes of the config are taken')
        return {}
    return meta
