"""The process units: what the machine does with the tokens that it has read, (B, r, C) to (B, r, C)."""
from torch import Tensor, nn

from .layers import Attention, Mlp, Norm, check_heads, new_position

TOKEN_MLP_DIMS = 128


class TransformerBlock(nn.Module):
    """A pre-norm transformer layer.

    Args:
        embed_dims: Width C.
        mlp_dims: Hidden width of the MLP.
        num_heads: Attention heads.
    """

    def __init__(self, embed_dims: int, mlp_dims: int, num_heads: int):
        super().__init__()
        self.attention_norm = Norm(embed_dims)
        self.attention = Attention(embed_dims, num_heads)
        self.mlp_norm = Norm(embed_dims)
        self.mlp = Mlp(embed_dims, mlp_dims, embed_dims)

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns tokens (B, r, C) of tokens (B, r, C)."""
        normed = self.attention_norm(tokens)
        tokens = tokens + self.attention(normed, normed)
        return tokens + self.mlp(self.mlp_norm(tokens))


class MixerBlock(nn.Module):
    """A pre-norm MLP-Mixer layer: an MLP over the tokens of a channel, then an MLP over the channels of a token.

    The last bias of the first MLP adds the same to all channels of a token, which the norms after it take away: no
    output depends on it. It is there because the released weights have it.

    Args:
        embed_dims: Width C.
        num_tokens: Tokens r, which the first MLP's size fixes.
        mlp_dims: Hidden width of the second MLP; the first has 128.
    """

    def __init__(self, embed_dims: int, num_tokens: int, mlp_dims: int):
        super().__init__()
        self.token_norm = Norm(embed_dims)
        self.token_mlp = Mlp(num_tokens, TOKEN_MLP_DIMS, num_tokens)
        self.channel_norm = Norm(embed_dims)
        self.channel_mlp = Mlp(embed_dims, mlp_dims, embed_dims)

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns tokens (B, r, C) of tokens (B, r, C)."""
        tokens = tokens + self.token_mlp(self.token_norm(tokens).transpose(1, 2)).transpose(1, 2)
        return tokens + self.channel_mlp(self.channel_norm(tokens))


class MlpBlock(nn.Module):
    """A norm and an MLP over channels, which *replace* the tokens: there is no residual.

    Args:
        embed_dims: Width C.
        mlp_dims: Hidden width.
    """

    def __init__(self, embed_dims: int, mlp_dims: int):
        super().__init__()
        self.norm = Norm(embed_dims)
        self.mlp = Mlp(embed_dims, mlp_dims, embed_dims)

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns tokens (B, r, C) of tokens (B, r, C)."""
        return self.mlp(self.norm(tokens))


class ProcessUnit(nn.Module):
    """Layers and a final norm.

    Args:
        blocks: The layers.
        embed_dims: Width C.
        position: Learned position embedding (1, r, C) of the tokens; None for none.
    """

    def __init__(self, blocks: list[nn.Module], embed_dims: int, position: nn.Parameter | None = None):
        super().__init__()
        self.position = position
        self.blocks = nn.Sequential(*blocks)
        self.norm = Norm(embed_dims)

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns processed tokens (B, r, C) of tokens (B, r, C)."""
        return self.norm(self.blocks(tokens if self.position is None else tokens + self.position))


def transformer(embed_dims: int, num_tokens: int, num_layers: int, mlp_dims: int, num_heads: int) -> ProcessUnit:
    """Returns a transformer with a learned position embedding of its own."""
    check_heads(embed_dims, num_heads)
    return ProcessUnit([TransformerBlock(embed_dims, mlp_dims, num_heads) for _ in range(num_layers)], embed_dims,
                       new_position(num_tokens, embed_dims))


def mixer(embed_dims: int, num_tokens: int, num_layers: int, mlp_dims: int, num_heads: int) -> ProcessUnit:
    """Returns an MLP-Mixer; it has no attention heads."""
    return ProcessUnit([MixerBlock(embed_dims, num_tokens, mlp_dims) for _ in range(num_layers)], embed_dims)


def mlp(embed_dims: int, num_tokens: int, num_layers: int, mlp_dims: int, num_heads: int) -> ProcessUnit:
    """Returns MLPs over the channels of each token alone; they have no attention heads and fit any number of tokens."""
    return ProcessUnit([MlpBlock(embed_dims, mlp_dims) for _ in range(num_layers)], embed_dims)


PROCESS_UNITS = {'transformer': transformer, 'mixer': mixer, 'mlp': mlp}
