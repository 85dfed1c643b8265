"""MergingViT: a ViT whose tokens merge on their way, and whose maps have them back in their places."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..vittm.merging import Merged
from ..vittm.merging_vit import attend, check_mergeable, transform
from .vit import ViTBackbone


class MergingViT(ViTBackbone):
    """What backbones that merge tokens share: a subclass says in `merge` which block merges what.

    Between a block's attention and its MLP tokens merge; attention takes a token of size s for s equal ones. Class and
    register tokens stay as they are. In maps every patch has the value of the token that it went into.

    Args:
        vit_options: The arguments of `ViTBackbone`.

    Raises:
        ValueError: The ViT's blocks are no plain ones, or as `ViTBackbone`.
    """

    def __init__(self, vit_options: dict):
        super().__init__(**vit_options)
        for block in self.vit.blocks:
            check_mergeable(block)

    @property
    def num_patches(self) -> int:
        """Patch tokens at `img_size`."""
        return self.vit.patch_embed.num_patches

    def merges(self) -> bool:
        """Whether tokens merge at all; where they do not, this is the plain ViT, bit for bit."""
        raise NotImplementedError

    def merge(self, index: int, merged: Merged, keys: Tensor, grid: tuple[int, int]) -> Merged:
        """Merges tokens in the middle of a block.

        Args:
            index: The block, from 0.
            merged: Tokens after the block's attention; prefix tokens first.
            keys: (B, M, c), the mean of the attention's keys over its heads.
            grid: (H, W) of the patches.
        """
        raise NotImplementedError

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Returns one map (B, C, h, w) of patch tokens per index of `out_indices`, of images (B, 3, H, W)."""
        if not self.merges():
            return super().forward(images)
        grid = self.vit.patch_embed.dynamic_feat_size(images.shape[2:])
        maps = []
        for tokens in self.intermediates(images, self.out_indices):
            tokens = tokens.unmerged()[:, self.vit.num_prefix_tokens:]
            maps.append(tokens.transpose(1, 2).unflatten(2, grid).contiguous())
        return tuple(maps)

    def intermediates(self, images: Tensor, indices: Sequence[int]) -> list[Merged]:
        """Returns the tokens after each block of `indices`, prefix tokens first; the last block's after the norm."""
        vit, outputs = self.vit, []
        grid = vit.patch_embed.dynamic_feat_size(images.shape[2:])
        merged = Merged(vit.norm_pre(vit.patch_drop(vit._pos_embed(vit.patch_embed(images)))))
        for index, block in enumerate(vit.blocks):
            merged, keys = self._run(attend, block, merged)
            merged = self._run(transform, block, self.merge(index, merged, keys, grid))
            if index in indices:
                last = self.final_norm and index == len(vit.blocks) - 1
                outputs.append(merged.holding(vit.norm(merged.tokens)) if last else merged)
        return outputs

    def _run(self, branch, block: nn.Module, merged: Merged):
        """Runs a branch of a block; it is recomputed in the backward pass where `with_cp` says so."""
        if self.vit.grad_checkpointing and self.training and torch.is_grad_enabled():
            return checkpoint(branch, block, merged, use_reentrant=False)
        return branch(block, merged)
