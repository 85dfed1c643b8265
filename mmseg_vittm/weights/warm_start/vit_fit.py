"""A ViT's weights in a timm ViT of another patch size or grid: in `ViTBackbone`, the control of ViTTM."""
import torch
from timm.layers import resample_patch_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from ...errors import CheckpointError
from ...vittm.streams import resample_positions
from ...vittm.vit_block import ACTIVATIONS
from ..report import LoadReport
from .fit import NONE
from .source import PREFIX, ViTWeights, check_size


def warm_start_vit(vit: VisionTransformer, source: ViTWeights, report: LoadReport, num_layers: int) -> None:
    """Fills timm's ViT with a ViT's weights; patches and positions are resampled to its own.

    Args:
        vit: Takes the weights; blocks and the norm after them may be left out.
        source: The ViT's.
        report: Takes what was taken, resampled and dropped.
        num_layers: Layers of the architecture, of which it may have the first ones alone.

    Raises:
        CheckpointError: The ViT does not fit: names what. It is untouched then.
    """
    what = f'{report.path} ({source.title})'
    check_size(what, (source.width, len(source.blocks)), (vit.embed_dim, num_layers))
    if source.rope:
        raise CheckpointError(f'{what} has rotary positions, which ViTBackbone has not; begin a ViTTM with rope')
    heads = vit.blocks[0].attn.num_heads
    if source.num_heads not in (None, heads):
        raise CheckpointError(f'{what} has {source.num_heads} attention heads, this model {heads}; give another '
                              'model_name')
    act = getattr(vit.blocks[0].mlp, 'act', None)
    if source.activation is not None and type(act) is not ACTIVATIONS[source.activation]:
        raise CheckpointError(f'{what} has the activation {source.activation}, this model {type(act).__name__}; give a '
                              'model_name with it: those with quickgelu in them have quick_gelu, most others gelu')
    own = vit.state_dict()
    zeros = {} if 'attn.qkv.bias' in source.blocks[0] else {
        name: torch.zeros_like(tensor) for name, tensor in own.items() if name.endswith('.attn.qkv.bias')}
    taken = _taken(vit, own, source, report)
    wrong = [f'{name} {tuple(tensor.shape)}, here {tuple(own[name].shape) if name in own else "none"}'
             for name, tensor in taken.items() if name not in own or own[name].shape != tensor.shape]
    wrong += [f'{name}, which it lacks' for name in own if name not in taken | zeros]
    if wrong:
        raise CheckpointError(f'{what} does not fit this model, nothing was loaded: {"; ".join(wrong[:6])}'
                              f'{"; ..." * (len(wrong) > 6)}; give the model_name of this ViT')
    report.tensors, report.parameters = len(taken), sum(tensor.numel() for tensor in taken.values())
    for block in source.blocks[len(vit.blocks):]:
        for tensor in block.values():
            report.drop('for outputs that this model does not give', tensor)
    for tensor in zeros.values():
        report.start(NONE, tensor)
    vit.load_state_dict(taken | zeros)


def _taken(vit: VisionTransformer, own: dict[str, Tensor], source: ViTWeights, report: LoadReport
           ) -> dict[str, Tensor]:
    """Returns a ViT's weights by timm's names, in the shapes of this one where they can be resampled to them."""
    taken = {}
    for number in range(len(vit.blocks)):
        block = dict(source.blocks[number])
        if f'blocks.{number}.mlp.fc1.weight' in own and 'mlp.fc1_g.weight' in block:  # packed, in timm's DINOv2-g
            for kind in ('weight', 'bias'):
                block[f'mlp.fc1.{kind}'] = torch.cat([block.pop(f'mlp.fc1_{one}.{kind}') for one in 'gx'])
        taken.update({f'blocks.{number}.{name}': tensor for name, tensor in block.items()})
    size, old = tuple(vit.patch_embed.patch_size), tuple(source.patch.shape[2:])
    if size != old:
        report.resampled.append(f'patches {old[0]}x{old[1]} -> {size[0]}x{size[1]}')
    taken['patch_embed.proj.weight'] = resample_patch_embed(source.patch, list(size))
    if source.patch_bias is not None:
        taken['patch_embed.proj.bias'] = source.patch_bias
    prefix, positions = source.prefix_and_grid(source.grid_at(vit.patch_embed.img_size), report.path)
    if positions is not None:
        grid = tuple(vit.patch_embed.grid_size)
        if tuple(positions.shape[1:3]) != grid:
            report.resampled.append(f'positions {positions.shape[1]}x{positions.shape[2]} -> {grid[0]}x{grid[1]}')
        positions = resample_positions(positions, grid).flatten(1, 2)
        taken |= _prefix(vit, own, source, prefix, positions)
        for name in source.tokens:
            if name not in own:
                report.drop(f'{name}, which this model has not', source.tokens[name])
    for name, (weight, bias) in source.norms.items():
        if f'{name}.weight' in own or name == 'norm_pre':
            taken[f'{name}.weight'], taken[f'{name}.bias'] = weight, bias
        else:
            report.drop('for outputs that this model does not give', weight)
            report.drop('for outputs that this model does not give', bias)
    return taken


def _prefix(vit: nn.Module, own: dict[str, Tensor], source: ViTWeights, prefix: Tensor, positions: Tensor
            ) -> dict[str, Tensor]:
    """Returns prefix tokens with their positions in them, and position embeddings that have none for them."""
    sizes = [source.tokens[name].shape[1] for name in source.tokens]
    tokens = dict(zip(source.tokens, prefix.split(sizes, dim=1), strict=True)) if sizes else {}
    tokens = {name: tokens[name] for name in PREFIX if name in tokens and name in own}
    more = own['pos_embed'].shape[1] - vit.patch_embed.num_patches
    return tokens | dict(pos_embed=torch.cat([positions.new_zeros(1, more, source.width), positions], dim=1))
