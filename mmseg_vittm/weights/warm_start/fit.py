"""A ViT's weights in a ViTTM: the blocks, both streams' embeddings, and reading and writing that add nothing."""
from pathlib import Path

import torch
from timm.layers import resample_patch_embed
from torch import Tensor, nn

from ...errors import CheckpointError
from ...vittm import ViTTMEncoder
from ...vittm.cells import CellReadHead, CellWriteHead
from ...vittm.fusion import Add, AddErase, Erase
from ...vittm.heads import LinearAttentionHead, TokenSummaryHead
from ...vittm.streams import resample_positions
from ...vittm.vit_block import ROPES, resolve_rope
from ..report import LoadReport
from .source import ViTWeights, check_size

CLOSED = -4.0  # bias of the gates of add-erase: 1.8% of the update, and gradients still pass
AT_ZERO = 'at zero, so that reading and writing add nothing'
NONE = 'at zero, as it has none'
NORMS = ('read_norm.weight', 'read_norm.bias', 'write_norm.weight', 'write_norm.bias')


def warm_start_encoder(encoder: ViTTMEncoder, source: ViTWeights, report: LoadReport, num_layers: int) -> None:
    """Fills an encoder with a ViT's weights; what it has beyond a ViT's starts so that it changes nothing.

    Taken are the blocks, the patch embedding, resampled (timm's pseudo-inverse resize) to each stream's patches, and
    the position embeddings, resampled to each stream's grid. `norm_pre` becomes the first read norm, `norm` the last
    write norm, which do what these do. Other read and write norms are left for `calibrate`.

    Args:
        encoder: Takes the weights.
        source: The ViT's.
        report: Takes what was taken, resampled, dropped, and started otherwise.
        num_layers: Layers of the architecture, of which the encoder may have the first ones alone.

    Raises:
        CheckpointError: The ViT is of another width, depth or kind than the encoder, or the encoder has an option
            with which a warm start cannot work. The encoder is untouched then.
    """
    check_fits(encoder, source, report.path, num_layers)
    own = encoder.state_dict()
    taken: dict[str, Tensor] = {}
    started: dict[str, dict[str, float]] = {}
    for number in range(len(encoder.blocks)):
        taken.update({f'blocks.{number}.encoder.{_name(encoder, name)}': tensor
                      for name, tensor in source.blocks[number].items()})
        if 'attn.qkv.bias' not in source.blocks[number]:
            name = f'blocks.{number}.encoder.attn.qkv.bias'
            started.setdefault(NONE, {})[name] = 0.0
    _embeddings(encoder, source, report, taken, started)
    _norms(encoder, source, num_layers, taken)
    wrong = [f'{name} {tuple(tensor.shape)}, here {tuple(own[name].shape) if name in own else "none"}'
             for name, tensor in taken.items() if name not in own or own[name].shape != tensor.shape]
    wrong += [f'{name}, which it lacks' for name in own
              if '.encoder.' in name and name not in taken | started.get(NONE, {})]
    if wrong:
        raise CheckpointError(f'{report.path} ({source.title}) does not fit this model, nothing was loaded: '
                              f'{"; ".join(wrong[:6])}{"; ..." * (len(wrong) > 6)}; give the arch of this ViT')
    _start_neutral(encoder, started)
    for name in own:
        if name.endswith(NORMS) and name not in taken:
            started.setdefault('at one and zero, for the calibration', {})[name] = float(name.endswith('weight'))
    values = {name: value for group in started.values() for name, value in group.items()}
    with torch.no_grad():
        for name, tensor in own.items():
            if name in taken:
                tensor.copy_(taken[name])
            elif name in values:
                tensor.fill_(values[name])
    _count(encoder, source, report, own, taken, started)


