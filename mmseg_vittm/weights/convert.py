"""Checkpoints converted to .safetensors in our names, written whole or not at all."""
import json
import os
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ..errors import CheckpointError, InputError, one_line, shown
from ..outputs import claim_file, whole_file
from .dataset_meta import check_dataset_meta, read_dataset_meta
from .families import AUTHORS, OUR_CLASSIFIER, TIMM_VIT, WHOLE_MODEL, WeightFamily, recognise
from .files import existing, read_weights_file
from .finite import check_finite
from .positions import square_grid
from .report import LoadReport
from .state_dicts import unwrap


def convert_checkpoint(source: str, target: str, overwrite: bool = False) -> str:
    """Converts a checkpoint file.

    Args:
        source: The authors' ViTTM file or timm's ViT file, in any wrapper, a classifier's checkpoint, or an
            MMSegmentation checkpoint.
        target: The `.safetensors` file to write: the backbone's weights; of a classifier those of its timm model; or
            the whole model's for the last.
        overwrite: Replace the target where it is there already.

    Returns:
        What was written, in one line.

    Raises:
        CheckpointError: The source cannot be read, is of no known kind, or has weights that are NaN or infinite.
        InputError: The target is there already, has another ending, or is the source.
        OutputError: The target cannot be written.
    """
    path = Path(target)
    if path.suffix != '.safetensors':
        raise InputError(f'{path}: the file to write must end in .safetensors')
    if os.path.exists(path) and os.path.samefile(existing(source), path):
        raise InputError(f'{path}: is {source}, the file to convert, which stays as it is; give another name')
    claim_file(path, overwrite)
    content = read_weights_file(source)
    state, _ = unwrap(content, source)
    family = recognise(state, (WHOLE_MODEL, OUR_CLASSIFIER, AUTHORS, TIMM_VIT), source)
    report = LoadReport(Path(source), family.title)
    metadata = {'format': 'pt'}
    if family in (WHOLE_MODEL, OUR_CLASSIFIER):
        metadata |= _classes(content, source)
    if family is not WHOLE_MODEL:
        state = _with_grids(_renamed(state, family, report), report) if family is AUTHORS else _renamed(
            state, family, report)
    report.tensors, report.parameters = len(state), sum(tensor.numel() for tensor in state.values())
    check_finite(state, source)
    # Cloned: .safetensors takes no tensors that share memory, as tied weights do.
    weights = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    with whole_file(path) as partial:
        _save(weights, partial, metadata, source)
    return f'{path}: {report}'


def _save(weights: dict[str, Tensor], path: Path, metadata: dict[str, str], source: str) -> None:
    """Writes a safetensors file, whose library has errors of its own, of the disk too."""
    try:
        if '__metadata__' in weights:  # the format's own name for what is no tensor
            raise ValueError('a tensor named __metadata__')
        save_file(weights, path, metadata)
    except OSError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        of_disk = re.search(r'os error (\d+)', str(error))
        if of_disk:
            raise OSError(int(of_disk[1]), str(error)) from error
        raise CheckpointError(f'{source}: cannot be a .safetensors file ({shown(one_line(error))}); save it again with '
                              'numbers and names of the usual kinds') from error


def _classes(content: dict, source: str) -> dict[str, str]:
    """Returns the classes and the palette of a whole model's checkpoint as the header of a safetensors file."""
    meta = content.get('meta')
    meta = meta.get('dataset_meta') if isinstance(meta, dict) else read_dataset_meta(source)
    check_dataset_meta(meta, source)
    if not meta:
        return {}
    kept = {'numbered': True} if meta.get('numbered') else {}  # classes that are numbers alone
    if meta.get('classes') is not None:
        kept['classes'] = list(meta['classes'])
    if meta.get('palette') is not None:
        kept['palette'] = [[int(value) for value in colour] for colour in meta['palette']]
    return {'dataset_meta': json.dumps(kept)}


def _renamed(state: dict[str, Tensor], family: WeightFamily, report: LoadReport) -> dict[str, Tensor]:
    renamed = family.rename(state, report)
    unknown = [name for name in renamed if name in state]
    if unknown:
        raise CheckpointError(f'{report.path} ({report.source}) holds weights that this project does not know: '
                              f'{", ".join(map(shown, unknown))}')
    return renamed


def _with_grids(state: dict[str, Tensor], report: LoadReport) -> dict[str, Tensor]:
    """Lays flat position embeddings (1, N, C) out on their square grid, (1, H, W, C)."""
    return {name: tensor.reshape(len(tensor), *square_grid(report.path, name, tensor.shape[1]), tensor.shape[2])
            if name.endswith('pos_embed.weight') and tensor.ndim == 3 else tensor for name, tensor in state.items()}
