"""Segmentors as configs describe them, for measuring and counting."""
import warnings

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmseg.apis import init_model
from torch import nn

from ..errors import CheckpointError, InputError, one_line
from ..weights.whole_model import load_model


def build_segmentor(cfg: Config, checkpoint: str | None = None, allow_partial: bool = False) -> nn.Module:
    """Builds a config's segmentor on the CPU for inference, with random weights (seed 0) or a checkpoint's.

    Raises:
        CheckpointError: The checkpoint cannot be read, or does not fit the model exactly, unless `allow_partial`.
        InputError: The model cannot be built.
    """
    if 'model' not in cfg:
        raise InputError(f'{cfg.filename}: has no model; give a whole config, not one of its parts')
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', message='.*avg_non_ignore.*')  # about a loss that is not computed here
            model = init_model(cfg.copy(), device='cpu') if checkpoint is None else load_model(
                cfg, checkpoint, 'cpu', allow_partial)
    except CheckpointError:
        raise
    except Exception as error:  # what a config names may be missing, or built with the wrong arguments
        raise InputError(f'{cfg.filename}: the model cannot be built ({one_line(error)})') from error
    return revert_sync_batchnorm(model).eval()
