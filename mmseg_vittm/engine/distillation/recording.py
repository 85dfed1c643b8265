"""What a module gives while others call it."""
import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def recorded(module: nn.Module) -> Iterator[list]:
    """Keeps what a module's forward passes give within the block, in a list.

    A forward hook would miss what is asked for: MMSegmentation's heads call their own `forward`, not themselves.
    """
    outputs, own, forward = [], vars(module).get('forward'), module.forward

    def record(*args, **keywords):
        outputs.append(forward(*args, **keywords))
        return outputs[-1]
    module.forward = record
    try:
        yield outputs
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own
