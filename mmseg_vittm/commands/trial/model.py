"""The trial of a config's model: built without weights, its size and its mode of inference looked at."""
import copy
import os
from typing import Any

import mmengine.registry
from mmengine.config import Config
from mmengine.model import BaseTTAModel
from mmseg.models import EncoderDecoder
from torch import nn

from ...errors import InputError, shown
from ..configs.classes import has_own
from ..configs.sections import items_of
from .parts import named
from .traceless import build_on_meta

READ_FILES = ('VPD', )


def try_model(cfg: Config) -> nn.Module | None:
    """Builds the model without weights, and returns it; None where a part is a user's own, or is read from files."""
    if has_own(cfg.model) or _reads_files(cfg.model):
        return None
    settings = copy.deepcopy(cfg.model)
    _leave_downloads(settings)
    with named(cfg, 'model'):
        model = build_on_meta(lambda: mmengine.registry.MODELS.build(copy.deepcopy(settings)))
    _check_memory(cfg, model)
    _check_test_mode(cfg, model)
    return model


def _reads_files(node: Any) -> bool:
    """Whether a part of a model reads its weights where it is constructed, as MMSegmentation's `VPD`."""
    if isinstance(node, dict):
        return str(node.get('type')).rpartition('.')[2] in READ_FILES or any(
            _reads_files(value) for _, value in items_of(node))
    return isinstance(node, (list, tuple)) and any(map(_reads_files, node))


def _leave_downloads(node: Any) -> None:
    """Has no part of a model fetch weights where it is constructed, as MMSegmentation's `TIMMBackbone` does."""
    if isinstance(node, dict):
        if node.get('pretrained') is True:
            node['pretrained'] = False
        for _, value in items_of(node):
            _leave_downloads(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _leave_downloads(value)


def _check_memory(cfg: Config, model: nn.Module) -> None:
    """Checks that a model's weights are fewer than the machine has memory for.

    Raises:
        InputError: They are not.
    """
    needed = sum(one.numel() * one.element_size() for one in (*model.parameters(), *model.buffers()))
    if not hasattr(os, 'sysconf') or 'SC_PHYS_PAGES' not in os.sysconf_names:
        return
    there = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    if needed > there:
        raise InputError(f'{cfg.filename}: the weights of the model take {needed / 2**30:,.0f} GiB, and this machine '
                         f'has {there / 2**30:,.0f}; give it smaller sizes')


def _check_test_mode(cfg: Config, model: nn.Module) -> None:
    """Checks `test_cfg` of MMSegmentation's segmentors and ours, which they read when the first image comes.

    Raises:
        InputError: It says no known mode, or lacks the window of `'slide'`.
    """
    while isinstance(model, BaseTTAModel):
        model = model.module
    inference = getattr(type(model), 'inference', None)
    if not isinstance(model, EncoderDecoder) or inference is not EncoderDecoder.inference and not getattr(
            inference, '__module__', '').startswith('mmseg_vittm.'):
        return
    mode = model.test_cfg.get('mode', 'whole') if isinstance(model.test_cfg, dict) else None
    if mode not in ('slide', 'whole'):
        raise InputError(f"{cfg.filename}: model.test_cfg must be a dict with mode='slide' or 'whole', got "
                         f'{shown(repr(model.test_cfg))}')
    window = [model.test_cfg.get(name) for name in ('crop_size', 'stride')]
    if mode == 'slide' and not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in window):
        raise InputError(f"{cfg.filename}: model.test_cfg with mode='slide' needs crop_size=(H, W) and stride=(H, W), "
                         f'got {shown(repr(window))}')
