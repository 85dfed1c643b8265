"""ViTs by timm's names: checked without a download, and downloaded by timm."""
import difflib
import os
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg, split_model_name_tag
from timm.models.eva import EvaBlock
from timm.models.vision_transformer import Block
from torch import nn

from ...errors import CheckpointError, InputError, one_line, shown
from ...vittm.vit_block import ACTIVATIONS
from ..report import LoadReport
from .images import Images
from .source import ViTWeights, check_size, read_source, source_of

ENDINGS = ('.pth', '.pt', '.bin', '.safetensors', '.ckpt', '.npz', '.tar')


def is_file(checkpoint: str) -> bool:
    """Tells whether a checkpoint is meant to be a file: it is there, or its name looks like one; else a timm name."""
    looks = '/' in checkpoint or os.sep in checkpoint or checkpoint.startswith(('~', '.'))
    return looks or checkpoint.lower().endswith(ENDINGS) or os.path.exists(checkpoint)


def check_source(checkpoint: Any) -> None:
    """Checks that a file to start from is there, or that timm has weights of a plain ViT of this name.

    It downloads nothing.

    Raises:
        InputError: It is not; names those of timm that are nearest.
        CheckpointError: The model of this name is no plain ViT.
    """
    if not isinstance(checkpoint, (str, os.PathLike)) or not str(checkpoint):
        raise InputError(f"a warm start's checkpoint must be a file or a name of timm's, got {checkpoint!r}")
    checkpoint = os.fspath(checkpoint)
    if is_file(checkpoint):
        path = Path(os.path.expanduser(checkpoint))
        if not path.is_file():
            kind = 'it is a folder' if path.is_dir() else 'there is no such file'
            raise InputError(f"{checkpoint}: {kind}; give a file of a ViT's weights, or a name of timm's, such as "
                             'vit_small_patch16_224.augreg_in21k')
        return
    arch, tag = split_model_name_tag(checkpoint)
    known = timm.list_models(pretrained=True)
    if timm.is_model(arch) and (get_pretrained_cfg(arch) if not tag else checkpoint in known):
        if any(name.split('.')[0] == arch for name in known):
            with torch.device('meta'):  # which takes no time, and draws nothing
                _check_plain(checkpoint, timm.create_model(checkpoint, pretrained=False))
            return
        raise InputError(f'{shown(checkpoint)}: timm has this model, but no weights of it; give a file of them')
    near = difflib.get_close_matches(checkpoint, known, 4, 0.5)
    if timm.is_model(arch):  # it is the tag that is wrong
        near = [name for name in known if name.split('.')[0] == arch][:4] or near
    said = f'the nearest are {", ".join(near)}; give one of these' if near else 'give one of timm.list_pretrained()'
    raise InputError(f'{shown(checkpoint)}: timm knows no weights of this name, and there is no such file; {said}, or '
                     'the path of a file')


def read_any_source(checkpoint: str, size: tuple[int, int] | None = None) -> tuple[ViTWeights, LoadReport]:
    """Reads a ViT's weights from a file, or has timm download those of a name.

    Args:
        checkpoint: The file, or the name.
        size: Width and layers that a model of this name must have, before anything is downloaded; None for any.

    Raises:
        InputError: See `check_source`; or they cannot be downloaded.
        CheckpointError: See `source.read_source`; or the model of this name is of another size.
    """
    check_source(checkpoint)
    checkpoint = os.fspath(checkpoint)
    if is_file(checkpoint):
        return read_source(checkpoint)
    if size is not None:
        with torch.device('meta'):
            model = timm.create_model(checkpoint, pretrained=False)
        check_size(checkpoint, (model.embed_dim, len(model.blocks)), size)
    try:
        model = timm.create_model(checkpoint, pretrained=True)
    except Exception as error:  # of the network, the hub's library, and timm's own
        raise InputError(f"{checkpoint}: timm could not get these weights ({one_line(error)}); download the model's "
                         'file elsewhere, and give its path') from error
    report = LoadReport(checkpoint)
    source = source_of(model.state_dict(), report)
    source.title = report.source = f"timm's {type(model).__name__}"
    _describe(source, model)
    return source, report


def _check_plain(checkpoint: str, model: nn.Module) -> None:
    blocks = getattr(model, 'blocks', None)
    if not isinstance(blocks, (nn.Sequential, nn.ModuleList)) or not all(type(one) in (Block, EvaBlock)
                                                                         for one in blocks):
        raise CheckpointError(f"{checkpoint}: timm's {type(model).__name__} of this name has no plain ViT blocks, "
                              'which a warm start needs; give the name of a plain ViT')


def _describe(source: ViTWeights, model: nn.Module) -> None:
    """Notes what the model itself knows beside its weights."""
    block = model.blocks[0]
    source.num_heads = block.attn.num_heads
    source.grid = getattr(getattr(model, 'patch_embed', None), 'grid_size', None)
    if source.options['mlp'] == 'mlp':
        kind = type(block.mlp.act)
        names = [name for name, activation in ACTIVATIONS.items() if kind is activation]
        if not names:
            raise CheckpointError(f'{source.title}: the activation {kind.__name__} of its MLP is none of '
                                  f'{sorted(ACTIVATIONS)}; give another ViT')
        source.activation = names[0]
    source.rope = rope_of(model)
    cfg = model.pretrained_cfg
    source.images = Images(*(tuple(255.0 * value for value in cfg[name]) for name in ('mean', 'std')))


def rope_of(model: nn.Module) -> dict | bool:
    """Returns the rotary embedding of a timm model as settings of `vittm.vit_block`, False where it has none."""
    rope = getattr(model, 'rope', None)
    if rope is None:
        return False
    kind = {'RotaryEmbeddingDinoV3': 'dinov3', 'RotaryEmbeddingCat': 'cat'}.get(type(rope).__name__)
    if kind is None or getattr(rope, 'in_pixels', False):
        raise CheckpointError(f'{type(model).__name__} has a {type(rope).__name__}, for which our encoder has no '
                              'option; give another ViT')
    settings = dict(type=kind, temperature=float(rope.temperature), grid_indexing=rope.grid_indexing,
                    grid_offset=float(rope.grid_offset), rotate_half=bool(rope.rotate_half))
    if kind == 'cat':
        settings['ref_grid'] = tuple(rope.ref_feat_shape or model.patch_embed.grid_size)
    return settings
