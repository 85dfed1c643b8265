"""ToMe as a classifier, by names that timm knows: `timm.create_model('tome_vit_base_patch16_224', merge_tokens=8)`."""
from typing import Any

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, get_pretrained_cfg, register_model
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .merging import Merged, check_merge_tokens, merged_per_block
from .merging_vit import check_mergeable, run_merging


class ToMeVisionTransformer(VisionTransformer):
    """timm's ViT whose blocks merge tokens: Bolya et al., "Token Merging: Your ViT But Faster", ICLR 2023.

    Weights and their names are the ViT's: a trained one can be merged without training. Class and register tokens are
    not merged.

    Args:
        args: As timm's `VisionTransformer`.
        merge_tokens: Patch tokens r that each block merges away, a number, or a float up to 0.5, their share of the
            image's. 0 is the plain ViT, bit for bit.
        kwargs: As timm's `VisionTransformer`.

    Raises:
        ValueError: `merge_tokens` leaves fewer than two tokens; or the blocks are no plain ones.
    """

    def __init__(self, *args: Any, merge_tokens: int | float = 0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        check_merge_tokens(merge_tokens, self.patch_embed.num_patches, len(self.blocks))
        if merge_tokens:
            for block in self.blocks:
                check_mergeable(block)
        self.merge_tokens = merge_tokens

    def forward_features(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Returns tokens (B, prefix + N, C) after the final norm, merged ones back in all their places.

        Their mean over the patches is that of the merged ones, weighed by their sizes.

        Args:
            x: Images (B, in_chans, H, W).
            args: Of timm's `forward_features`, such as an attention mask; only without merging.
            kwargs: Likewise.
        """
        if not self.merge_tokens:
            return super().forward_features(x, *args, **kwargs)
        if any(value is not None and value is not False for value in (*args, *kwargs.values())):
            raise ValueError('tokens that merge take no attention mask; set merge_tokens=0')
        merged = Merged(self.norm_pre(self.patch_drop(self._pos_embed(self.patch_embed(x)))))
        count = merged_per_block(self.merge_tokens, merged.tokens.shape[1] - self.num_prefix_tokens)
        recompute = self.grad_checkpointing and torch.is_grad_enabled()
        for block in self.blocks:
            given = block, merged, count, self.num_prefix_tokens
            merged = checkpoint(run_merging, *given, use_reentrant=False) if recompute else run_merging(*given)
        return merged.holding(self.norm(merged.tokens)).unmerged()

    def forward_intermediates(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Returns maps of blocks, as timm's; only without merging.

        Raises:
            ValueError: Tokens merge, which timm's loop over the blocks would not do.
        """
        if self.merge_tokens:
            raise ValueError('maps of blocks whose tokens merge are those of the backbone mmseg_vittm.ToMe; take it, '
                             'or set merge_tokens=0')
        return super().forward_intermediates(x, *args, **kwargs)


def _create(variant: str, pretrained: bool, arguments: dict[str, Any], changes: dict[str, Any]) -> nn.Module:
    return build_model_with_cfg(ToMeVisionTransformer, variant, pretrained, pretrained_filter_fn=checkpoint_filter_fn,
                                feature_cfg=dict(out_indices=changes.pop('out_indices', 3), feature_cls='getter'),
                                **arguments | changes)


_PLAIN = ('vit_tiny_patch16_224', 'vit_small_patch16_224', 'vit_base_patch16_224')
default_cfgs = generate_default_cfgs({f'tome_{name}': get_pretrained_cfg(name) for name in _PLAIN})


@register_model
def tome_vit_tiny_patch16_224(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Returns ViT-Ti/16 with token merging."""
    return _create('tome_vit_tiny_patch16_224', pretrained, dict(embed_dim=192, depth=12, num_heads=3), kwargs)


@register_model
def tome_vit_small_patch16_224(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Returns ViT-S/16 with token merging."""
    return _create('tome_vit_small_patch16_224', pretrained, dict(embed_dim=384, depth=12, num_heads=6), kwargs)


@register_model
def tome_vit_base_patch16_224(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Returns ViT-B/16 with token merging."""
    return _create('tome_vit_base_patch16_224', pretrained, dict(embed_dim=768, depth=12, num_heads=12), kwargs)
