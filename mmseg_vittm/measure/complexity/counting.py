"""Counting: parameters, multiply-adds and activations of models.

Two counts of multiply-adds, a multiply-add counting as one:

- `multiply_adds`: every matrix product and convolution, those inside attention too, by PyTorch's `FlopCounterMode`.
- `fvcore_multiply_adds`: what fvcore counts, the paper's protocol, by mmengine's copy of fvcore's handles. It adds
  norms and interpolations and misses the two products inside fused attention, of a ViT-B/16 at 512 pixels 18%, but not
  where a model writes them out: so the paper's figures of some models have them and of others not (`attention`). The
  values of linear attention are counted as projected token by token, as the authors do, which ours does not need.
"""
import copy
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from mmengine.analysis import ActivationAnalyzer, FlopAnalyzer
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ...vittm.heads import LinearAttentionHead

UNUSED = 'auxiliary_head'  # trains only
FUSED = 'aten::scaled_dot_product_attention'


def count_parameters(model: nn.Module) -> int:
    """Returns the number of parameters that inference uses: all but those of auxiliary heads."""
    return sum(weight.numel() for name, weight in model.named_parameters() if not name.startswith(f'{UNUSED}.'))


def group_of(name: str) -> str:
    """Returns the group of a parameter's or module's name: like blocks together, what they consist of apart.

    `backbone.encoder.blocks.3.read_head.q.weight` belongs to `backbone.encoder.blocks.*.read_head`, without a
    number in it a name belongs to its first three parts.
    """
    parts = ['*' if part.isdigit() else part for part in name.split('.')]
    return '.'.join(parts[:parts.index('*') + 2] if '*' in parts else parts[:3])


def parameters_by_group(model: nn.Module) -> dict[str, int]:
    """Returns the parameters of each group (see `group_of`) that inference uses, in the model's order."""
    groups = {}
    for name, weight in model.named_parameters():
        if not name.startswith(f'{UNUSED}.'):
            group = group_of(re.sub(r'\.(weight|bias)$', '', name))
            groups[group] = groups.get(group, 0) + weight.numel()
    return groups


def meta_copy(model: nn.Module) -> nn.Module:
    """Returns a copy of a model whose weights have shapes but no values, on the meta device: it takes no memory."""
    memo = {id(weight): nn.Parameter(torch.empty_like(weight, device='meta'), requires_grad=False)
            for weight in model.parameters()}
    memo |= {id(buffer): torch.empty_like(buffer, device='meta') for buffer in model.buffers()}
    return copy.deepcopy(model, memo).eval()


@contextmanager
def _visible_attention() -> Iterator[None]:
    """Keeps attention from running as one operation that hides its matrix products from a counter."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Keeps a model from wanting gradients, over which `FlopCounterMode` stumbles, and from training."""
    wanting, training = [weight for weight in model.parameters() if weight.requires_grad], model.training
    model.eval().requires_grad_(False)
    try:
        yield
    finally:
        model.train(training)
        for weight in wanting:
            weight.requires_grad_(True)


def multiply_adds(model: nn.Module, shape: tuple[int, ...],
                  blueprint: nn.Module | None = None) -> tuple[int, dict[str, int]]:
    """Counts the multiply-adds of all matrix products and convolutions of a forward pass, attention's included.

    Args:
        model: Takes one tensor; a segmentor gives its low-resolution logits then (`mode='tensor'`). It runs on the
            meta device, and as it is where that fails, or where the image counts (`varies_with_image`).
        shape: Shape of the input, such as (1, 3, 512, 512).
        blueprint: A `meta_copy` of the model, if there is one already.

    Returns:
        The total, and by group of modules (see `group_of`) what modules of that group compute. Groups of which one
        contains another count twice.
    """
    if not varies_with_image(model):
        try:
            return _count(blueprint or meta_copy(model), torch.empty(shape, device='meta'))
        except (NotImplementedError, RuntimeError):  # a model that looks at values
            pass
    return multiply_adds_on(model, _sample(model, shape))


def multiply_adds_on(model: nn.Module, inputs: torch.Tensor) -> tuple[int, dict[str, int]]:
    """Counts as `multiply_adds`, of the model as it is on these inputs (B, 3, H, W)."""
    with _frozen(model):
        return _count(model, inputs)


def varies_with_image(model: nn.Module) -> bool:
    """Whether a model's cost depends on what an image shows: a part of it keeps another number of tokens of each."""
    return any(getattr(part, 'varies_tokens', False) for part in model.modules())


def _sample(model: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    """Returns an input to count on: zeros, or noise, the same at every call, where the image counts."""
    device = next(model.parameters()).device
    if not varies_with_image(model):
        return torch.zeros(shape, device=device)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)


def _count(model: nn.Module, inputs: torch.Tensor) -> tuple[int, dict[str, int]]:
    with _visible_attention(), FlopCounterMode(display=False) as counter:
        model(inputs)
    groups = {}
    for name, operations in counter.get_flop_counts().items():
        _, _, path = name.partition('.')
        group = re.sub(r'\.\d+(?=\.|$)', '.*', path)
        groups[group] = groups.get(group, 0) + sum(operations.values()) // 2
    return counter.get_total_flops() // 2, groups


def fvcore_multiply_adds(model: nn.Module, shape: tuple[int, ...], attention: bool = False) -> int:
    """Counts multiply-adds as fvcore does, the paper's protocol, by tracing a model that takes one tensor.

    Args:
        model: The model.
        shape: Shape of the input, such as (1, 3, 512, 512).
        attention: Count the products inside fused attention too, as fvcore does where attention is written out.
    """
    return _trace(FlopAnalyzer, model, shape, {FUSED: _attention_products} if attention else {})


def _attention_products(inputs: list, outputs: list) -> int:
    """Returns the multiply-adds of queries (..., N, c) times keys (..., M, c), and of that times values (..., M, d)."""
    queries, keys, values = (value.type().sizes() for value in inputs[:3])
    return math.prod(queries[:-1]) * keys[-2] * (queries[-1] + values[-1])


def count_activations(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Counts activations as fvcore does: the elements that convolutions and matrix products put out."""
    return _trace(ActivationAnalyzer, model, shape)


def _trace(analyzer: type[FlopAnalyzer | ActivationAnalyzer], model: nn.Module, shape: tuple[int, ...],
           handles: dict[str, Callable[[list, list], int]] | None = None) -> int:
    inputs = _sample(model, shape)
    with _projecting_tokens(model):
        counter = analyzer(model.eval(), inputs).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counter.set_op_handle(**handles or {})
        return int(counter.total())


@contextmanager
def _projecting_tokens(model: nn.Module) -> Iterator[None]:
    """Has linear attention heads compute as the paper counts."""
    heads = [module for module in model.modules() if isinstance(module, LinearAttentionHead)]
    before = [head.projects_tokens for head in heads]
    try:
        for head in heads:
            head.projects_tokens = True
        yield
    finally:
        for head, value in zip(heads, before, strict=True):
            head.projects_tokens = value
