"""Reversible blocks of two residual streams, whose activations are recomputed instead of stored (Rev-ViT)."""
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from timm.models.vision_transformer import Block
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.func import functional_call

BRANCHES = ('attn', 'mlp')  # F and G of the paper, in the order in which a block runs them


class ReversibleBlock(Block):
    """timm's pre-norm block taken apart: its two residual branches, which a reversible block adds to two streams.

    Y1 = X1 + F(X2) and Y2 = X2 + G(Y1), so that X2 = Y2 - G(Y1) and X1 = Y1 - F(X2) (Reversible Vision
    Transformers, section 3). `run_blocks` is the first pair, `ReversibleStep.backward` the second. Weights keep
    timm's names.
    """

    def forward(self, tokens: Tensor, branch: str) -> Tensor:
        """Returns F = attention(LayerNorm(.)), `'attn'`, or G = MLP(LayerNorm(.)), `'mlp'`, of tokens (B, N, C)."""
        if branch == 'attn':
            return self.drop_path1(self.ls1(self.attn(self.norm1(tokens))))
        return self.drop_path2(self.ls2(self.mlp(self.norm2(tokens))))


def run_blocks(blocks: Sequence[ReversibleBlock], x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    """Returns both streams, (B, N, C) each, after some blocks; autograd stores what it needs of each."""
    for block in blocks:
        x1 = x1 + block(x2, 'attn')
        x2 = x2 + block(x1, 'mlp')
    return x1, x2


def run_reversibly(blocks: Sequence[ReversibleBlock], x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    """`run_blocks` that stores its last activations alone: the backward pass inverts the blocks, last to first.

    Inside it streams are float64, in which what the branches give adds up so exactly that subtraction restores
    each branch's float32 input bit for bit, but for a rare last one. Float32 streams are not enough: with weights
    four times as large as at first, under bfloat16 autocast, RevViT-B's first block got tokens wrong by twice
    their size, since each block inverted amplifies what was lost. (Without autocast it was 3e-4 of their size.)
    """
    # No cache of casts: each weight is cast once a pass, and would stay until the outermost autocast ends.
    autocast = dict(device_type=x1.device.type, dtype=torch.get_autocast_dtype(x1.device.type),
                    enabled=torch.is_autocast_enabled(x1.device.type), cache_enabled=False)
    run, dtype = Run(list(blocks), x1.dtype, autocast), x1.dtype
    x1, x2 = x1.double(), x2.double()
    for index, block in enumerate(blocks):
        x1, x2 = ReversibleStep.apply(run, index, x1, x2, *block.parameters())
    return x1.to(dtype), x2.to(dtype)


@dataclass
class Run:
    """What the steps of one `run_reversibly` share.

    Attributes:
        blocks: The blocks, in order.
        dtype: Of what the branches take.
        autocast: How both passes run them, arguments of `torch.autocast`.
        restored: In the backward pass the streams that a step restored, the output of the step before.
    """
    blocks: list[ReversibleBlock]
    dtype: torch.dtype
    autocast: dict
    restored: tuple[Tensor, Tensor] | None = None


class ReversibleStep(torch.autograd.Function):
    """One block of `run_reversibly`, whose backward pass gets the block's outputs from the step after it.

    Besides the last outputs it keeps the random state at each branch, 5 KB, from which drop path is the same again.
    The weights are inputs and their gradients are returned, block by block, so whatever hangs on a weight's
    gradient (hooks, DistributedDataParallel, accumulation) sees it once, and as soon as it is there. Twice
    differentiable it is not. Between the two passes neither the weights nor the block's training mode may change.
    """

    @staticmethod
    def forward(ctx, run: Run, index: int, x1: Tensor, x2: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        """Returns both streams, float64 (B, N, C) each, after a block, whose parameters `weights` are, in order."""
        ctx.run, ctx.index, ctx.states = run, index, []
        with torch.autocast(**run.autocast):
            for branch in BRANCHES:
                ctx.states.append(random_state(x1.device))
                # What a branch gives is added to the other stream: the two change places after each.
                x1, x2 = x2, x1 + run.blocks[index](x2.to(run.dtype), branch)
        ctx.save_for_backward(*weights, *((x1, x2) if index == len(run.blocks) - 1 else ()))
        return x1, x2

    @staticmethod
    @once_differentiable
    def backward(ctx, grad1: Tensor, grad2: Tensor) -> tuple[Tensor | None, ...]:
        """Returns the gradients of `forward`'s inputs, of those of its outputs."""
        run, block = ctx.run, ctx.run.blocks[ctx.index]
        names = [name for name, _ in block.named_parameters()]
        weights, outputs = ctx.saved_tensors[:len(names)], ctx.saved_tensors[len(names):]
        x1, x2 = outputs or run.restored
        # Detached: a gradient stays here, without the weight's hooks, until it is returned.
        leaves = [weight.detach().requires_grad_(weight.requires_grad) for weight in weights]
        with torch.random.fork_rng([x1.device] if x1.is_cuda else []):
            for branch, state in zip(reversed(BRANCHES), reversed(ctx.states), strict=True):
                tokens = x1.to(run.dtype).detach().requires_grad_()
                set_random_state(state, x1.device)
                with torch.enable_grad(), torch.autocast(**run.autocast):
                    added = functional_call(block, dict(zip(names, leaves, strict=True)), (tokens, branch))
                added.backward(grad2.to(added.dtype))
                x1, x2 = x2 - added.detach(), x1
                grad1, grad2 = grad2, grad1 + tokens.grad
        run.restored = (x1, x2) if ctx.index else None
        return None, None, grad1, grad2, *(leaf.grad for leaf in leaves)


def random_state(device: torch.device) -> list[Tensor]:
    """Returns the random state of the CPU and, where it is one, of a CUDA device."""
    return [torch.get_rng_state()] + ([torch.cuda.get_rng_state(device)] if device.type == 'cuda' else [])


def set_random_state(state: list[Tensor], device: torch.device) -> None:
    """Sets what `random_state` returned."""
    torch.set_rng_state(state[0])
    if device.type == 'cuda':
        torch.cuda.set_rng_state(state[1], device)
