"""ALGM: a ViT that merges alike tokens in small windows first, anywhere later (Norouzi et al., CVPR 2024)."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

from ..stack import MODELS
from ..vittm.merging import Merged, merge, merge_pairs, pair_up
from .merging import MergingViT

ADAPTIVE = 'adaptive'


@MODELS.register_module()
class ALGM(MergingViT):
    """Adaptive local-then-global merging on a plain ViT, for segmentation.

    Norouzi et al., "ALGM: Adaptive Local-then-Global Token Merging for Efficient Semantic Segmentation with Plain
    Vision Transformers", CVPR 2024. In an early block the tokens of a window become one where they are alike (the mean
    cosine similarity of their pairs is above a threshold); in a block about the middle so do pairs of bipartite
    matching anywhere in the image. Means are weighed by sizes, and attention is proportional to them, as in ToMe.
    How many tokens an image keeps depends on it. In a batch, those of fewer are filled up with tokens of size 0, to
    which nothing attends: an image's map does not depend on the images beside it.

    Open in the paper, or told there in words alone, and decided here: similarities are of the tokens themselves, after
    the attention of the block; windows cut off by an image's right and bottom edge are left alone; an adaptive
    threshold is the mean of the similarities that the block met in training, plus `deviations` of their standard
    deviations (running averages, kept in the checkpoint; before any training, those of the image itself).

    Args:
        local_threshold: Mean cosine similarity above which the tokens of a window become one: a number up to 1, at
            which nothing is merged, or `'adaptive'`.
        global_threshold: The same for pairs anywhere in the image.
        window: Side of a window in tokens.
        local_layer: Block of the local merging, from 0; negative ones count from the end.
        global_layer: Block of the global merging, after the local one's; None is the fifth of twelve, and of others
            the block at the same share of the depth.
        deviations: Standard deviations above the mean, of adaptive thresholds; more of them merge less.
        model_name: As `ViTBackbone`'s, like all that follow; the blocks must be plain ones.
        img_size: Input in pixels for which position embeddings are learned; its grid must be whole windows.
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
        ValueError: The grid of `img_size` is no whole number of windows; or an argument is wrong.
    """
    def __init__(self, *,
                 local_threshold: float | str = ADAPTIVE,
                 global_threshold: float | str = ADAPTIVE,
                 window: int = 2,
                 local_layer: int = 0,
                 global_layer: int | None = None,
                 deviations: float = 0.0,
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
        for name, value in (('local_threshold', local_threshold), ('global_threshold', global_threshold)):
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and -1 <= value <= 1
            if not number and value != ADAPTIVE:
                raise ValueError(f'{name} must be a cosine similarity from -1 to 1, or {ADAPTIVE!r}, got {value!r}')
        if not isinstance(deviations, (int, float)) or not abs(deviations) < float('inf'):
            raise ValueError(f'deviations must be a number, got {deviations!r}')
        grid = self.vit.patch_embed.grid_size
        if type(window) is not int or window < 2 or any(side % window for side in grid):
            raise ValueError(f'window must be a whole number from 2 that divides the grid of img_size, got '
                             f'{window!r} for a grid of {grid[0]} x {grid[1]} patches; give another window or img_size')
        if self.arch_layers < 2:
            raise ValueError(f'ALGM merges in two blocks, an early and a later one; num_layers={self.arch_layers} has '
                             'no two')
        default = ' (its default)' * (global_layer is None)
        if global_layer is None:
            global_layer = max(1, round(5 * self.arch_layers / 12) - 1)
        for name, layer in (('local_layer', local_layer), ('global_layer', global_layer)):
            if type(layer) is not int or not -self.arch_layers <= layer < self.arch_layers:
                raise ValueError(f'{name} must be a block from {-self.arch_layers} to {self.arch_layers - 1}, got '
                                 f'{layer!r}')
        self.local_layer, self.global_layer = local_layer % self.arch_layers, global_layer % self.arch_layers
        if self.local_layer >= self.global_layer:
            raise ValueError(f'local_layer must be before global_layer, got {local_layer} and {global_layer}{default}')
        if self.global_layer >= len(self.vit.blocks):
            raise ValueError(f'global_layer={global_layer}{default} is after block {len(self.vit.blocks) - 1}, the '
                             f'last that out_indices={out_indices!r} needs; give an earlier global_layer, or a later '
                             'output')
        self.window, self.deviations = window, deviations
        self.thresholds = {'local': local_threshold, 'global': global_threshold}
        self.statistics = nn.ModuleDict({
            stage: Statistics() for stage, value in self.thresholds.items() if value == ADAPTIVE})

    @property
    def varies_tokens(self) -> bool:
        """Whether how many tokens are left depends on the image: such a model cannot be compiled."""
        return self.merges()

    def merges(self) -> bool:
        """Whether tokens merge at all."""
        return any(value == ADAPTIVE or value < 1 for value in self.thresholds.values())

    def merge(self, index: int, merged: Merged, keys: Tensor, grid: tuple[int, int]) -> Merged:
        """Merges windows in one block, pairs anywhere in another; see `MergingViT`."""
        prefix = self.vit.num_prefix_tokens
        if index == self.local_layer and min(grid) >= self.window:
            similarity = window_similarity(merged.tokens[:, prefix:], grid, self.window)
            threshold = self._threshold('local', similarity)
            return merge(merged, window_parents(similarity > threshold, grid, self.window, prefix))
        if index == self.global_layer and merged.tokens.shape[1] >= prefix + 2:
            pairs = pair_up(merged, merged.tokens, prefix)
            return merge_pairs(merged, pairs, pairs.similarity > self._threshold('global', pairs.similarity))
        return merged

    def _threshold(self, stage: str, similarities: Tensor) -> Tensor | float:
        """Returns a stage's threshold for similarities (B, ...); in training an adaptive one learns from them first."""
        if stage not in self.statistics:
            return self.thresholds[stage]
        mean, deviation = self.statistics[stage](similarities)
        threshold = mean + self.deviations * deviation
        return threshold.view(-1, *(1, ) * (similarities.dim() - 1))


