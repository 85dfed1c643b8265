"""What several test files build: tiny models, golden files, checkpoints in the authors' wrappings."""
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mmseg_vittm.vittm import ViTTMEncoder

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(__file__).resolve().parent / 'data'
TINY = dict(embed_dims=48, num_layers=3, num_heads=4, mlp_ratio=4.0)
HEAD_NAMES = dict(lin='linear', ca='cross', lca='latent', tl='token_summary')
FUSION_NAMES = dict(residual='add', erase='erase', add_erase='add_erase')


def tiny_encoder(**changes) -> ViTTMEncoder:
    """A 3-block encoder, 56 pixels, 16 process and 16 memory tokens; the same weights at every call."""
    torch.manual_seed(0)
    return ViTTMEncoder(**dict(arch=TINY, img_size=56, process_patch_size=14, memory_patch_size=14) | changes)


def images(height: int = 56, width: int = 56, batch: int = 2, seed: int = 1) -> torch.Tensor:
    """Random images, the same at every call."""
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def random_loss(outputs, seed: int = 2) -> torch.Tensor:
    """A random weighting of outputs: no symmetry of theirs (a LayerNorm's constant sum) hides a gradient."""
    generator = torch.Generator().manual_seed(seed)
    return sum((out * torch.randn(out.shape, generator=generator)).sum() for out in outputs if out is not None)


def assert_no_dead_parameters(module: torch.nn.Module, outputs, invariant: tuple[str, ...] = (),
                              least: float = 1e-6) -> None:
    """Every parameter has a gradient, and of some size but where a softmax cancels it (`invariant`)."""
    random_loss(outputs).backward()
    without = [name for name, weight in module.named_parameters() if weight.grad is None]
    assert not without, f'no gradient: {without}'
    zero = [name for name, weight in module.named_parameters()
            if not name.endswith(invariant or '\0') and weight.grad.abs().max() < least]
    assert not zero, f'the gradient is zero: {zero}'


@dataclass
class Golden:
    """A golden file: constructor arguments in our names, weights under the authors', what they compute."""
    arguments: dict
    state: dict
    images: torch.Tensor
    expected: dict

    @property
    def equal_grids(self) -> bool:
        return self.arguments['process_patch_size'] == self.arguments['memory_patch_size']


def read_golden(path: Path) -> Golden:
    """Reads a golden file."""
    with safe_open(path, 'pt') as file:
        theirs = {key: json.loads(value) for key, value in file.metadata().items()}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a mapping)
    dims = theirs['embed_dim']
    arguments = dict(
        arch=dict(embed_dims=dims, num_layers=theirs['depth'], num_heads=theirs['num_heads'], mlp_ratio=4.0),
        img_size=tuple(theirs['img_size']),
        process_patch_size=theirs['process_ps'],
        memory_patch_size=theirs['memory_ps'],
        process_init=theirs['process_embedder_type'],
        read_write_head=HEAD_NAMES[theirs['rw_head_type']],
        latent_dims=dims // theirs['latent_size_scale'],
        fusion=FUSION_NAMES[theirs['fusion_type']],
        memory_mlp_ratio=theirs.get('memory_mlp_ratio', 0.5) if theirs.get('memory_blocks') == 'mlp' else None)
    state = {key.removeprefix('state.'): tensor for key, tensor in tensors.items() if key.startswith('state.')}
    expected = {key: tensor for key, tensor in tensors.items() if not key.startswith('state.')}
    return Golden(arguments, state, expected.pop('input'), expected)


def averaged(state: dict, prefix: str = 'module.') -> dict:
    """Weights as an `AveragedModel` saves them."""
    return {'n_averaged': torch.tensor(7), **{prefix + name: tensor for name, tensor in state.items()}}


# The released files' wrappings; only those without a `state_dict` key can be .safetensors files.
WRAPPINGS = {
    'plain': lambda state: state,
    'averaged': averaged,
    'averaged_compiled': lambda state: averaged(state, 'module._orig_mod.'),
    'state_dict': lambda state: {'state_dict': state, 'epoch': 3},
    'state_dict_averaged': lambda state: {'state_dict': averaged(state)},
    'state_dict_averaged_compiled': lambda state: {'state_dict': averaged(state, 'module._orig_mod.')},
}


def save_weights(state: dict, path: Path) -> str:
    """Saves a file by its ending and returns its path."""
    if path.suffix == '.safetensors':
        save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, path)
    else:
        torch.save(state, path)
    return str(path)
