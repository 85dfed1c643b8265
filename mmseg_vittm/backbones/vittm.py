"""ViTTM: the MMSegmentation backbone around the encoder."""
from collections.abc import Sequence

from torch import Tensor, nn

from ..stack import MODELS
from ..vittm import ViTTMEncoder, resolve_arch
from ..vittm.archs import check_choice
from ..vittm.streams import Grid, concat_maps, tokens_to_map
from ..weights.families import AUTHORS, OUR_VITTM, TIMM_VITTM, VITTM_CLASSIFIER, WHOLE_MODEL
from ..weights.pretrained import LoadReport, load_pretrained
from ..weights.warm_start.fit import warm_start_encoder
from ..weights.warm_start.pending import Pending
from ..weights.warm_start.source import ViTWeights
from ..weights.warm_start.teacher import Teacher
from .base import PretrainedBackbone, resolve_indices

OUT_TOKENS = ('process', 'memory', 'concat')


@MODELS.register_module()
class ViTTM(PretrainedBackbone):
    """The Vision Token Turing Machine as a backbone.

    Blocks that no output needs are not built, nor is the write after the last one where only process tokens
    come out.

    Args:
        arch: `'tiny' | 'small' | 'base' | 'large'`, or a dict of `embed_dims, num_layers, num_heads, mlp_ratio`.
        img_size: Input in pixels, an int or (height, width), for which position embeddings are learned; at
            other sizes they are resampled.
        in_channels: Channels of the image.
        process_patch_size: Side of a process patch in pixels, an int or (height, width).
        memory_patch_size: Side of a memory patch in pixels, likewise.
        process_init: `'patch' | 'downsample' | 'latent'`.
        num_process_tokens: Process tokens at `img_size`, for downsample and latent; None: as many as
            `process_patch_size` gives. Latent tokens are laid out on the grid nearest to the image's shape.
        read_write_head: `'linear' | 'cross' | 'latent' | 'token_summary'`, of which the last fixes the input size, or
            `'cell'`, not the paper's, where process patches hold several memory patches: see `vittm.cells`.
        latent_dims: Width of queries and keys of the linear, latent and cell heads; None is a quarter of the width.
        fusion: `'add' | 'erase' | 'add_erase'`; the last fixes the input size.
        memory_mlp_ratio: Hidden size over width of an MLP on the memory stream; None for no MLP.
        out_indices: Blocks after which maps are taken, ascending; negative ones count from the end.
        out_tokens: Streams in the maps: `'process'`, `'memory'` or `'concat'`, both, process first.
        drop_path_rate: Stochastic depth of the last block; earlier ones have linearly less.
        with_cp: Recompute blocks in the backward pass: less memory, more time.
        frozen_layers: -1 for none, n for the embeddings and the first n blocks.
        layer_scale: Initial value of LayerScale on the encoder's branches, True for 1e-5; None for none. This and
            the next four are for warm starts from ViTs that have them.
        qk_norm: A LayerNorm on the encoder's queries and keys.
        activation: Of the encoder's MLP: `'gelu' | 'quick_gelu'`.
        mlp: The encoder's: `'mlp' | 'swiglu' | 'swiglu_norm'`.
        rope: Rotary position embedding in the process tokens' self-attention: `'dinov3' | 'eva02' | 'rope_vit'`, or
            a dict, see `vittm.vit_block.resolve_rope`; None for none.
        merge_tokens: Process tokens that each block merges into others by their likeness (ToMe): a number, or a float
            up to 0.5, their share of those at the beginning. Maps have them back in their places. 0 merges none. Heads
            `'linear' | 'cross' | 'latent'` and fusions `'add' | 'erase'` can have it, weights are the same.
        init_cfg: `dict(type='Pretrained', checkpoint=PATH)` loads, strictly, the authors' files, our own
            backbone weights or an MMSegmentation checkpoint with this backbone, `.pth` or `.safetensors`;
            `dict(type='WarmStart', checkpoint=FILE or timm's name)` begins from a ViT, see `WarmStart`.

    Raises:
        ValueError: An argument is out of range, or contradicts another; the message says which.
    """

    def __init__(self, *,
                 arch: str | dict = 'base',
                 img_size: int | tuple[int, int] = 224,
                 in_channels: int = 3,
                 process_patch_size: int | tuple[int, int] = 28,
                 memory_patch_size: int | tuple[int, int] = 28,
                 process_init: str = 'patch',
                 num_process_tokens: int | None = None,
                 read_write_head: str = 'linear',
                 latent_dims: int | None = None,
                 fusion: str = 'add',
                 memory_mlp_ratio: float | None = None,
                 out_indices: int | Sequence[int] = (-1, ),
                 out_tokens: str = 'concat',
                 drop_path_rate: float = 0.0,
                 with_cp: bool = False,
                 frozen_layers: int = -1,
                 layer_scale: float | bool | None = None,
                 qk_norm: bool = False,
                 activation: str = 'gelu',
                 mlp: str = 'mlp',
                 rope: str | dict | None = None,
                 merge_tokens: int | float = 0,
                 init_cfg: dict | list | None = None):
        super().__init__(frozen_layers, init_cfg)
        check_choice('out_tokens', out_tokens, OUT_TOKENS)
        arch = resolve_arch(arch)
        self.arch_width, self.arch_layers = arch['embed_dims'], arch['num_layers']
        self.out_indices = resolve_indices(out_indices, self.arch_layers)
        self.out_tokens = out_tokens
        arch['num_layers'] = self.out_indices[-1] + 1
        self.encoder = ViTTMEncoder(
            arch, img_size, in_channels, process_patch_size, memory_patch_size, process_init, num_process_tokens,
            read_write_head, latent_dims, fusion, memory_mlp_ratio, drop_path_rate, with_cp,
            write_last=out_tokens != 'process', layer_scale=layer_scale, qk_norm=qk_norm, activation=activation,
            mlp=mlp, rope=rope, merge_tokens=merge_tokens)
        self._freeze()

    def embeddings(self) -> list[nn.Module]:
        """Returns the two streams' embeddings."""
        return [self.encoder.process_stream, self.encoder.memory_stream]

    def blocks(self) -> nn.ModuleList:
        """Returns the ViTTM blocks."""
        return self.encoder.blocks

    def load_pretrained(self, path: str) -> LoadReport:
        """Loads a checkpoint strictly: the authors', our own backbone weights or a whole model's; see there."""
        built = len(self.encoder.blocks)
        unbuilt = [f'encoder.blocks.{i}.' for i in range(built, self.arch_layers)]
        if self.out_tokens == 'process':
            unbuilt += [f'encoder.blocks.{built - 1}.{part}.' for part in ('write_head', 'memory_mlp')]
            unbuilt += ['encoder.write_fusion.'] * (built == 1)
        return load_pretrained(self, path, (WHOLE_MODEL, TIMM_VITTM, OUR_VITTM, VITTM_CLASSIFIER, AUTHORS), unbuilt)

    def take_vit(self, source: ViTWeights, report: LoadReport, calibration: str) -> Pending:
        """Takes a ViT's weights strictly; its norms are still to be calibrated."""
        encoder = self.encoder
        warm_start_encoder(encoder, source, report, self.arch_layers)
        prefix, _ = source.prefix_and_grid(source.grid_at(encoder.img_size), report.path)
        norm = source.norms.get('norm') if len(encoder.blocks) == self.arch_layers else None
        embeddings = [stream.proj for stream in (encoder.process_stream, encoder.memory_stream)
                      if hasattr(stream, 'proj')]
        return Pending(embeddings, source.images, source.rgb, calibration=calibration, outputs=self.out_indices,
                       teacher=Teacher(encoder, prefix, source.norms.get('norm_pre'), norm))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Returns one map per index of `out_indices`, before any final norm.

        Args:
            images: (B, in_channels, H, W).

        Returns:
            Maps (B, C, h, w): C is `embed_dims`, twice that for concat, whose coarser stream is upsampled
            (bilinear) to the finer grid. For ViTTM-B(64, 64) this is the authors' map of 1536 channels.
        """
        streams = self.encoder.intermediates(images, self.out_indices)
        grids = self.encoder.grids(*images.shape[2:])
        return tuple(self.map_of(tokens, grids) for tokens in streams)

    def streams(self, images: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Grid, ...]]:
        """Returns the maps of `forward` but for the last, and the tokens that `map_of` makes the last of.

        Args:
            images: (B, in_channels, H, W).

        Returns:
            The other maps; the streams that the last has in it, process (B, Np, C) and memory (B, Nm, C), of which
            `out_tokens='process'` has no memory; and the (H, W) of each.
        """
        *others, last = self.encoder.intermediates(images, self.out_indices)
        grids = self.encoder.grids(*images.shape[2:])
        seen = slice(0, 1) if self.out_tokens == 'process' else slice(0, 2)
        return tuple(self.map_of(tokens, grids) for tokens in others), last[seen], grids[seen]

    def map_of(self, tokens: Sequence[Tensor], grids: Sequence[Grid]) -> Tensor:
        """Returns the map (B, C, h, w) that `out_tokens` says, of streams (B, N, C) and their (H, W)."""
        if self.out_tokens == 'process':
            return tokens_to_map(tokens[0], grids[0]).contiguous()
        if self.out_tokens == 'memory':
            return tokens_to_map(tokens[1], grids[1]).contiguous()
        return concat_maps(tokens_to_map(tokens[0], grids[0]), tokens_to_map(tokens[1], grids[1]))
