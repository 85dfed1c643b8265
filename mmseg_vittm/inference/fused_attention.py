"""Self-attention of MMCV's transformer layers, Segmenter's decoder among them, in three operations for inference."""
import types

import torch.nn.functional as F
from mmcv.cnn.bricks.transformer import MultiheadAttention
from torch import Tensor, nn


def fuse_self_attention(model: nn.Module) -> None:
    """Makes MMCV's `MultiheadAttention` modules in a model compute self-attention fused, where that is all they do.

    As built they project queries, keys and values apart, from tokens that are not contiguous, and also make the
    attention weights, (B, heads, N, N), only to drop them. Calls with other keys, positions or masks run as before.
    """
    for module in model.modules():
        attention = getattr(module, 'attn', None)
        if (type(module) is MultiheadAttention and module.batch_first and attention.in_proj_bias is not None
                and attention.bias_k is None and not attention.add_zero_attn):
            module.forward = types.MethodType(_forward, module)


def _forward(module: MultiheadAttention, query: Tensor, *args, identity: Tensor | None = None, **others) -> Tensor:
    """Returns `identity` plus the self-attention of tokens `query`, both (B, N, C)."""
    attention = module.attn
    if args or any(value is not None for value in others.values()):
        return MultiheadAttention.forward(module, query, *args, identity=identity, **others)
    qkv = F.linear(query, attention.in_proj_weight, attention.in_proj_bias)
    q, k, v = qkv.unflatten(2, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, N, C / heads) each
    out = attention.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
    return (query if identity is None else identity) + module.dropout_layer(module.proj_drop(out))
