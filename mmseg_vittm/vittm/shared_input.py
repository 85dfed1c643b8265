"""SharedInput: linear layers of one input, in one product for inference."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SharedInput(nn.Module):
    """Applies several linear layers to the same input; after `join`, as one matrix product.

    It owns no parameters: names and values stay the layers' own.

    Args:
        layers: Linear layers of the same input width, with biases; whoever calls this owns them as submodules.
    """

    def __init__(self, *layers: nn.Linear):
        super().__init__()
        self._layers = layers  # in a tuple, so that they are not registered, and saved, a second time
        self.register_buffer('weight', None, persistent=False)
        self.register_buffer('bias', None, persistent=False)

    def join(self) -> None:
        """Lays the layers' weights out as one matrix, of which each layer's weight is a part from now on.

        What is loaded into the layers later is seen. For inference alone: no gradient comes through the product.
        """
        for name in ('weight', 'bias'):
            joined = torch.cat([getattr(layer, name).detach() for layer in self._layers])
            setattr(self, name, joined)
            for layer, part in zip(self._layers, joined.split(self._widths()), strict=True):
                setattr(layer, name, nn.Parameter(part, requires_grad=False))

    def forward(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """Returns each layer's output (B, N, its width) of tokens (B, N, C)."""
        if self.weight is None:
            return tuple(layer(tokens) for layer in self._layers)
        return F.linear(tokens, self.weight, self.bias).split(self._widths(), dim=-1)

    def _widths(self) -> list[int]:
        return [layer.out_features for layer in self._layers]

    def _apply(self, fn, recurse: bool = True) -> 'SharedInput':  # `to` and the like part the layers from the matrix
        super()._apply(fn, recurse)
        if self.weight is not None:
            self.join()
        return self

    def __setstate__(self, state: dict) -> None:  # and so does copying
        super().__setstate__(state)
        if self.weight is not None:
            self.join()
