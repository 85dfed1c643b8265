"""ToMe: a ViT of which each block merges a few pairs of tokens (Bolya et al., ICLR 2023)."""
from collections.abc import Sequence

from torch import Tensor

from ..stack import MODELS
from ..vittm.merging import Merged, check_merge_tokens, merge_likest, merged_per_block
from .merging import MergingViT


@MODELS.register_module()
class ToMe(MergingViT):
    """Token merging on a plain ViT: every block merges its likest pairs of tokens, and maps put them back.

    Bolya et al., "Token Merging: Your ViT But Faster", ICLR 2023. Patches are taken in turns into two sets; each of
    the one is paired with the likest of the other, by the cosine of the attention's keys, their mean over the heads;
    the likest pairs become their mean, weighed by how many patches each stands for. Attention takes a token for as many
    (proportional attention). Weights are those of `ViTBackbone`: a trained ViT can be merged without training.

    Args:
        merge_tokens: Pairs r that every block merges, the same for each image: an int, whatever the image's size, or a
            float up to 0.5, their share of the input's patches. No block merges more than half of its tokens. 0 is the
            plain ViT, bit for bit.
        model_name: As `ViTBackbone`'s, like all that follow; the blocks must be plain ones.
        img_size: Input in pixels for which position embeddings are learned.
        patch_size: Side of a patch in pixels, in place of the model's own.
        num_layers: Number of blocks, in place of the model's own.
        in_channels: Channels of the image.
        out_indices: Blocks after which maps are taken.
        drop_path_rate: Stochastic depth of the last block.
        with_cp: Recompute blocks in the backward pass.
        frozen_layers: -1 for none, n for the embeddings and the first n blocks.
        pretrained: Download timm's ImageNet weights.
        init_cfg: As `ViTBackbone`'s.

    Raises:
        ValueError: `merge_tokens` leaves fewer than two tokens of an image of `img_size`; or an argument is wrong.
    """

    def __init__(self, *,
                 merge_tokens: int | float = 8,
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
        super().__init__(dict(
            model_name=model_name, img_size=img_size, patch_size=patch_size, num_layers=num_layers,
            in_channels=in_channels, out_indices=out_indices, drop_path_rate=drop_path_rate, with_cp=with_cp,
            frozen_layers=frozen_layers, pretrained=pretrained, init_cfg=init_cfg))
        check_merge_tokens(merge_tokens, self.num_patches, len(self.vit.blocks))
        self.merge_tokens = merge_tokens

    def merges(self) -> bool:
        """Whether tokens merge at all."""
        return self.merge_tokens > 0

    def merge(self, index: int, merged: Merged, keys: Tensor, grid: tuple[int, int]) -> Merged:
        """Merges the likest pairs; see `MergingViT`."""
        count = merged_per_block(self.merge_tokens, grid[0] * grid[1])
        return merge_likest(merged, keys, count, self.vit.num_prefix_tokens)
