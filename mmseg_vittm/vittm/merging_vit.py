"""ToMe on ViT blocks: attention that weighs tokens by their sizes, and the merging between attention and MLP."""
import torch.nn.functional as F
from timm.models.vision_transformer import Attention, Block
from torch import Tensor, nn

from .linear_attention import merge_heads
from .merging import Merged, merge_likest


def check_mergeable(block: nn.Module) -> None:
    """Checks that a block is timm's plain pre-norm block, whose attention merging can look into.

    Raises:
        ValueError: It is not.
    """
    attention = getattr(block, 'attn', None)
    if type(block) is not Block or type(attention) is not Attention or getattr(attention, 'gate', None) is not None:
        raise ValueError('tokens merge in plain ViT blocks alone, without rotary positions, parallel branches and '
                         f'gates; these are of {type(block).__name__} with {type(attention).__name__}')


def attend(block: Block, merged: Merged) -> tuple[Merged, Tensor]:
    """Runs a block's attention branch, by which a token of size s is attended to as s equal ones would be.

    Returns:
        The tokens, and the keys' mean over attention heads, (B, M, c).
    """
    attention = block.attn
    qkv = attention.qkv(block.norm1(merged.tokens)).unflatten(2, (3, attention.num_heads, -1))
    q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, M, c) each
    q, k = attention.q_norm(q), attention.k_norm(k)
    update = merge_heads(F.scaled_dot_product_attention(
        q, k, v, attn_mask=merged.attention_bias(), dropout_p=attention.attn_drop.p if attention.training else 0.0))
    if hasattr(attention, 'norm'):  # since timm 1.0.10
        update = attention.norm(update)
    update = attention.proj_drop(attention.proj(update))
    return merged.holding(merged.tokens + block.drop_path1(block.ls1(update))), k.mean(dim=1)


def transform(block: Block, merged: Merged) -> Merged:
    """Runs a block's MLP branch."""
    tokens = merged.tokens
    return merged.holding(tokens + block.drop_path2(block.ls2(block.mlp(block.norm2(tokens)))))


def run_merging(block: Block, merged: Merged, count: int, prefix: int = 0) -> Merged:
    """Runs a block that merges the `count` likest pairs of tokens between attention and MLP.

    Args:
        block: A block that `check_mergeable` takes.
        merged: M tokens.
        count: Pairs; no more than half of the tokens are merged.
        prefix: Class and register tokens at the beginning, which are not merged.
    """
    merged, keys = attend(block, merged)
    return transform(block, merge_likest(merged, keys, count, prefix))
