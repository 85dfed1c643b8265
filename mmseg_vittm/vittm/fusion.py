"""The fusions: how an update enters the stream it was computed for (paper, section 3.3)."""
from torch import Tensor, nn


class Add(nn.Module):
    """Adds the update to the stream: the paper's default.

    Args:
        embed_dims: Ignored; the fusion has no weights.
        num_targets: Ignored; any number of tokens is fine.
    """
    fixes_targets = False

    def __init__(self, embed_dims: int, num_targets: int):
        super().__init__()

    def forward(self, target: Tensor, update: Tensor) -> Tensor:
        """Returns target + update; all are (B, Nt, C)."""
        return target + update


class Erase(nn.Module):
    """Replaces the stream by the update.

    Args:
        embed_dims: Ignored; the fusion has no weights.
        num_targets: Ignored; any number of tokens is fine.
    """
    fixes_targets = False

    def __init__(self, embed_dims: int, num_targets: int):
        super().__init__()

    def forward(self, target: Tensor, update: Tensor) -> Tensor:
        """Returns update; all are (B, Nt, C)."""
        return update


class AddErase(nn.Module):
    """Mixes stream and update by one gate per target token, computed from the mean update.

    Args:
        embed_dims: Width C of the stream.
        num_targets: Number Nt of target tokens, which the gate's size fixes.
    """
    fixes_targets = True

    def __init__(self, embed_dims: int, num_targets: int):
        super().__init__()
        self.gate = nn.Linear(embed_dims, num_targets)

    def forward(self, target: Tensor, update: Tensor) -> Tensor:
        """Returns target (1 - a) + update a with a = sigmoid(W mean(update)); all are (B, Nt, C)."""
        gate = self.gate(update.mean(dim=1)).sigmoid().unsqueeze(-1)  # (B, Nt, 1)
        return target * (1 - gate) + update * gate


FUSIONS = {'add': Add, 'erase': Erase, 'add_erase': AddErase}
