"""`ViTWeights`: a ViT of any family in one form, out of a file or timm."""
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import CheckpointError, shown
from ..files import read_weights_file
from ..finite import check_finite
from ..report import LoadReport
from ..state_dicts import unwrap
from .images import HALF, IMAGENET, OPENAI, Images, trained_with
from .layouts import CANONICAL, CLIP, LAYOUTS, NO_SOURCE, REFUSED, WITHIN

PREFIX = ('cls_token', 'dist_token', 'reg_token')  # in their order before the patches
@dataclass
class ViTWeights:
    """A ViT's weights in timm's names, and what is known about it.

    Attributes:
        title: Its family in words.
        blocks: Of each block, weights by the names of timm's `Block`; `attn.qkv.bias` only where it has one.
        patch: Kernel (C, channels, p, p) of the patch embedding.
        patch_bias: Its bias (C,), None without.
        positions: Position embeddings (1, N, C) of prefix and patches, or (1, H, W, C); None without.
        tokens: The prefix tokens, each (1, n, C), by name in their order.
        norms: `norm_pre` and `norm`, (weight, bias), as far as it has them.
        num_heads: Attention heads, None where that is not known.
        grid: The patches' grid (H, W), None where that is not known.
        activation: Of the MLP, None where that is not known.
        rope: Whether it has rotary positions, or which (see `vittm.vit_block`); None where that is not known.
        images: How its images were normalised, None where that is not known.
        rgb: Whether they were RGB, None where that is not known.
    """
    title: str
    blocks: list[dict[str, Tensor]]
    patch: Tensor
    patch_bias: Tensor | None
    positions: Tensor | None
    tokens: dict[str, Tensor]
    norms: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    num_heads: int | None = None
    grid: tuple[int, int] | None = None
    activation: str | None = None
    rope: bool | dict | None = None
    images: Images | None = None
    rgb: bool | None = True

    @property
    def width(self) -> int:
        """Width C of the tokens."""
        return self.patch.shape[0]

    @property
    def options(self) -> dict[str, Any]:
        """What a ViTTM must be built with to take the blocks, as far as the weights tell."""
        first = self.blocks[0]
        mlp = 'mlp' if 'mlp.fc1.weight' in first else 'swiglu_norm' if 'mlp.norm.weight' in first else 'swiglu'
        return dict(layer_scale='ls1.gamma' in first, qk_norm='attn.q_norm.weight' in first, mlp=mlp)

    @property
    def hidden(self) -> int:
        """Hidden size of the MLP."""
        return self.blocks[0]['mlp.fc2.weight'].shape[1]

    def grid_at(self, img_size: tuple[int, int]) -> tuple[int, int]:
        """Returns the grid (H, W) that the ViT has at an image size in pixels."""
        return tuple(-(-side // patch) for side, patch in zip(img_size, self.patch.shape[2:], strict=True))

    def prefix_and_grid(self, expected: tuple[int, int] | None, path: Path | str
                        ) -> tuple[Tensor, Tensor | None]:
        """Returns the prefix tokens (1, P, C), with their positions, and the patches' positions (1, H, W, C).

        Args:
            expected: A grid (H, W) that they have where the ViT's own is not known, and a square one does not fit.
            path: The file, for errors.

        Raises:
            CheckpointError: Their number fits none of these, or, of a `ViTBackbone`, both of the last two.
        """
        tokens = list(self.tokens.values())
        prefix = torch.cat(tokens, dim=1) if tokens else self.patch.new_zeros(1, 0, self.width)
        positions = self.positions
        if positions is None or positions.ndim == 4:
            return prefix, positions
        count = positions.shape[1]
        classes = prefix.shape[1] - (self.tokens['reg_token'].shape[1] if 'reg_token' in self.tokens else 0)
        # With positions for none of the prefix (DeiT-III), for class tokens alone (Meta's DINOv2), or for all.
        patches = {count - own: own for own in (prefix.shape[1], classes, 0) if own < count}
        square = next(((math.isqrt(number), ) * 2 for number in sorted(patches, reverse=True)
                       if math.isqrt(number)**2 == number), None)
        if (self.grid is None and self.title.startswith('our') and square and expected and square != expected
                and math.prod(square) == math.prod(expected)):
            raise CheckpointError(f'{path}: its {math.prod(square)} positions can be a grid of {square} or {expected}; '
                                  "give the whole checkpoint of the ViT's training, which says")
        for grid in (self.grid, square, expected):
            if grid and math.prod(grid) in patches:
                return _placed(prefix, positions, patches[math.prod(grid)], grid)
        raise CheckpointError(f'{path}: {count} positions beside {prefix.shape[1]} prefix tokens are no square grid, '
                              'nor that of this img_size; give img_size what the ViT was trained at')


def _placed(prefix: Tensor, positions: Tensor, own: int, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    prefix = prefix.clone()
    prefix[:, :own] += positions[:, :own]
    return prefix, positions[:, own:].unflatten(1, grid)


def check_size(what: str, theirs: tuple[int, int], ours: tuple[int, int]) -> None:
    """Checks that a ViT's (width, layers) are a model's.

    Raises:
        CheckpointError: They are not; says both.
    """
    if theirs != ours:
        raise CheckpointError(f'{what} has width {theirs[0]} and {theirs[1]} layers, this model width {ours[0]} and '
                              f'{ours[1]} layers; a warm start needs both equal: give another ViT, or its arch '
                              '(ViTBackbone: model_name and num_layers)')


def read_source(path: str | Path) -> tuple[ViTWeights, LoadReport]:
    """Reads a file of a ViT's weights; code in it is never run.

    Raises:
        CheckpointError: It cannot be read, is no ViT of a known family, or has what our encoder has no option for.
    """
    content = read_weights_file(path)
    state, wrappers = unwrap(content, path)
    report = LoadReport(Path(path))
    source = source_of(state, report)
    report.source = f'{source.title}, wrapped as {wrappers}' if wrappers else source.title
    if 'our ViTBackbone' in source.title:
        source.images, source.rgb, size = trained_with(content)
        source.grid = size and source.grid_at(size)
    return source, report


def source_of(state: dict[str, Tensor], report: LoadReport) -> ViTWeights:
    """Returns a ViT's weights, by the names of any known family, in one form.

    Args:
        state: The weights.
        report: Takes what is dropped; its path is named in errors.

    Raises:
        CheckpointError: They are of no known family, or of a ViT with what our encoder has no option for.
    """
    for mark, remedy in NO_SOURCE:
        found = next((name for name in state if re.fullmatch(mark, name)), None)
        if found is not None:
            raise CheckpointError(f'{report.path}: no weights to warm-start from ({shown(found)}): {remedy}')
    within = next((family for family in WITHIN if family.owns(state)), None)
    state = state if within is None else within.rename(state, report)
    family = next((family for family in LAYOUTS if family.owns(state)), None)
    if family is None:
        known = ', '.join(one.title for one in LAYOUTS)
        raise CheckpointError(f'{report.path}: no ViT of a known family ({known}); it begins with '
                              f'{", ".join(map(shown, list(state)[:4]))}')
    theirs, state = state, family.rename(state, report)
    for pattern, what in REFUSED:
        found = next((name for name in state if re.fullmatch(pattern, name)), None)
        if found is not None:
            raise CheckpointError(f'{report.path} ({family.title}) has {what} ({shown(found)}), for which our encoder '
                                  'has no option; give another ViT')
    unknown = [name for name in state if not CANONICAL.fullmatch(name)]
    if unknown:
        raise CheckpointError(f'{report.path} ({family.title}) holds {len(unknown)} weights that are not known: '
                              f'{", ".join(map(shown, unknown[:8]))}{", ..." * (len(unknown) > 8)}')
    check_finite(state, report.path)
    title = family.title if within is None else f'{within.title}, {family.title}'
    source = _assembled(state, title, report)
    _describe(source, family, theirs, state)
    return source


def _assembled(state: dict[str, Tensor], title: str, report: LoadReport) -> ViTWeights:
    parts: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        found = CANONICAL.fullmatch(name)
        if found['block'] is not None:
            parts.setdefault(int(found['block']), {})[found['part']] = tensor.float()
    missing = [name for name in ('patch_embed.proj.weight', ) if name not in state]
    if missing or sorted(parts) != list(range(len(parts))) or not parts:
        raise CheckpointError(f'{report.path} ({title}) is no whole ViT: it has the blocks {sorted(parts)}, and '
                              f'{"no " * bool(missing)}patch embedding')
    uneven = [f'blocks.{number}.{part}' for part in sorted(set().union(*parts.values())) for number in sorted(parts)
              if part not in parts[number]]
    if uneven:
        raise CheckpointError(f'{report.path} ({title}) is no whole ViT: it lacks {", ".join(uneven[:4])}'
                              f'{", ..." * (len(uneven) > 4)}, which other blocks have')
    try:
        blocks = [_fused(parts[number]) for number in range(len(parts))]
        patch = _kernel(state['patch_embed.proj.weight'].float())
        tokens = {name: state[name].float().reshape(1, -1, patch.shape[0]) for name in PREFIX if name in state}
        positions = state['pos_embed'].float() if 'pos_embed' in state else None
        positions = positions[None] if positions is not None and positions.ndim == 2 else positions
        norms = {name: (state[f'{name}.weight'].float(), state[f'{name}.bias'].float()) for name in ('norm_pre', 'norm')
                 if f'{name}.weight' in state or f'{name}.bias' in state}
    except (IndexError, KeyError, RuntimeError) as error:
        raise CheckpointError(f'{report.path} ({title}) is no whole ViT: {type(error).__name__} {error}') from error
    report.tensors, report.parameters = len(state), sum(tensor.numel() for tensor in state.values())
    bias = state.get('patch_embed.proj.bias')
    return ViTWeights(title, blocks, patch, None if bias is None else bias.float(), positions, tokens, norms)


def _kernel(weight: Tensor) -> Tensor:
    """Returns a patch embedding as a convolution's; NaFlexViT's is a linear layer of (p, p, 3) pixels."""
    if weight.ndim == 4:
        return weight
    side = math.isqrt(weight.shape[1] // 3)
    return weight.reshape(-1, side, side, 3).permute(0, 3, 1, 2).contiguous()


def _fused(block: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns a block with queries, keys and values in one, and gate and value of SwiGLU apart."""
    block = dict(block)
    if 'attn.q_proj.weight' in block:
        block['attn.qkv.weight'] = torch.cat([block.pop(f'attn.{one}_proj.weight') for one in 'qkv'])
    width = block['attn.qkv.weight'].shape[0] // 3
    for theirs in ('attn.{}_proj.bias', 'attn.{}_bias'):
        if theirs.format('q') in block:
            keys = block.pop(theirs.format('k'), torch.zeros(width))  # EVA's have none
            block['attn.qkv.bias'] = torch.cat([block.pop(theirs.format('q')), keys, block.pop(theirs.format('v'))])
    hidden = block['mlp.fc2.weight'].shape[1]
    if 'mlp.fc1.weight' in block and block['mlp.fc1.weight'].shape[0] == 2 * hidden:
        for name in ('weight', 'bias'):
            gate, value = block.pop(f'mlp.fc1.{name}').chunk(2)
            block[f'mlp.fc1_g.{name}'], block[f'mlp.fc1_x.{name}'] = gate, value
    return block


def _describe(source: ViTWeights, family: Any, theirs: Sequence[str], state: dict[str, Tensor]) -> None:
    """Notes what the names of a file tell beside its weights, and what they leave open."""
    eva = any(re.fullmatch(r'blocks\.0\.attn\.(?:[qv]_bias|q_proj\.weight)', name) for name in state)
    scales = any(re.fullmatch(r'blocks\.0\.gamma_1', name) for name in theirs)
    clip = 'norm_pre' in source.norms
    if source.positions is None or eva or family.title == "Meta's DINOv3":
        source.rope = True
    else:  # LayerScale by this name with positions: DeiT-III's own file, or a RoPE ViT that has both
        source.rope = None if scales else False
    if family.title == "Meta's DINOv3":  # its keys have a bias that is masked out
        for block in source.blocks:
            block['attn.qkv.bias'] = block['attn.qkv.bias'].clone()
            block['attn.qkv.bias'].chunk(3)[1].zero_()
    if family is CLIP and {'input_resolution', 'context_length', 'vocab_size'} & set(theirs):
        source.activation = 'quick_gelu'  # the entries of OpenAI's own files
    if clip or eva and source.positions is not None:
        source.images = Images(*OPENAI)
    elif source.options['layer_scale'] or source.rope or 'dist_token' in source.tokens or 'Meta' in family.title:
        source.images = Images(*IMAGENET)
    else:
        source.images = Images(*HALF)
