"""The encoder of LookupViT: compressed and lookup tokens, and what passes between them (Koner et al., ECCV 2024)."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import Mlp
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..vittm.block import StreamNorm
from ..vittm.encoder import init_linear
from ..vittm.linear_attention import merge_heads, split_heads
from ..vittm.streams import Grid, PatchStream, resample_positions
from ..vittm.vit_block import ViTOptions, vit_block


class Exchange(nn.Module):
    """What passes between the two kinds of tokens: bidirectional cross-attention, and the lookup tokens' small MLP.

    One table of scores, of compressed tokens' queries and lookup tokens' keys, serves both ways: its softmax over the
    lookup tokens gathers, that over the compressed tokens gives back. No output projections.

    Args:
        embed_dims: Width C.
        num_heads: Attention heads.
        lookup_mlp_ratio: Hidden size over C of the lookup tokens' MLP.
        gives_back: Whether the lookup tokens get anything back.
    """

    def __init__(self, embed_dims: int, num_heads: int, lookup_mlp_ratio: float, gives_back: bool):
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(embed_dims, embed_dims)
        self.k = nn.Linear(embed_dims, embed_dims)
        self.v = nn.Linear(embed_dims, embed_dims)
        self.give_back = nn.Linear(embed_dims, embed_dims) if gives_back else None
        self.mlp = Mlp(embed_dims, hidden_features=int(embed_dims * lookup_mlp_ratio)) if gives_back else None

    def gather(self, compressed: Tensor, lookup: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the compressed tokens' update (B, M, C), and the scores (B, heads, M, N) of M and N tokens."""
        q, k, v = (split_heads(part, self.num_heads) for part in (self.q(compressed), self.k(lookup), self.v(lookup)))
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        return merge_heads(scores.softmax(dim=-1) @ v), scores

    def infuse(self, compressed: Tensor, scores: Tensor) -> Tensor:
        """Returns the lookup tokens' update (B, N, C) from compressed tokens (B, M, C), by the scores of `gather`."""
        v = split_heads(self.give_back(compressed), self.num_heads)
        return merge_heads(scores.transpose(-2, -1).softmax(dim=-1) @ v)


class LookupBlock(nn.Module):
    """One block: compressed tokens gather from the lookup tokens, are encoded, and give back.

    Args:
        embed_dims: Width C.
        num_heads: Attention heads.
        mlp_ratio: Hidden size over C of the compressed tokens' MLP.
        drop_path: Probability of skipping a residual branch per sample, drawn for each of the five branches.
        exchange: The block's own; None where all blocks share one.
        gives_back: Whether the lookup tokens get anything back.
    """

    def __init__(self, embed_dims: int, num_heads: int, mlp_ratio: float, drop_path: float, exchange: Exchange | None,
                 gives_back: bool):
        super().__init__()
        self.gather_norm = StreamNorm(embed_dims)
        self.lookup_norm = StreamNorm(embed_dims)
        self.exchange = exchange
        self.encoder = vit_block(embed_dims, num_heads, mlp_ratio, drop_path, StreamNorm, ViTOptions())
        self.infuse_norm = StreamNorm(embed_dims) if gives_back else None
        self.mlp_norm = StreamNorm(embed_dims) if gives_back else None

    def forward(self, compressed: Tensor, lookup: Tensor, shared: Exchange | None = None) -> tuple[Tensor, Tensor]:
        """Returns compressed (B, M, C) and lookup (B, N, C) tokens, the latter as they came where none are given back.

        Args:
            compressed: (B, M, C).
            lookup: (B, N, C).
            shared: The exchange that all blocks share, where the block has none of its own.
        """
        exchange, drop = self.exchange or shared, self.encoder.drop_path1
        update, scores = exchange.gather(self.gather_norm(compressed), self.lookup_norm(lookup))
        compressed = self.encoder(compressed + drop(update))
        if self.infuse_norm is not None:
            lookup = lookup + drop(exchange.infuse(self.infuse_norm(compressed), scores))
            lookup = lookup + drop(exchange.mlp(self.mlp_norm(lookup)))
        return compressed, lookup


class LookupEncoder(nn.Module):
    """Patches become lookup tokens, those, resampled, compressed tokens; both go through the blocks.

    Args:
        arch: A dict of `embed_dims, num_layers, num_heads, mlp_ratio`; `num_layers` blocks are built.
        depth: Blocks of the whole model, for stochastic depth.
        patch_size: (height, width) of a lookup token's patch in pixels.
        grid: The (H, W) of the position embeddings.
        compressed_grid: The (H, W) of the compressed tokens.
        in_channels: Channels of the image.
        lookup_mlp_ratio: Hidden size over width of the lookup tokens' MLP.
        share_exchange: Whether all blocks share one cross-attention and lookup MLP.
        gives_back_last: Whether the last block gives back to the lookup tokens.
        drop_path_rate: Stochastic depth of the last block of the whole model.
        with_cp: Recompute blocks in the backward pass.
    """

    def __init__(self, arch: dict, depth: int, patch_size: tuple[int, int], grid: Grid, compressed_grid: Grid,
                 in_channels: int, lookup_mlp_ratio: float, share_exchange: bool, gives_back_last: bool,
                 drop_path_rate: float, with_cp: bool):
        super().__init__()
        dims, heads, built = arch['embed_dims'], arch['num_heads'], arch['num_layers']
        self.patch_size, self.compressed_grid, self.with_cp = patch_size, compressed_grid, with_cp
        self.patches = PatchStream(patch_size, in_channels, dims, grid)
        gives_back = [gives_back_last or index < built - 1 for index in range(built)]
        exchanges = [Exchange(dims, heads, lookup_mlp_ratio, gives)
                     for gives in ([any(gives_back)] if share_exchange else gives_back)]
        self.exchange = exchanges[0] if share_exchange else None
        self.blocks = nn.ModuleList(
            LookupBlock(dims, heads, arch['mlp_ratio'], drop_path_rate * index / max(depth - 1, 1),
                        None if share_exchange else exchanges[index], gives_back[index]) for index in range(built))
        self.apply(init_linear)

    def grid(self, height: int, width: int) -> Grid:
        """Returns the (H, W) of the lookup tokens of an input in pixels, padded to whole patches."""
        return -(-height // self.patch_size[0]), -(-width // self.patch_size[1])

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the first compressed (B, M, C) and lookup (B, N, C) tokens of images (B, in_channels, H, W)."""
        height, width = images.shape[2:]
        grid = self.grid(height, width)
        bottom, right = (side * patch - given for side, patch, given in zip(
            grid, self.patch_size, (height, width), strict=True))
        if bottom or right:
            images = F.pad(images, (0, right, 0, bottom))
        lookup = self.patches(images)
        return resample_positions(lookup.unflatten(1, grid), self.compressed_grid, 'bilinear').flatten(1, 2), lookup

    def intermediates(self, images: Tensor, indices: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """Returns compressed (B, M, C) and lookup (B, N, C) tokens after each block of `indices`, ascending."""
        compressed, lookup = self.embed(images)
        outputs = []
        for index, block in enumerate(self.blocks[:max(indices) + 1]):
            if self.with_cp and self.training and torch.is_grad_enabled():
                compressed, lookup = checkpoint(block, compressed, lookup, self.exchange, use_reentrant=False)
            else:
                compressed, lookup = block(compressed, lookup, self.exchange)
            if index in indices:
                outputs.append((compressed, lookup))
        return outputs