class Statistics(nn.Module):
    """Running mean and standard deviation of similarities, of training, in all its processes together.

    Weights of a model that has none leave it as it begins: with none seen.
    """
    LEAST_SHARE = 0.01  # of a batch in the running averages

    def __init__(self):
        super().__init__()
        self.register_buffer('moments', torch.zeros(2))  # means of 1 - similarity and of its square: precise near 1
        self.register_buffer('batches', torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def forward(self, similarities: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and standard deviation, (1) of training, or (B) of each image where none has been seen there.

        Args:
            similarities: (B, ...), of a batch; those that are not finite do not count.
        """
        distances, there = 1 - similarities.flatten(1), similarities.flatten(1).isfinite()
        sums = _sums(distances, there)
        if self.training:
            together = sums.sum(dim=0, keepdim=True)
            if distributed.is_available() and distributed.is_initialized():
                distributed.all_reduce(together)  # mmengine keeps buffers of processes apart
            some = together[0, 2] > 0
            self.batches += some
            share = some * (1 / self.batches.clamp(min=1)).clamp(min=self.LEAST_SHARE)
            self.moments.lerp_(_means(together)[0].to(self.moments), share.to(self.moments))
        moments = torch.where(self.batches > 0, self.moments.double(), _means(sums))  # (B, 2)
        deviation = (moments[:, 1] - moments[:, 0].square()).clamp(min=0).sqrt()
        return (1 - moments[:, 0]).float(), deviation.float()

    def _load_from_state_dict(self, state_dict, prefix, *others) -> None:
        own = {prefix + name: torch.zeros_like(one) for name, one in self.state_dict().items()}
        if not own.keys() & state_dict.keys():
            state_dict.update(own)
        super()._load_from_state_dict(state_dict, prefix, *others)


def _sums(distances: Tensor, there: Tensor) -> Tensor:
    """Returns (B, 3), float64: the sums of distances (B, n) and of their squares, and the number, of those there."""
    powers = torch.stack([distances, distances.square(), torch.ones_like(distances)], dim=1).double()
    return powers.where(there.unsqueeze(1), 0.0).sum(dim=2)


def _means(sums: Tensor) -> Tensor:
    """Returns the means (B, 2) of sums (B, 3); 0 of none."""
    return sums[:, :2] / sums[:, 2:].clamp(min=1)


@torch.no_grad()
def window_similarity(patches: Tensor, grid: tuple[int, int], window: int) -> Tensor:
    """Returns the mean cosine similarity (B, h, w), at most 1, of the pairs of tokens in each whole window.

    Args:
        patches: (B, H * W, C).
        grid: (H, W); what is left over at the right and bottom is in no window.
        window: Side of a window in tokens.
    """
    rows, columns = (side // window for side in grid)
    directions = F.normalize(patches.float(), dim=2).unflatten(1, grid)[:, :rows * window, :columns * window]
    sums = directions.unflatten(2, (columns, window)).unflatten(1, (rows, window)).sum(dim=(2, 4))
    count = window * window
    # Of unit vectors, the squared length of the sum is their number and the cosine of every pair, twice.
    return ((sums.square().sum(dim=3) - count) / (count * (count - 1))).clamp(max=1)


def window_parents(alike: Tensor, grid: tuple[int, int], window: int, prefix: int) -> Tensor:
    """Returns `parents` for `merging.merge` by which the windows of alike tokens become one each, at their first token.

    Args:
        alike: (B, h, w), which windows.
        grid: (H, W) of the tokens.
        window: Side of a window in tokens.
        prefix: Tokens before those of the grid.
    """
    own = torch.arange(grid[0] * grid[1], device=alike.device).view(grid)
    first = [torch.arange(side, device=alike.device) // window * window for side in grid]
    corner = first[0][:, None] * grid[1] + first[1]
    merged = alike.repeat_interleave(window, dim=1).repeat_interleave(window, dim=2)
    merged = F.pad(merged, (0, grid[1] - merged.shape[2], 0, grid[0] - merged.shape[1]))
    parents = torch.where(merged, corner, own).flatten(1) + prefix
    before = torch.arange(prefix, device=alike.device).expand(len(alike), -1)
    return torch.cat([before, parents], dim=1)
