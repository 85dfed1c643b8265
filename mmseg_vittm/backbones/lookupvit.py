"""LookupViT: few compressed tokens that are encoded, many lookup tokens that they look up (Koner et al., ECCV 2024)."""
from collections.abc import Sequence

from torch import Tensor, nn

from ..errors import InputError
from ..stack import MODELS
from ..vittm import resolve_arch
from ..vittm.archs import check_choice
from ..vittm.block import StreamNorm
from ..vittm.streams import concat_maps, to_pair, tokens_to_map
from ..weights.families import OUR_LOOKUPVIT, WHOLE_MODEL
from ..weights.pretrained import load_pretrained
from ..weights.report import LoadReport
from ..weights.warm_start.pending import Pending
from ..weights.warm_start.source import ViTWeights
from .base import ONLY_VITS, PretrainedBackbone, resolve_indices
from .lookup_encoder import LookupEncoder

OUT_TOKENS = ('lookup', 'compressed', 'concat')


@MODELS.register_module()
class LookupViT(PretrainedBackbone):
    """LookupViT as a backbone: a few compressed tokens go through ViT blocks, the lookup tokens of all patches do not.

    Koner et al., "LookupViT: Compressing visual information to a limited number of tokens", ECCV 2024, of which no
    code is published. What it leaves open, and what is decided here: docs/rivals.md.

    Args:
        arch: `'tiny' | 'small' | 'base' | 'large'`, or a dict of `embed_dims, num_layers, num_heads, mlp_ratio`.
        img_size: Input in pixels, an int or (height, width), for which position embeddings are learned; at other sizes
            they are resampled.
        patch_size: Side of a lookup token's patch in pixels, an int or (height, width).
        compressed_grid: Compressed tokens, as a (H, W) grid or its side; as many whatever the image's size.
        in_channels: Channels of the image.
        lookup_mlp_ratio: Hidden size over width of the lookup tokens' MLP.
        share_exchange: Whether all blocks share one cross-attention and lookup MLP, by which the ViTTM paper's count
            of 90 M parameters comes out; else each block has its own.
        out_indices: Blocks after which maps are taken, ascending; negative ones count from the end. That of the last
            block of the model is taken after a final norm.
        out_tokens: What maps are made of: `'lookup' | 'compressed' | 'concat'`, both, lookup first.
        drop_path_rate: Stochastic depth of the last block; earlier ones have linearly less.
        with_cp: Recompute blocks in the backward pass: less memory, more time.
        frozen_layers: -1 for none, n for the embeddings and the first n blocks.
        init_cfg: `dict(type='Pretrained', checkpoint=PATH)` loads, strictly, our own backbone weights
            or an MMSegmentation checkpoint with this backbone.

    Raises:
        ValueError: An argument is out of range, or contradicts another; the message says which.
    """

    def __init__(self, *,
                 arch: str | dict = 'base',
                 img_size: int | tuple[int, int] = 224,
                 patch_size: int | tuple[int, int] = 16,
                 compressed_grid: int | tuple[int, int] = 7,
                 in_channels: int = 3,
                 lookup_mlp_ratio: float = 0.5,
                 share_exchange: bool = False,
                 out_indices: int | Sequence[int] = (-1, ),
                 out_tokens: str = 'lookup',
                 drop_path_rate: float = 0.0,
                 with_cp: bool = False,
                 frozen_layers: int = -1,
                 init_cfg: dict | list | None = None):
        super().__init__(frozen_layers, init_cfg)
        check_choice('out_tokens', out_tokens, OUT_TOKENS)
        arch = resolve_arch(arch)
        dims, layers = arch['embed_dims'], arch['num_layers']
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f'drop_path_rate must be in [0, 1), got {drop_path_rate}')
        number = isinstance(lookup_mlp_ratio, (int, float)) and not isinstance(lookup_mlp_ratio, bool)
        if not number or int(dims * lookup_mlp_ratio) < 1:
            raise ValueError('lookup_mlp_ratio must be a number by which the hidden size is at least 1 at width '
                             f'{dims}, got {lookup_mlp_ratio!r}')
        size, patch = to_pair(img_size, 'img_size'), to_pair(patch_size, 'patch_size')
        few, grid = to_pair(compressed_grid, 'compressed_grid'), (-(-size[0] // patch[0]), -(-size[1] // patch[1]))
        if few[0] > grid[0] or few[1] > grid[1]:
            raise ValueError(f'compressed_grid {few[0]} x {few[1]} is finer than the grid of {grid[0]} x {grid[1]} '
                             f'patches of {patch[0]} x {patch[1]} pixels at img_size {size}; give a smaller one, or '
                             'smaller patches')
        self.arch_width, self.arch_layers = dims, layers
        self.out_indices, self.out_tokens = resolve_indices(out_indices, layers), out_tokens
        built = self.out_indices[-1] + 1
        self.final_norm = built == layers
        self.encoder = LookupEncoder(
            arch | dict(num_layers=built), layers, patch, grid, few, in_channels, lookup_mlp_ratio, share_exchange,
            out_tokens != 'compressed', drop_path_rate, with_cp)
        streams = dict(lookup=('lookup', ), compressed=('compressed', ), concat=('lookup', 'compressed'))[out_tokens]
        self.norms = nn.ModuleDict({stream: StreamNorm(dims) if self.final_norm else nn.Identity()
                                    for stream in streams})
        self._freeze()

    def embeddings(self) -> list[nn.Module]:
        """Returns the patch embedding."""
        return [self.encoder.patches]

    def blocks(self) -> nn.ModuleList:
        """Returns the blocks; an exchange that all of them share is frozen with all of them alone."""
        return self.encoder.blocks

    def load_pretrained(self, path: str) -> LoadReport:
        """Loads a checkpoint strictly: our own backbone weights or a whole model's."""
        built = len(self.encoder.blocks)
        unbuilt = [f'encoder.blocks.{i}.' for i in range(built, self.arch_layers)]
        if self.out_tokens == 'compressed':
            unbuilt += [f'encoder.blocks.{built - 1}.{part}.' for part in (
                'infuse_norm', 'mlp_norm', 'exchange.give_back', 'exchange.mlp')]
            unbuilt += ['encoder.exchange.give_back.', 'encoder.exchange.mlp.'] * (built == 1)  # where it is shared
        unbuilt += [f'norms.{stream}.' for stream in ('lookup', 'compressed')]
        return load_pretrained(self, path, (WHOLE_MODEL, OUR_LOOKUPVIT), unbuilt)

    def take_vit(self, source: ViTWeights, report: LoadReport, calibration: str) -> Pending:
        """Refuses: half of LookupViT's weights have no like in a ViT.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{ONLY_VITS}; a LookupViT begins at random, or from a LookupViT's own weights by init_cfg "
                         "type='Pretrained'")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Returns one map per index of `out_indices`.

        Args:
            images: (B, in_channels, H, W), padded with zeros right and bottom to whole patches.

        Returns:
            Maps (B, C, h, w); for concat (B, 2 C, h, w), the compressed tokens upsampled (bilinear) to the lookup grid.
        """
        grids = dict(lookup=self.encoder.grid(*images.shape[2:]), compressed=self.encoder.compressed_grid)
        maps = []
        for index, (compressed, lookup) in zip(self.out_indices, self.encoder.intermediates(images, self.out_indices),
                                               strict=True):
            tokens, streams = dict(lookup=lookup, compressed=compressed), []
            for name, norm in self.norms.items():
                normed = norm(tokens[name]) if index == self.arch_layers - 1 else tokens[name]
                streams.append(tokens_to_map(normed, grids[name]).contiguous())
            maps.append(concat_maps(*streams) if len(streams) == 2 else streams[0])
        return tuple(maps)
