"""ViTTMEncoder: two token streams through N blocks (paper, section 3)."""
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import trunc_normal_
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .archs import check_choice, resolve_arch
from .block import ViTTMBlock
from .cells import CELL, by_cell, by_row, check_cells
from .fusion import FUSIONS
from .heads import HEADS
from .merging import Merged, check_merge_tokens, merged_per_block
from .merging_vit import check_mergeable
from .streams import DownsampleStream, Grid, LatentStream, PatchStream, nearest_grid, to_pair
from .vit_block import ViTOptions, rotary_embedding

PROCESS_INITS = ('patch', 'downsample', 'latent')


class ViTTMEncoder(nn.Module):
    """The Vision Token Turing Machine: process tokens are encoded, memory tokens are read and written.

    Args:
        arch: A preset, `'tiny' | 'small' | 'base' | 'large'`, or a dict of `embed_dims, num_layers, num_heads,
            mlp_ratio`.
        img_size: Input in pixels, an int or (height, width), for which position embeddings are learned (and
            token counts fixed, where a choice fixes them).
        in_channels: Channels of the image.
        process_patch_size: Side of a process patch in pixels, an int or (height, width).
        memory_patch_size: Side of a memory patch in pixels, likewise.
        process_init: Where process tokens come from: `'patch'`, an own patch embedding; `'downsample'`, the
            average-pooled memory tokens; `'latent'`, learned tokens.
        num_process_tokens: Process tokens at `img_size`, for downsample and latent. None: as many as
            `process_patch_size` gives.
        read_write_head: `'linear' | 'cross' | 'latent' | 'token_summary'`, the paper's, or `'cell'`, see `cells`: for
            patches of the process that are several of the memory's.
        latent_dims: Width c of queries and keys in linear, latent and cell heads; None is `embed_dims // 4`.
        fusion: `'add' | 'erase' | 'add_erase'`.
        memory_mlp_ratio: Hidden size over width of an MLP on the memory stream; None for no MLP.
        drop_path_rate: Stochastic depth: rises linearly from 0 in the first block to this in the last.
        with_cp: Recompute each block in the backward pass instead of storing it: less memory, more time.
        write_last: False leaves out the last block's write, for use without the memory tokens that come out.
        layer_scale: Initial value of LayerScale on the encoder's branches, True for 1e-5; None for none.
        qk_norm: A LayerNorm on the encoder's queries and keys.
        activation: Of the encoder's MLP: `'gelu' | 'quick_gelu'`.
        mlp: The encoder's: `'mlp' | 'swiglu' | 'swiglu_norm'`.
        rope: Rotary position embedding in the process tokens' self-attention: `'dinov3' | 'eva02' | 'rope_vit'`, or
            a dict, see `vit_block.resolve_rope`; None for none.
        merge_tokens: Process tokens that each block merges into others by their likeness (ToMe), a number, or a share
            of those at the beginning, a float up to 0.5. They are put back in what comes out. 0 merges none.

    Raises:
        ValueError: An argument is out of range, or contradicts another; the message says which.
    """

    def __init__(self,
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
                 drop_path_rate: float = 0.0,
                 with_cp: bool = False,
                 write_last: bool = True,
                 layer_scale: float | bool | None = None,
                 qk_norm: bool = False,
                 activation: str = 'gelu',
                 mlp: str = 'mlp',
                 rope: str | dict | None = None,
                 merge_tokens: int | float = 0):
        super().__init__()
        arch = resolve_arch(arch)
        self.options = ViTOptions(layer_scale, qk_norm, activation, mlp, rope)
        check_choice('process_init', process_init, PROCESS_INITS)
        check_choice('read_write_head', read_write_head, (*HEADS, CELL))
        check_choice('fusion', fusion, tuple(FUSIONS))
        self.embed_dims, self.num_layers, num_heads = arch['embed_dims'], arch['num_layers'], arch['num_heads']
        self.rope = None if rope is None else rotary_embedding(rope, self.embed_dims // num_heads)
        latent_dims = self.embed_dims // 4 if latent_dims is None else latent_dims
        if read_write_head in ('linear', 'latent', CELL) and (latent_dims < 1 or latent_dims % num_heads):
            raise ValueError(f'latent_dims must be a positive multiple of num_heads = {num_heads}, got {latent_dims}')
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f'drop_path_rate must be in [0, 1), got {drop_path_rate}')
        if memory_mlp_ratio is not None and int(self.embed_dims * memory_mlp_ratio) < 1:
            raise ValueError(f'memory_mlp_ratio must be positive, or None for no MLP, got {memory_mlp_ratio}')

        self.img_size = to_pair(img_size, 'img_size')
        self.process_patch_size = to_pair(process_patch_size, 'process_patch_size')
        self.memory_patch_size = to_pair(memory_patch_size, 'memory_patch_size')
        self.process_init = process_init
        self.in_cells = read_write_head == CELL
        if self.in_cells:
            check_cells(process_init, self.process_patch_size, self.memory_patch_size, fusion)
        self.with_cp = with_cp
        self._base_memory_grid, self._base_process_grid = self._init_grids(num_process_tokens)
        num_tokens = math.prod(self._base_process_grid), math.prod(self._base_memory_grid)
        fixed = [f'read_write_head={read_write_head!r}'] * (not self.in_cells and HEADS[read_write_head].fixes_targets)
        fixed += [f'fusion={fusion!r}'] * FUSIONS[fusion].fixes_targets
        self._fixes_tokens = ' and '.join(fixed)
        against = [*fixed, *["read_write_head='cell'"] * self.in_cells, *[f'rope={rope!r}'] * (rope is not None)]
        if merge_tokens and against:
            raise ValueError(f'merge_tokens={merge_tokens} changes how many process tokens there are and where, which '
                             f"{' and '.join(against)} cannot have; take read_write_head 'linear', 'cross' or "
                             "'latent', fusion 'add' or 'erase', no rope, or merge_tokens=0")
        check_merge_tokens(merge_tokens, num_tokens[0], self.num_layers)
        self.merge_tokens = merge_tokens

        dims = self.embed_dims
        self.memory_stream = PatchStream(self.memory_patch_size, in_channels, dims, self._base_memory_grid)
        if process_init == 'patch':
            self.process_stream = PatchStream(self.process_patch_size, in_channels, dims, self._base_process_grid)
        elif process_init == 'downsample':
            self.process_stream = DownsampleStream(dims, self._base_process_grid)
        else:
            self.process_stream = LatentStream(dims, self._base_process_grid)

        last = self.num_layers - 1
        self.blocks = nn.ModuleList(
            ViTTMBlock(dims, num_heads, arch['mlp_ratio'], read_write_head, latent_dims, num_tokens,
                       memory_mlp_ratio, drop_path=drop_path_rate * i / max(last, 1), write=write_last or i < last,
                       options=self.options)
            for i in range(self.num_layers))
        self.read_fusion = FUSIONS[fusion](dims, num_tokens[0])
        if merge_tokens:
            check_mergeable(self.blocks[0].encoder)
        writes = write_last or last > 0
        self.write_fusion = FUSIONS[fusion](dims, num_tokens[1]) if writes else nn.Identity()
        self.apply(init_linear)

    def _init_grids(self, num_process_tokens: int | None) -> tuple[Grid, Grid]:
        """Returns the (memory, process) grids at `img_size`."""
        size = self._padded_size(*self.img_size)
        memory_grid, process_grid = (tuple(s // p for s, p in zip(size, patch, strict=True))
                                     for patch in (self.memory_patch_size, self.process_patch_size))
        if num_process_tokens is None:
            if min(process_grid) < 1 or self.process_init == 'downsample' and any(
                    p > m for p, m in zip(process_grid, memory_grid, strict=True)):
                raise ValueError(
                    f'process_patch_size {self.process_patch_size} gives a process grid of {process_grid} at img_size '
                    f'{self.img_size}, where the memory grid is {memory_grid}; process_init={self.process_init!r} '
                    'needs at least one process token, and downsample no more than there are memory tokens; give '
                    'num_process_tokens or another process_patch_size')
            return memory_grid, process_grid
        if num_process_tokens < 1:
            raise ValueError(f'num_process_tokens must be at least 1, got {num_process_tokens}')
        if self.process_init == 'patch' and num_process_tokens != math.prod(process_grid):
            raise ValueError(
                f"process_init='patch' gives {math.prod(process_grid)} process tokens at img_size {self.img_size}, "
                f"got num_process_tokens={num_process_tokens}; leave it out, or use process_init='downsample' or "
                "'latent'")
        if self.process_init != 'patch':
            process_grid = nearest_grid(num_process_tokens, memory_grid[0] / memory_grid[1])
        if self.process_init == 'downsample' and any(p > m for p, m in zip(process_grid, memory_grid, strict=True)):
            raise ValueError(f"process_init='downsample' averages {memory_grid} memory tokens, so num_process_tokens="
                             f'{num_process_tokens} on a {process_grid} grid is too many')
        return memory_grid, process_grid

    def _padded_size(self, height: int, width: int) -> tuple[int, int]:
        """Rounds an input's sides up to multiples of the patch sizes in use, in pixels."""
        units = self.memory_patch_size
        if self.process_init == 'patch':
            units = tuple(math.lcm(m, p) for m, p in zip(units, self.process_patch_size, strict=True))
        return tuple(-(-side // unit) * unit for side, unit in zip((height, width), units, strict=True))

    def grids(self, height: int, width: int) -> tuple[Grid, Grid]:
        """Returns the (process, memory) grids, each (H, W), of an input of this size in pixels.

        Latent tokens keep their number; downsampled ones keep their share of the memory grid.

        Raises:
            ValueError: The read/write head or fusion fixes the number of tokens, and this size gives another.
        """
        size = self._padded_size(height, width)
        memory_grid = tuple(s // p for s, p in zip(size, self.memory_patch_size, strict=True))
        process_grid = self._base_process_grid
        if self.process_init == 'patch':
            process_grid = tuple(s // p for s, p in zip(size, self.process_patch_size, strict=True))
        elif self.process_init == 'downsample':
            process_grid = tuple(max(1, round(m * p / base)) for m, p, base in zip(
                memory_grid, self._base_process_grid, self._base_memory_grid, strict=True))
        if self._fixes_tokens and (math.prod(process_grid), math.prod(memory_grid)) != (
                math.prod(self._base_process_grid), math.prod(self._base_memory_grid)):
            raise ValueError(
                f'{self._fixes_tokens} fixes the number of tokens: this model is built for img_size {self.img_size} '
                f'(process grid {self._base_process_grid}, memory grid {self._base_memory_grid}), but an input of '
                f'{(height, width)} gives {process_grid} and {memory_grid}; resize or crop the input to img_size, '
                "or build the model with read_write_head 'linear', 'cross' or 'latent' and fusion 'add' or 'erase'")
        return process_grid, memory_grid

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the initial tokens, process (B, Np, C) and memory (B, Nm, C), of images (B, in_channels, H, W).

        A side that is no multiple of the patch sizes is padded with zeros at the right and bottom. With
        `read_write_head='cell'` memory tokens lie in the order of cells (`cells.by_cell`), as the blocks take them.
        """
        height, width = images.shape[2:]
        process_grid, memory_grid = self.grids(height, width)
        padded_height, padded_width = self._padded_size(height, width)
        if (padded_height, padded_width) != (height, width):
            images = F.pad(images, (0, padded_width - width, 0, padded_height - height))
        memory = self.memory_stream(images)
        if self.in_cells:
            memory = by_cell(memory, memory_grid, process_grid)
        if self.process_init == 'patch':
            return self.process_stream(images), memory
        if self.process_init == 'downsample':
            return self.process_stream(memory, memory_grid, process_grid), memory
        return self.process_stream(images.shape[0]), memory

    def rotary(self, process_grid: Grid) -> Tensor | None:
        """Returns the sines and cosines (Np, 2 C / heads) of a process grid's positions; None without `rope`."""
        return None if self.rope is None else self.rope.get_embed(shape=list(process_grid))

    def intermediates(self, images: Tensor, indices: Sequence[int]) -> list[tuple[Tensor, Tensor | None]]:
        """Returns the streams after each block of `indices` (ascending, 0-based).

        Args:
            images: (B, in_channels, H, W).
            indices: Blocks after which to take the streams; blocks beyond the last are not run.

        Returns:
            One (process, memory) pair per index, process (B, Np, C) and memory (B, Nm, C); the memory is None
            after the last block of an encoder built with `write_last=False`.
        """
        process, memory = self.embed(images)
        process_grid, memory_grid = self.grids(*images.shape[2:])
        rope = self.rotary(process_grid)
        count = merged_per_block(self.merge_tokens, math.prod(process_grid))
        process, streams = Merged(process) if count else process, []
        for i, block in enumerate(self.blocks[:max(indices) + 1]):
            run, last = (block.forward_merging, count) if count else (block, rope)
            given = process, memory, self.read_fusion, self.write_fusion, last
            if self.with_cp and self.training and torch.is_grad_enabled():
                process, memory = checkpoint(run, *given, use_reentrant=False)
            else:
                process, memory = run(*given)
            if i in indices:
                in_cells = self.in_cells and memory is not None
                streams.append((process.unmerged() if count else process,
                                by_row(memory, memory_grid, process_grid) if in_cells else memory))
        return streams

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns the streams after the last block, before any final norm.

        Args:
            images: (B, in_channels, H, W), of any size unless a choice fixes the token count.

        Returns:
            process (B, Np, C) and memory (B, Nm, C); memory is None with `write_last=False`.
        """
        return self.intermediates(images, [self.num_layers - 1])[0]


def init_linear(module: nn.Module) -> None:
    """Initialises a linear layer as ViT does: truncated normal weights of std 0.02, zero bias."""
    if isinstance(module, nn.Linear):
        trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
