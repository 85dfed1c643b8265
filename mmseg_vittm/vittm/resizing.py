"""An encoder made one of another input size, patch size or depth."""
import torch
from timm.layers import resample_patch_embed
from torch import nn

from .encoder import ViTTMEncoder
from .streams import PatchStream, PositionEmbedding, resample_positions, to_pair


def resize_encoder(encoder: ViTTMEncoder, img_size: int | tuple[int, int] | None = None,
                   patch_size: int | tuple[int, int] | None = None) -> None:
    """Resamples an encoder's position embeddings to another input size, its patch embeddings to another patch size.

    Args:
        encoder: The encoder, which is changed.
        img_size: Input in pixels, an int or (height, width); None keeps it.
        patch_size: Side of both streams' patches in pixels, likewise.

    Raises:
        ValueError: The read/write head or fusion fixes the number of tokens, and these sizes give another. The
            encoder is as it was then.
    """
    before = encoder.img_size, encoder.process_patch_size, encoder.memory_patch_size
    size = encoder.img_size if img_size is None else to_pair(img_size, 'img_size')
    patches = before[1:] if patch_size is None else (to_pair(patch_size, 'patch_size'), ) * 2
    encoder.img_size, (encoder.process_patch_size, encoder.memory_patch_size) = size, patches
    try:
        process_grid, memory_grid = encoder.grids(*encoder.img_size)
    except ValueError:
        encoder.img_size, encoder.process_patch_size, encoder.memory_patch_size = before
        raise
    encoder._base_process_grid, encoder._base_memory_grid = process_grid, memory_grid
    for stream, grid, patch in ((encoder.process_stream, process_grid, encoder.process_patch_size),
                                (encoder.memory_stream, memory_grid, encoder.memory_patch_size)):
        positions = getattr(stream, 'pos_embed', None)  # latent tokens have none
        if isinstance(positions, PositionEmbedding):
            positions.weight = _resampled(positions.weight, resample_positions(positions.weight.detach(), grid))
        if isinstance(stream, PatchStream) and stream.proj.kernel_size != patch:
            weight = resample_patch_embed(stream.proj.weight.detach(), list(patch))
            stream.proj.weight = _resampled(stream.proj.weight, weight)
            stream.proj.kernel_size = stream.proj.stride = patch


def _resampled(weight: nn.Parameter, values: torch.Tensor) -> nn.Parameter:
    return weight if values.shape == weight.shape else nn.Parameter(values, requires_grad=weight.requires_grad)


def keep_blocks(encoder: ViTTMEncoder, number: int, write_last: bool) -> None:
    """Leaves out an encoder's blocks after the first so many, and the last one's write where nothing needs it.

    Args:
        encoder: The encoder, which is changed.
        number: How many blocks stay.
        write_last: Keep the last block's write to the memory tokens.
    """
    encoder.blocks = encoder.blocks[:number]
    encoder.num_layers = number
    if not write_last:
        encoder.blocks[-1].write_head = None
        encoder.blocks[-1].memory_mlp = nn.Identity()
        if number == 1:
            encoder.write_fusion = nn.Identity()
