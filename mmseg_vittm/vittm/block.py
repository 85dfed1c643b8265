"""ViTTMBlock: read, encode, write (paper, equations 1-4)."""
from functools import partial

from timm.layers import DropPath, Mlp
from torch import Tensor, nn

from .cells import CELL, CellReadHead, CellWriteHead
from .heads import HEADS
from .merging import Merged
from .merging_vit import run_merging
from .vit_block import ViTOptions, vit_block

StreamNorm = partial(nn.LayerNorm, eps=1e-6)
PLAIN = ViTOptions()


class MemoryMlp(nn.Module):
    """The optional residual MLP on the memory stream, after the write (paper, Table 4).

    Args:
        embed_dims: Width C.
        ratio: Hidden size over C.
        drop_path: Probability of skipping the branch per sample.
    """

    def __init__(self, embed_dims: int, ratio: float, drop_path: float):
        super().__init__()
        self.norm = StreamNorm(embed_dims)
        self.mlp = Mlp(embed_dims, hidden_features=int(embed_dims * ratio))
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, memory: Tensor) -> Tensor:
        """Returns memory + MLP(LayerNorm(memory)), (B, Nm, C)."""
        return memory + self.drop_path(self.mlp(self.norm(memory)))


class ViTTMBlock(nn.Module):
    """One ViTTM block: the process tokens read from memory, are encoded, and write to memory.

    The fusions are the encoder's, not the block's: the gates of add-erase are shared by all blocks.

    Args:
        embed_dims: Width C of both streams.
        num_heads: Attention heads, of the encoder and of the read/write heads.
        mlp_ratio: Hidden size of the encoder's MLP over C.
        read_write_head: A key of `heads.HEADS`, or `'cell'`, whose heads take memory in the order of cells.
        latent_dims: Width of queries and keys of the linear, latent and cell heads.
        num_tokens: (process, memory) tokens at the encoder's `img_size`.
        memory_mlp_ratio: Hidden size of the memory MLP over C; None for no MLP.
        drop_path: Probability of skipping a residual branch per sample.
        write: False leaves out the write and the memory MLP: after the last block, where only process tokens
            are wanted, they compute nothing.
        options: What the encoder has beyond the paper's.
    """

    def __init__(self, embed_dims: int, num_heads: int, mlp_ratio: float, read_write_head: str, latent_dims: int,
                 num_tokens: tuple[int, int], memory_mlp_ratio: float | None = None, drop_path: float = 0.0,
                 write: bool = True, options: ViTOptions = PLAIN):
        super().__init__()
        in_cells = read_write_head == CELL
        reader, writer = (CellReadHead, CellWriteHead) if in_cells else (HEADS[read_write_head], ) * 2
        sizes = embed_dims, num_heads, latent_dims
        self.read_norm = StreamNorm(embed_dims)
        self.read_head = reader(*sizes, num_targets=num_tokens[0])
        self.encoder = vit_block(embed_dims, num_heads, mlp_ratio, drop_path, StreamNorm, options)
        self.write_norm = StreamNorm(embed_dims)
        self.write_head = writer(*sizes, num_targets=num_tokens[1]) if write else None
        has_mlp = write and memory_mlp_ratio is not None
        self.memory_mlp = MemoryMlp(embed_dims, memory_mlp_ratio, drop_path) if has_mlp else nn.Identity()

    def forward(self, process: Tensor, memory: Tensor, read_fusion: nn.Module,
                write_fusion: nn.Module, rope: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Runs equations 1-4. The norms replace both streams (the released weights depend on it).

        Args:
            process: (B, Np, C).
            memory: (B, Nm, C).
            read_fusion: Fusion of what was read into the process tokens.
            write_fusion: Fusion of what was written into the memory tokens.
            rope: Sines and cosines (Np, 2 C / heads) of the process tokens' positions, where the encoder takes them.

        Returns:
            process (B, Np, C) and memory (B, Nm, C), the latter None where the block does not write.
        """
        process, memory = self.read_norm(process), self.read_norm(memory)
        process = read_fusion(process, self.read_head(target=process, source=memory))
        process = self.encoder(process) if rope is None else self.encoder(process, rope=rope)
        if self.write_head is None:
            return self.write_norm(process), None
        process, memory = self.write_norm(process), self.write_norm(memory)
        memory = write_fusion(memory, self.write_head(target=memory, source=process))
        return process, self.memory_mlp(memory)

    def forward_merging(self, process: Merged, memory: Tensor, read_fusion: nn.Module, write_fusion: nn.Module,
                        count: int) -> tuple[Merged, Tensor | None]:
        """Runs equations 1-4 as `forward`, with ToMe in the encoder: there `count` pairs of process tokens merge.

        A process token of size s counts as s equal ones, in the encoder's attention and where it is written. The
        encoder's parts run, not the encoder: hooks on it see nothing.

        Args:
            process: M tokens, which stand for Np.
            memory: (B, Nm, C).
            read_fusion: As `forward`'s.
            write_fusion: As `forward`'s.
            count: Pairs; no more than half of the tokens merge.

        Returns:
            The process tokens, `count` fewer, and memory (B, Nm, C), None where the block does not write.
        """
        tokens, memory = self.read_norm(process.tokens), self.read_norm(memory)
        tokens = read_fusion(tokens, self.read_head(target=tokens, source=memory))
        process = run_merging(self.encoder, process.holding(tokens), count)
        tokens = self.write_norm(process.tokens)
        if self.write_head is None:
            return process.holding(tokens), None
        memory = self.write_norm(memory)
        memory = write_fusion(memory, self.write_head(target=memory, source=tokens, sizes=process.sizes))
        return process.holding(tokens), self.memory_mlp(memory)
