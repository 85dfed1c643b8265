"""The encoder's ViT block with the options of ViT families: LayerScale, norms of queries and keys, SwiGLU, rotary."""
from collections.abc import Callable
from dataclasses import dataclass

import timm.layers
from timm.layers import QuickGELU, SwiGLU
from timm.models.eva import EvaBlock
from timm.models.vision_transformer import Block
from torch import nn

ACTIVATIONS = {'gelu': nn.GELU, 'quick_gelu': QuickGELU}
MLPS = ('mlp', 'swiglu', 'swiglu_norm')
# By preset, the rotary embeddings of families of ViTs; `ref_grid` is that of the image size they were trained at.
ROPES = {
    'dinov3': dict(type='dinov3', temperature=100.0, rotate_half=True),
    'eva02': dict(type='cat', temperature=10000.0, ref_grid=(16, 16)),
    'rope_vit': dict(type='cat', temperature=100.0, grid_indexing='xy', ref_grid=(14, 14)),
}
ROPE_DEFAULTS = dict(grid_indexing='ij', grid_offset=0.0, rotate_half=False)


@dataclass(frozen=True)
class ViTOptions:
    """What a family of ViTs has in its blocks beyond the paper's, all off by default.

    Attributes:
        layer_scale: Initial value of LayerScale on both branches; True is 1e-5, None or False no LayerScale.
        qk_norm: A LayerNorm on the queries and keys of each attention head.
        activation: Of the MLP: `'gelu' | 'quick_gelu'`, the latter for OpenAI's CLIP.
        mlp: `'mlp'`; `'swiglu'`; `'swiglu_norm'` with a LayerNorm before its last projection.
        rope: Rotary position embedding of queries and keys: a key of `ROPES`, or a dict; see `resolve_rope`.

    Raises:
        ValueError: An option is none of its choices, or contradicts another.
    """
    layer_scale: float | bool | None = None
    qk_norm: bool = False
    activation: str = 'gelu'
    mlp: str = 'mlp'
    rope: str | dict | None = None

    def __post_init__(self):
        for name, choices in (('activation', ACTIVATIONS), ('mlp', MLPS)):
            if getattr(self, name) not in choices:
                raise ValueError(f'{name} must be one of {sorted(choices)}, got {getattr(self, name)!r}')
        if self.mlp != 'mlp' and self.activation != 'gelu':
            raise ValueError(f'mlp={self.mlp!r} has an activation of its own; leave activation={self.activation!r} out')
        scale = self.layer_scale
        if scale is not None and (not isinstance(scale, (bool, int, float)) or not isinstance(scale, bool)
                                  and not 0 < scale < float('inf')):
            raise ValueError(f'layer_scale must be a positive number, True for 1e-5, or None for none, got {scale!r}')
        resolve_rope(self.rope)

    @property
    def initial_scale(self) -> float | None:
        """The initial value of LayerScale, None without."""
        return 1e-5 if self.layer_scale is True else self.layer_scale or None


def resolve_rope(rope: str | dict | None) -> dict | None:
    """Returns the whole settings of a rotary embedding, of a preset's name or a dict.

    Args:
        rope: A key of `ROPES`; or a dict of `type`: `'cat'`, frequencies times the position on a grid, which is
            stretched to `ref_grid`; or `'dinov3'`, on positions from -1 to 1 along each side; `temperature`;
            `ref_grid`, the (H, W) that the image had in training, for `'cat'` alone; and, where they are not
            timm's defaults, `grid_indexing`, `grid_offset`, `rotate_half`. None for none.

    Raises:
        ValueError: It is none of these.
    """
    if rope is None:
        return None
    if isinstance(rope, str):
        if rope not in ROPES:
            raise ValueError(f'rope must be one of {sorted(ROPES)}, a dict, or None for none, got {rope!r}')
        return ROPE_DEFAULTS | ROPES[rope]
    rope = dict(rope) if isinstance(rope, dict) else {}
    needed = {'type', 'temperature'} | ({'ref_grid'} if rope.get('type') == 'cat' else set())
    if rope.get('type') not in ('cat', 'dinov3') or not needed <= set(rope) <= needed | set(ROPE_DEFAULTS):
        raise ValueError(f'rope must be one of {sorted(ROPES)}, or a dict of type (cat or dinov3), temperature, '
                         f'ref_grid for cat, and, if need be, {", ".join(ROPE_DEFAULTS)}; got {rope}')
    if 'ref_grid' in rope:
        rope['ref_grid'] = tuple(rope['ref_grid'])
    return ROPE_DEFAULTS | rope


def rotary_embedding(rope: str | dict, head_dims: int) -> nn.Module:
    """Returns timm's module of a rotary embedding, without weights.

    Its `get_embed(shape=(H, W))` gives (H * W, 2 * head_dims), whichever grid it is: positions are stretched to those
    of the training.

    Raises:
        ValueError: `rope` is wrong; the heads are too narrow for it; or timm is too old.
    """
    settings = resolve_rope(rope)
    kind, ref_grid = settings.pop('type'), settings.pop('ref_grid', None)
    if head_dims % 4:
        raise ValueError(f'rope needs embed_dims / num_heads to be a multiple of 4, got {head_dims}')
    if not hasattr(timm.layers, 'RotaryEmbeddingDinoV3'):
        raise ValueError(f'rope={rope!r} needs timm 1.0.20 or newer; this is {timm.__version__}')
    if kind == 'dinov3':
        return timm.layers.RotaryEmbeddingDinoV3(head_dims, **settings)
    return timm.layers.RotaryEmbeddingCat(head_dims, in_pixels=False, ref_feat_shape=list(ref_grid), **settings)


def vit_block(embed_dims: int, num_heads: int, mlp_ratio: float, drop_path: float, norm: Callable[[int], nn.Module],
              options: ViTOptions) -> nn.Module:
    """Returns timm's pre-norm ViT block with a family's options: `Block`, or `EvaBlock`, which takes rotary positions.

    Args:
        embed_dims: Width C.
        num_heads: Attention heads.
        mlp_ratio: Hidden size of the MLP over C.
        drop_path: Probability of skipping a residual branch per sample.
        norm: Makes the norms.
        options: See there.
    """
    common = dict(qkv_bias=True, qk_norm=options.qk_norm, init_values=options.initial_scale, drop_path=drop_path,
                  norm_layer=norm)
    has_norm = options.mlp == 'swiglu_norm'
    if options.rope is not None:
        swiglu = dict(swiglu_mlp=True, swiglu_align_to=1, scale_mlp=has_norm)  # aligned to 1: gate and value apart
        return EvaBlock(embed_dims, num_heads, mlp_ratio=mlp_ratio, attn_type='rope', num_prefix_tokens=0,
                        rotate_half=resolve_rope(options.rope)['rotate_half'],
                        **(dict(act_layer=ACTIVATIONS[options.activation]) if options.mlp == 'mlp' else swiglu),
                        **common)
    if options.mlp == 'mlp':
        return Block(embed_dims, num_heads, mlp_ratio, act_layer=ACTIVATIONS[options.activation], **common)
    return Block(embed_dims, num_heads, mlp_ratio, mlp_layer=SwiGLU, act_layer=nn.SiLU,
                 scale_mlp_norm=has_norm, **common)
