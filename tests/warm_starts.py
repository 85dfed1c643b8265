"""What the tests of warm starts build: small ViTs of every family, as timm has them, and what begins from them."""
from functools import partial

import torch
from timm.layers import SwiGLUPacked
from timm.models.deit import VisionTransformerDistilled
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from mmseg_vittm.vittm import ViTTMEncoder
from mmseg_vittm.weights.report import LoadReport
from mmseg_vittm.weights.warm_start.fit import warm_start_encoder
from mmseg_vittm.weights.warm_start.source import ViTWeights, source_of
from mmseg_vittm.weights.warm_start.teacher import Teacher

WIDTH, LAYERS, HEADS = 64, 2, 4
ARCH = dict(embed_dims=WIDTH, num_layers=LAYERS, num_heads=HEADS, mlp_ratio=4.0)
SIZE = dict(img_size=64, patch_size=16, embed_dim=WIDTH, depth=LAYERS, num_heads=HEADS)
_NORM = partial(nn.LayerNorm, eps=1e-6)
_ROTARY = dict(use_rot_pos_emb=True, norm_layer=_NORM)
_DINOV3 = dict(**_ROTARY, use_abs_pos_emb=False, rope_type='dinov3', rope_temperature=100.0, rope_rotate_half=True,
               num_reg_tokens=4, init_values=0.1, dynamic_img_size=True)
_SWIGLU = dict(mlp_ratio=8 / 3, swiglu_mlp=True, **_ROTARY, ref_feat_shape=(16, 16))
SWIGLU = ARCH | dict(mlp_ratio=8 / 3)

# By family: timm's model, what it takes, and what a ViTTM takes that begins from it.
FAMILIES = {
    'vit': (VisionTransformer, dict(), dict()),
    'vit_qk_norm': (VisionTransformer, dict(qk_norm=True), dict(qk_norm=True)),
    'deit_distilled': (VisionTransformerDistilled, dict(), dict()),
    'deit3': (VisionTransformer, dict(no_embed_class=True, init_values=0.1), dict(layer_scale=0.5)),
    'dinov2': (VisionTransformer, dict(init_values=0.1), dict(layer_scale=True)),
    'dinov2_reg': (VisionTransformer, dict(init_values=0.1, reg_tokens=4, no_embed_class=True), dict(layer_scale=True)),
    'dinov2_giant': (VisionTransformer, dict(init_values=0.1, mlp_ratio=5.0, mlp_layer=SwiGLUPacked,
                                             act_layer=nn.SiLU),
                     dict(layer_scale=True, mlp='swiglu', arch=ARCH | dict(mlp_ratio=2.5))),
    'clip': (VisionTransformer, dict(pre_norm=True), dict()),
    'siglip': (VisionTransformer, dict(class_token=False, global_pool='map'), dict()),
    'eva02_small': (Eva, _SWIGLU, dict(rope='eva02', mlp='swiglu', arch=SWIGLU)),
    'eva02_base': (Eva, _SWIGLU | dict(qkv_fused=False, scale_mlp=True),
                   dict(rope='eva02', mlp='swiglu_norm', arch=SWIGLU)),
    'dinov3': (Eva, _DINOV3 | dict(qkv_bias=False), dict(rope='dinov3', layer_scale=True)),
    'dinov3_bias': (Eva, _DINOV3, dict(rope='dinov3', layer_scale=True)),
    'dinov3_plus': (Eva, _DINOV3 | dict(swiglu_mlp=True, swiglu_align_to=8),
                    dict(rope='dinov3', layer_scale=True, mlp='swiglu')),
    'rope_vit': (Eva, dict(**_ROTARY, attn_type='rope', init_values=0.1, use_abs_pos_emb=False, rope_temperature=100.0,
                           rope_grid_indexing='xy', ref_feat_shape=(14, 14)), dict(rope='rope_vit', layer_scale=True)),
}


def random_vit(family: str, **changes) -> nn.Module:
    """A small ViT of a family whose every weight is random, so that none can be forgotten; the same at every call."""
    kind, settings, _ = FAMILIES[family]
    torch.manual_seed(0)
    model = kind(**(SIZE | settings | dict(norm_layer=_NORM, num_classes=0 if kind is Eva else 5) | changes))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(noise * (0.3 if weight.ndim < 2 else weight[0].numel() ** -0.5 if weight.ndim < 5 else 1.0)
                         + (1.0 if 'norm' in name and name.endswith('weight') else 0.0))
    return model.eval()


def images(count: int = 2, size: int = 64) -> torch.Tensor:
    """Smooth random images, the same at every call."""
    coarse = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    return nn.functional.interpolate(coarse, (size, size), mode='bicubic')


def encoder_for(family: str, **changes) -> ViTTMEncoder:
    """An encoder with the options that a family needs, of the ViT's own patch size; the same at every call."""
    torch.manual_seed(2)
    settings = dict(arch=ARCH, img_size=64, process_patch_size=16, memory_patch_size=16) | FAMILIES[family][2]
    return ViTTMEncoder(**(settings | changes)).eval()


def begun(encoder: ViTTMEncoder, state: dict, path: str = 'vit.pth') -> tuple[ViTWeights, LoadReport, Teacher]:
    """Begins an encoder from a ViT's weights."""
    report = LoadReport(path)
    source = source_of(state, report)
    warm_start_encoder(encoder, source, report, encoder.num_layers)
    prefix, _ = source.prefix_and_grid(source.grid_at(encoder.img_size), path)
    return source, report, Teacher(encoder, prefix, source.norms.get('norm_pre'), source.norms.get('norm'))
