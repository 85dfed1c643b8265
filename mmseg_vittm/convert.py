"""Checkpoints converted to .safetensors in our names, written whole or not at all."""
import json
import os
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .checkpoint import AUTHORS_TABLE, TIMM_VIT_TABLE, LoadReport, rename, square_grid
from .errors import CheckpointError, InputError
from .weight_files import read_file, read_state_dict


def convert_checkpoint(source: str, target: str, overwrite: bool = False) -> str:
    """Converts a checkpoint file.

    Args:
        source: The authors' ViTTM file or timm's ViT file, in any wrapper, or an MMSegmentation checkpoint.
        target: The `.safetensors` file to write: the backbone's weights, or the whole model's for the last.
        overwrite: Replace the target where it is there already.

    Returns:
        What was written, in one line.

    Raises:
        CheckpointError: The source cannot be read, or is of no known kind.
        InputError: The target is there already, or has another ending.
    """
    path = Path(target)
    if path.suffix != '.safetensors':
        raise InputError(f'{path}: the file to write must end in .safetensors')
    if path.exists() and not overwrite:
        raise InputError(f'{path} is there already; give another name, or --overwrite')
    state, _ = read_state_dict(source)
    report = LoadReport(Path(source), '')
    metadata = {'format': 'pt'}
    if any(name.startswith('backbone.') for name in state):
        report.source = 'MMSegmentation checkpoint'
        meta = (read_file(source).get('meta') or {}).get('dataset_meta')
        if meta:
            metadata['dataset_meta'] = json.dumps({key: meta[key] for key in ('classes', 'palette') if key in meta})
    elif 'process_pos_embed' in state:
        report.source = "the authors' ViTTM checkpoint"
        state = _with_grids(_rename(state, AUTHORS_TABLE, report), report)
    elif 'pos_embed' in state:
        report.source = "timm's ViT checkpoint"
        state = _rename(state, TIMM_VIT_TABLE, report)
    else:
        raise CheckpointError(f"{source}: neither the authors' ViTTM checkpoint, nor timm's ViT, nor an MMSegmentation "
                              f'checkpoint; it begins with {", ".join(list(state)[:4])}')
    report.tensors, report.parameters = len(state), sum(tensor.numel() for tensor in state.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        # Cloned: .safetensors takes no tensors that share memory, as tied weights do.
        weights = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
        save_file(weights, partial, metadata)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return f'{path}: {report}'


def _rename(state: dict[str, Tensor], table: tuple, report: LoadReport) -> dict[str, Tensor]:
    renamed = rename(state, table, report)
    unknown = [name for name in renamed if name in state]
    if unknown:
        raise CheckpointError(f'{report.path} ({report.source}) holds weights that this project does not know: '
                              f'{", ".join(unknown)}')
    return renamed


def _with_grids(state: dict[str, Tensor], report: LoadReport) -> dict[str, Tensor]:
    """Lays flat position embeddings (1, N, C) out on their square grid, (1, H, W, C)."""
    return {name: tensor.unflatten(1, square_grid(report.path, name, tensor.shape[1]))
            if name.endswith('pos_embed.weight') and tensor.ndim == 3 else tensor for name, tensor in state.items()}
