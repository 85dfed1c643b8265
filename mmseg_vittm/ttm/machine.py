"""The Token Turing Machine: per frame it reads from a memory of tokens, processes what it read, and writes back."""
import torch
from torch import Tensor, nn

from .add_erase import AddErase, ReleasedAddErase
from .layers import new_position
from .pooling import AttentionPooling, PooledWrite, TokenSummary, placed
from .process import PROCESS_UNITS

# How a memory is read, and written by what: a pooling writes as it reads.
MEMORY_MODES = {
    'summary': (TokenSummary, TokenSummary),
    'attention': (AttentionPooling, AttentionPooling),
    'add_erase': (TokenSummary, AddErase),
    'add_erase_released': (TokenSummary, ReleasedAddErase),
}


class Machine(nn.Module):
    """A machine that carries its memory from one step to the next; `step` says how.

    It has no hidden state: the memory is a tensor that goes in and comes out, so that it can be saved, restored,
    batched, detached and looked at.

    Args:
        embed_dims: Width C of all tokens.
        num_memory_tokens: Memory tokens m.
    """

    def __init__(self, embed_dims: int, num_memory_tokens: int):
        super().__init__()
        self.embed_dims = embed_dims
        self.num_memory_tokens = num_memory_tokens

    def step(self, memory: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Takes one step.

        Args:
            memory: (B, m, C).
            tokens: Of one frame, (B, N, C).

        Returns:
            The next memory (B, m, C), of the memory's dtype, and outputs (B, r, C).
        """
        raise NotImplementedError

    def empty_memory(self, tokens: Tensor) -> Tensor:
        """Returns the memory at the start, zeros (B, m, C), for tokens (B, ..., C) of the same device and dtype."""
        return tokens.new_zeros(len(tokens), self.num_memory_tokens, self.embed_dims)

    def forward(self, tokens: Tensor, memory: Tensor | None = None, return_memories: bool = False,
                detach_every: int | None = None) -> tuple[Tensor, Tensor]:
        """Takes a step per frame, from the first to the last; the same to the bit as calling `step` for each.

        Gradients flow back through the memory from every frame to all before. The last write changes no output: its
        parameters have gradients from earlier frames, so there have to be two or more.

        Args:
            tokens: Of T frames, (B, T, N, C).
            memory: To begin with, (B, m, C); None: zeros.
            return_memories: Whether to return the memory after every step.
            detach_every: Frames after which gradients do not flow further back (truncated backpropagation through
                time); None: never.

        Returns:
            Outputs (B, T, r, C), and the last memory (B, m, C) or, with `return_memories`, all (B, T, m, C).

        Raises:
            ValueError: Shapes do not fit, or `detach_every` is below 1.
        """
        if tokens.ndim != 4 or not tokens.shape[1]:
            raise ValueError(f'tokens must be (B, T, N, {self.embed_dims}) of T >= 1 frames, got '
                             f'{tuple(tokens.shape)}; step takes those of one frame')
        if detach_every is not None and detach_every < 1:
            raise ValueError(f'detach_every must be 1 or more, or None, got {detach_every}')
        memory = self.empty_memory(tokens) if memory is None else memory
        outputs, memories = [], []
        for number, frame in enumerate(tokens.unbind(dim=1)):
            if detach_every and number and number % detach_every == 0:
                memory = memory.detach()
            memory, output = self.step(memory, frame)
            outputs.append(output)
            if return_memories:
                memories.append(memory)
        return torch.stack(outputs, dim=1), torch.stack(memories, dim=1) if return_memories else memory

    def _check(self, memory: Tensor, tokens: Tensor) -> None:
        """Checks shapes (B, m, C) and (B, N, C).

        Raises:
            ValueError: They are others.
        """
        if tokens.ndim != 3 or tokens.shape[2] != self.embed_dims:
            raise ValueError(f'tokens of a frame must be (B, N, {self.embed_dims}), got {tuple(tokens.shape)}')
        expected = len(tokens), self.num_memory_tokens, self.embed_dims
        if memory.shape != expected:
            raise ValueError(f'memory must be {expected} for tokens {tuple(tokens.shape)}, got {tuple(memory.shape)}; '
                             'empty_memory(tokens) gives one')


class TokenTuringMachine(Machine):
    """The Token Turing Machine: Z = Read([M; I]), O = Process(Z), M' = Write(M, O, I); O is the output.

    Ryoo et al., "Token Turing Machines", CVPR 2023; where the paper is silent, as their released unit. A step costs
    the same however long the video is.

    Args:
        embed_dims: Width C of all tokens.
        num_memory_tokens: Memory tokens m.
        num_process_tokens: Process tokens r, as many as outputs.
        memory_mode: How memory is read and written: `'summary'`, `'attention'` (C is a multiple of 8), or, read by
            token summary, `'add_erase'` in the bounded form or `'add_erase_released'` as the released weights have it.
        process_unit: `'transformer'`, `'mixer'` or `'mlp'`.
        num_layers: Layers of the process unit; 4 have the cost that the paper's slides give.
        mlp_dims: Hidden width of its MLPs over channels.
        num_heads: Attention heads of the transformer, which divide C; the other units have none.
        num_input_tokens: Input tokens N. Learned position embeddings are then added to [M; I] before the read and, but
            for add-erase, which does not look at them, to [M; I; O] before the write; this fixes N. None: none.

    Raises:
        ValueError: An argument is none of the choices, or a number does not fit.
    """

    def __init__(self, embed_dims: int, num_memory_tokens: int, num_process_tokens: int, memory_mode: str = 'summary',
                 process_unit: str = 'transformer', num_layers: int = 4, mlp_dims: int = 512, num_heads: int = 12,
                 num_input_tokens: int | None = None):
        super().__init__(embed_dims, num_memory_tokens)
        if memory_mode not in MEMORY_MODES:
            raise ValueError(f'memory_mode must be one of {sorted(MEMORY_MODES)}, got {memory_mode!r}')
        check_counts(embed_dims=embed_dims, num_memory_tokens=num_memory_tokens, num_process_tokens=num_process_tokens,
                     num_layers=num_layers, mlp_dims=mlp_dims)
        if num_input_tokens is not None:
            check_counts(num_input_tokens=num_input_tokens)
        reader, writer = MEMORY_MODES[memory_mode]
        num_read = num_memory_tokens + (num_input_tokens or 0)
        self.num_input_tokens = num_input_tokens
        self.read_position = new_position(num_read, embed_dims) if num_input_tokens else None
        self.read = reader(embed_dims, num_process_tokens)
        self.process = make_process(process_unit, embed_dims, num_process_tokens, num_layers, mlp_dims, num_heads)
        if writer is reader:
            position = new_position(num_read + num_process_tokens, embed_dims) if num_input_tokens else None
            self.write = PooledWrite(writer(embed_dims, num_memory_tokens), position)
        else:
            self.write = writer(embed_dims, num_memory_tokens, num_process_tokens)

    def step(self, memory: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Takes one step.

        Args:
            memory: M, (B, m, C).
            tokens: I, those of one frame, (B, N, C).

        Returns:
            The next memory (B, m, C), of the memory's dtype, and outputs O (B, r, C).

        Raises:
            ValueError: Shapes do not fit.
        """
        self._check(memory, tokens)
        if self.num_input_tokens not in (None, tokens.shape[1]):
            raise ValueError(f'position embeddings fix N = {self.num_input_tokens} input tokens, got '
                             f'{tokens.shape[1]}; give as many, or build the machine with num_input_tokens=None')
        outputs = self.process(self.read(placed((memory, tokens), self.read_position)))
        return self.write(memory, outputs, tokens).to(memory.dtype), outputs


class SimpleTokenTuringMachine(Machine):
    """The simple unit: a token summary Z of the inputs alone, then Process over [M; Z].

    Of its m + r outputs the first r are the step's and the last m the next memory, although memory came first in: so
    it is in the released unit.

    Args:
        embed_dims: Width C of all tokens.
        num_memory_tokens: Memory tokens m.
        num_process_tokens: Tokens r of the summary, as many as outputs.
        process_unit: `'transformer'`, `'mixer'` or `'mlp'`.
        num_layers: Layers of the process unit.
        mlp_dims: Hidden width of its MLPs over channels.
        num_heads: Attention heads of the transformer, which divide C; the other units have none.

    Raises:
        ValueError: An argument is none of the choices, or a number does not fit.
    """

    def __init__(self, embed_dims: int, num_memory_tokens: int, num_process_tokens: int,
                 process_unit: str = 'transformer', num_layers: int = 4, mlp_dims: int = 512, num_heads: int = 12):
        super().__init__(embed_dims, num_memory_tokens)
        check_counts(embed_dims=embed_dims, num_memory_tokens=num_memory_tokens, num_process_tokens=num_process_tokens,
                     num_layers=num_layers, mlp_dims=mlp_dims)
        self.num_process_tokens = num_process_tokens
        self.read = TokenSummary(embed_dims, num_process_tokens)
        self.process = make_process(process_unit, embed_dims, num_memory_tokens + num_process_tokens, num_layers,
                                    mlp_dims, num_heads)

    def step(self, memory: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Takes one step.

        Args:
            memory: M, (B, m, C).
            tokens: I, those of one frame, (B, N, C).

        Returns:
            The next memory (B, m, C), of the memory's dtype, and outputs (B, r, C).

        Raises:
            ValueError: Shapes do not fit.
        """
        self._check(memory, tokens)
        processed = self.process(torch.cat([memory, self.read([tokens])], dim=1))
        outputs, memory_out = processed.split([self.num_process_tokens, self.num_memory_tokens], dim=1)
        return memory_out.to(memory.dtype), outputs


def make_process(name: str, embed_dims: int, num_tokens: int, num_layers: int, mlp_dims: int,
                 num_heads: int) -> nn.Module:
    """Returns a process unit by its name.

    Raises:
        ValueError: There is none of this name, or the heads do not divide the width.
    """
    if name not in PROCESS_UNITS:
        raise ValueError(f'process_unit must be one of {sorted(PROCESS_UNITS)}, got {name!r}')
    return PROCESS_UNITS[name](embed_dims, num_tokens, num_layers, mlp_dims, num_heads)


def check_counts(**counts: int) -> None:
    """Checks that numbers are whole and 1 or more.

    Raises:
        ValueError: One is not; names it.
    """
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f'{name} must be a whole number from 1, got {value!r}')
