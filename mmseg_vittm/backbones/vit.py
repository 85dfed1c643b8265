"""ViTBackbone: timm's Vision Transformer with patch tokens on any grid."""
from collections.abc import Sequence

import timm
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from ..stack import MODELS
from ..vittm.streams import to_pair
from ..weights.families import OUR_VIT, TIMM_VIT, VIT_CLASSIFIER, WHOLE_MODEL
from ..weights.positions import fit_vit_positions
from ..weights.pretrained import LoadReport, load_pretrained
from ..weights.warm_start.pending import Pending
from ..weights.warm_start.source import ViTWeights
from ..weights.warm_start.vit_fit import warm_start_vit
from .base import PretrainedBackbone, resolve_indices


@MODELS.register_module()
class ViTBackbone(PretrainedBackbone):
    """A plain ViT from timm: the baseline of the paper's Table 6.

    Inputs of any size: padded right and bottom to whole patches, position embeddings resampled (bicubic,
    antialiased). Blocks after the last output are not built, and the final norm only where the last block of
    the model is an output.

    Args:
        model_name: A Vision Transformer of timm, such as `'vit_base_patch16_224'`.
        img_size: Input in pixels, an int or (height, width), for which position embeddings are learned.
        patch_size: Side of a patch in pixels, in place of the model's own; None keeps that.
        num_layers: Number of blocks, in place of the model's own; None keeps that.
        in_channels: Channels of the image.
        out_indices: Blocks after which maps are taken, ascending; negative ones count from the end. The map
            of the last block is taken after the final norm.
        drop_path_rate: Stochastic depth of the last block; earlier ones have linearly less.
        with_cp: Recompute blocks in the backward pass: less memory, more time.
        frozen_layers: -1 for none, n for the embeddings and the first n blocks.
        pretrained: Download timm's ImageNet weights of `model_name`.
        init_cfg: `dict(type='Pretrained', checkpoint=PATH)` loads, strictly, timm's weight files, our own
            backbone weights or an MMSegmentation checkpoint with this backbone, `.pth` or `.safetensors`;
            `dict(type='WarmStart', checkpoint=FILE or timm's name)` begins from a ViT of any patch size and grid.

    Raises:
        ValueError: An argument is out of range, or `model_name` is no Vision Transformer.
    """

    def __init__(self, *,
                 model_name: str = 'vit_base_patch16_224',
                 img_size: int | tuple[int, int] = 224,
                 patch_size: int | None = None,
                 num_layers: int | None = None,
                 in_channels: int = 3,
                 out_indices: int | Sequence[int] = (-1, ),
                 drop_path_rate: float = 0.0,
                 with_cp: bool = False,
                 frozen_layers: int = -1,
                 pretrained: bool = False,
                 init_cfg: dict | list | None = None):
        super().__init__(frozen_layers, init_cfg)
        if not timm.is_model(model_name) or not model_name.startswith(('vit_', 'deit_')):
            raise ValueError(f'model_name must be a Vision Transformer of timm (timm.list_models("vit_*")), '
                             f'got {model_name!r}')
        size = to_pair(img_size, 'img_size')
        changed = {}
        for key, name, value in (('patch_size', 'patch_size', patch_size), ('depth', 'num_layers', num_layers)):
            if value is not None:
                if not isinstance(value, int) or value < 1:
                    raise ValueError(f'{name} must be a positive integer, or None for that of {model_name}, '
                                     f'got {value!r}')
                changed[key] = value
        if pretrained and changed:
            raise ValueError(f"pretrained=True downloads {model_name}'s own weights, which patch_size and num_layers "
                             'change the shapes of; leave them out, or pretrained')
        try:
            vit = timm.create_model(model_name, pretrained=pretrained, num_classes=0, global_pool='', img_size=size,
                                    in_chans=in_channels, drop_path_rate=drop_path_rate, dynamic_img_size=True,
                                    dynamic_img_pad=True, **changed)
        except (TypeError, AssertionError) as error:  # timm's variants with other arguments, or another head
            raise ValueError(f'model_name must be a plain Vision Transformer, got {model_name!r}: {error}') from error
        if not isinstance(vit, VisionTransformer) or not isinstance(vit.norm, nn.LayerNorm):
            raise ValueError(f'model_name must be a plain Vision Transformer with a final norm, got {model_name!r}')
        self.arch_width, self.arch_layers = vit.embed_dim, len(vit.blocks)
        self.out_indices = resolve_indices(out_indices, self.arch_layers)
        self.final_norm = self.out_indices[-1] == self.arch_layers - 1
        vit.blocks = vit.blocks[:self.out_indices[-1] + 1]
        if not self.final_norm:
            vit.norm = nn.Identity()
        vit.set_grad_checkpointing(with_cp)
        self.vit = vit
        self._freeze()

    def embeddings(self) -> list[nn.Module | nn.Parameter]:
        """Returns the patch and position embeddings and the prefix tokens."""
        names = ('cls_token', 'reg_token', 'pos_embed')
        tokens = [getattr(self.vit, name, None) for name in names]
        return [self.vit.patch_embed, self.vit.norm_pre, *(token for token in tokens if token is not None)]

    def blocks(self) -> nn.ModuleList:
        """Returns the transformer blocks."""
        return self.vit.blocks

    def load_pretrained(self, path: str) -> LoadReport:
        """Loads a checkpoint strictly: timm's, our own backbone weights or a whole model's; see there."""
        unbuilt = [f'vit.blocks.{i}.' for i in range(len(self.vit.blocks), self.arch_layers)]
        unbuilt += ['vit.norm.'] * (not self.final_norm)
        prefix = 0 if self.vit.no_embed_class else self.vit.num_prefix_tokens
        grid = self.vit.patch_embed.grid_size
        return load_pretrained(self, path, (WHOLE_MODEL, OUR_VIT, VIT_CLASSIFIER, TIMM_VIT), unbuilt,
                               lambda family: fit_vit_positions(grid, prefix, family.square_positions))

    def take_vit(self, source: ViTWeights, report: LoadReport, calibration: str) -> Pending:
        """Takes a ViT's weights strictly; nothing is to be calibrated."""
        warm_start_vit(self.vit, source, report, self.arch_layers)
        prefix = 0 if self.vit.no_embed_class else self.vit.num_prefix_tokens
        return Pending([self.vit.patch_embed.proj], source.images, source.rgb, (self.vit.pos_embed, prefix))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Returns one map (B, C, h, w) of patch tokens per index of `out_indices`, of images (B, 3, H, W)."""
        maps = self.vit.forward_intermediates(images, indices=list(self.out_indices), intermediates_only=True)
        if self.final_norm:
            maps[-1] = self.vit.norm(maps[-1].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return tuple(maps)