def _count(encoder: ViTTMEncoder, source: ViTWeights, report: LoadReport, own: dict[str, Tensor],
           taken: dict[str, Tensor], started: dict[str, dict[str, float]]) -> None:
    """Counts every tensor of the model, as taken or as started in a way, and of the file what was left."""
    report.tensors, report.parameters = len(taken), sum(tensor.numel() for tensor in taken.values())
    for name, tensor in own.items():
        if name not in taken:
            report.start(next((how for how, names in started.items() if name in names), 'as drawn'), tensor)
    for name, tensor in source.tokens.items():
        report.drop(f'{name}, which has no place among process tokens', tensor)
    unbuilt = [tensor for block in source.blocks[len(encoder.blocks):] for tensor in block.values()]
    last = f'blocks.{len(encoder.blocks) - 1}.write_norm.weight'
    for tensor in [*unbuilt, *(source.norms.get('norm', ()) if last not in taken else ())]:
        report.drop('for outputs that this model does not give', tensor)


def check_fits(encoder: ViTTMEncoder, source: ViTWeights, path: Path | str, num_layers: int) -> None:
    """Checks that a ViT is of an encoder's width, depth and kind, and that a warm start of it can work.

    Raises:
        CheckpointError: It is not; says both, and the remedy.
    """
    what = f'{path} ({source.title})'
    check_size(what, (source.width, len(source.blocks)), (encoder.embed_dims, num_layers))
    block = encoder.blocks[0].encoder
    heads, hidden = block.attn.num_heads, block.mlp.fc2.weight.shape[1]
    if source.num_heads not in (None, heads):
        raise CheckpointError(f'{what} has {source.num_heads} attention heads, this model {heads}; give '
                              f'arch num_heads={source.num_heads}')
    _check_options(encoder, source, what)
    if source.hidden != hidden:
        raise CheckpointError(f'{what} has an MLP of {source.hidden}, this model one of {hidden}; give arch '
                              f'mlp_ratio={source.hidden / source.width:.6g}')
    channels = encoder.memory_stream.proj.in_channels
    if source.patch.shape[1] != channels:
        raise CheckpointError(f'{what} takes images of {source.patch.shape[1]} channels, this model of {channels}; '
                              f'give in_channels={source.patch.shape[1]}')
    if encoder.process_init == 'latent':
        raise CheckpointError(f"{what}: a warm start cannot work with process_init='latent', whose tokens see the "
                              "image by reading alone, which adds nothing at first; give 'patch' or 'downsample'")
    if isinstance(encoder.read_fusion, Erase):
        raise CheckpointError(f"{what}: a warm start cannot work with fusion='erase', which replaces what the ViT "
                              "computed by what was read; give 'add' or 'add_erase'")
    if isinstance(encoder.blocks[0].read_head, TokenSummaryHead) and isinstance(encoder.read_fusion, Add):
        raise CheckpointError(f"{what}: a warm start cannot work with read_write_head='token_summary' and "
                              "fusion='add', whose update is an average of all tokens and never nothing; give "
                              "fusion='add_erase', or another head")


def _check_options(encoder: ViTTMEncoder, source: ViTWeights, what: str) -> None:
    """Checks that an encoder has just the options that a ViT needs.

    Raises:
        CheckpointError: It has not; names them all.
    """
    ours = encoder.options
    wanted = dict(source.options)
    if source.activation is not None and wanted['mlp'] == 'mlp':
        wanted['activation'] = source.activation
    given = dict(layer_scale=ours.initial_scale is not None, qk_norm=ours.qk_norm, mlp=ours.mlp,
                 activation=ours.activation)
    change = [f'{name}={value!r}' for name, value in wanted.items() if given[name] != value]
    rotary = resolve_rope(ours.rope)
    reason = ''
    if source.rope is False and rotary:
        change.append('rope=None')
        reason = ': it has no rotary positions'
    elif source.rope is True and not rotary:
        change.append("rope='dinov3' for DINOv3, 'eva02' for EVA-02, 'rope_vit' for RoPE-ViT, or a dict for another")
        reason = ': its attention has rotary positions, without which it does not know where a token is'
    elif isinstance(source.rope, dict) and source.rope != rotary:
        preset = next((name for name in ROPES if resolve_rope(name) == source.rope), source.rope)
        change.append(f'rope={preset!r}')
        reason = f': its attention has {"rotary" if not rotary else "other rotary"} positions'
    if change:
        raise CheckpointError(f'{what} does not fit the options of this model{reason}; give {", ".join(change)}')


def _name(encoder: ViTTMEncoder, name: str) -> str:
    """Returns a block's weight by the name of the encoder's own block, which with rotary positions is timm's Eva's."""
    return name.replace('ls1.gamma', 'gamma_1').replace('ls2.gamma', 'gamma_2') if encoder.rope is not None else name


def _embeddings(encoder: ViTTMEncoder, source: ViTWeights, report: LoadReport, taken: dict[str, Tensor],
                started: dict[str, dict[str, float]]) -> None:
    """Adds both streams' patch and position embeddings."""
    _, positions = source.prefix_and_grid(source.grid_at(encoder.img_size), report.path)
    old = tuple(source.patch.shape[2:])
    streams = ('process', 'memory') if encoder.process_init == 'patch' else ('memory', )
    for stream in streams:
        module = getattr(encoder, f'{stream}_stream')
        size = module.proj.kernel_size
        if size != old:
            report.resampled.append(f'patches {old[0]}x{old[1]} -> {size[0]}x{size[1]} ({stream})')
        taken[f'{stream}_stream.proj.weight'] = resample_patch_embed(source.patch, list(size))
        if source.patch_bias is None:
            started.setdefault(NONE, {})[f'{stream}_stream.proj.bias'] = 0.0
        else:
            taken[f'{stream}_stream.proj.bias'] = source.patch_bias
        grid = module.pos_embed.grid
        if positions is None:
            started.setdefault(NONE, {})[f'{stream}_stream.pos_embed.weight'] = 0.0
            continue
        if tuple(positions.shape[1:3]) != grid:
            report.resampled.append(f'positions {positions.shape[1]}x{positions.shape[2]} -> {grid[0]}x{grid[1]} '
                                    f'({stream})')
        taken[f'{stream}_stream.pos_embed.weight'] = resample_positions(positions, grid)
    if encoder.process_init == 'downsample':  # the memory tokens that are averaged have positions already
        started.setdefault("at zero, beside the memory's", {})['process_stream.pos_embed.weight'] = 0.0


def _norms(encoder: ViTTMEncoder, source: ViTWeights, num_layers: int, taken: dict[str, Tensor]) -> None:
    """Adds the norms that do what norms of the ViT do: the first read norm and the last write norm."""
    places = {'norm_pre': 'blocks.0.read_norm'}
    if len(encoder.blocks) == num_layers:
        places['norm'] = f'blocks.{num_layers - 1}.write_norm'
    for name, (weight, bias) in source.norms.items():
        if name in places:
            taken[f'{places[name]}.weight'], taken[f'{places[name]}.bias'] = weight, bias


def _start_neutral(encoder: ViTTMEncoder, started: dict[str, dict[str, float]]) -> None:
    """Notes which weights start at zero for reading and writing to add nothing, and the gates' nearly closed."""
    zero = started.setdefault(AT_ZERO, {})
    for number, block in enumerate(encoder.blocks):
        for part in ('read_head', 'write_head'):
            head = getattr(block, part)
            if head is not None:
                zero.update(_named(f'blocks.{number}.{part}.{last_layer(head)}'))
        if hasattr(block.memory_mlp, 'mlp'):
            zero.update(_named(f'blocks.{number}.memory_mlp.mlp.fc2'))
    for part in ('read_fusion', 'write_fusion'):
        if isinstance(getattr(encoder, part), AddErase):
            zero[f'{part}.gate.weight'] = 0.0
            started.setdefault('nearly closed', {})[f'{part}.gate.bias'] = CLOSED


def _named(layer: str) -> dict[str, float]:
    return {f'{layer}.weight': 0.0, f'{layer}.bias': 0.0}


def last_layer(head: nn.Module) -> str:
    """Returns the layer of a head whose weights at zero make its update zero, or, of a token summary, a plain mean."""
    if isinstance(head, (LinearAttentionHead, CellReadHead, CellWriteHead)):
        return 'v'
    return 'mlp.fc2' if isinstance(head, TokenSummaryHead) else 'proj'
