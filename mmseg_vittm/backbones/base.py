"""What our backbones share: outputs by index, frozen layers, strict loading of pretrained weights."""
from collections.abc import Sequence

from torch import nn

from ..stack import BaseModule, MMLogger


def resolve_indices(out_indices: int | Sequence[int], num_layers: int) -> tuple[int, ...]:
    """Returns block indices, negative ones counted from the end, as ascending numbers from 0.

    Raises:
        ValueError: None, one out of range, one twice or not ascending.
    """
    given = (out_indices,) if isinstance(out_indices, int) else tuple(out_indices)
    indices = tuple(i + num_layers if i < 0 else i for i in given)
    if not indices or any(not 0 <= i < num_layers for i in indices) or list(indices) != sorted(set(indices)):
        raise ValueError(f'out_indices must be ascending block indices from {-num_layers} to {num_layers - 1}, '
                         f'got {out_indices!r}')
    return indices


class PretrainedBackbone(BaseModule):
    """Base of our backbones: freezes embeddings and first blocks, loads `init_cfg` weights strictly.

    A subclass gives `embeddings()`, `blocks()` and `load_pretrained()`.

    Args:
        frozen_layers: -1 for none; n for the embeddings and the first n blocks, all of it where n is the
            number of blocks.
        init_cfg: None, mmengine's initialisers, or `dict(type='Pretrained', checkpoint=PATH)`.
    """

    def __init__(self, frozen_layers: int, init_cfg: dict | list | None):
        super().__init__(init_cfg)
        self.frozen_layers = frozen_layers

    def embeddings(self) -> list[nn.Module | nn.Parameter]:
        """Returns what turns an image into tokens."""
        raise NotImplementedError

    def blocks(self) -> nn.ModuleList:
        """Returns the blocks, in order."""
        raise NotImplementedError

    def load_pretrained(self, path: str):
        """Loads a checkpoint file strictly and returns its `LoadReport`."""
        raise NotImplementedError

    def _freeze(self) -> None:
        """Stops gradients in the frozen layers and puts them in evaluation mode."""
        count = self.frozen_layers
        if not -1 <= count <= len(self.blocks()):
            raise ValueError(f'frozen_layers must be from -1 (none) to {len(self.blocks())} (all blocks), '
                             f'got {count}')
        if count < 0:
            return
        frozen = [self] if count == len(self.blocks()) else [*self.embeddings(), *self.blocks()[:count]]
        for part in frozen:
            part.requires_grad_(False)
            if part is not self and isinstance(part, nn.Module):
                part.eval()
        if count == len(self.blocks()):
            super().train(False)

    def train(self, mode: bool = True):
        """Sets the mode; frozen layers stay in evaluation mode."""
        super().train(mode)
        if mode:
            self._freeze()
        return self

    def init_weights(self) -> None:
        """Initialises the weights: `init_cfg`'s, or what the constructor drew.

        Raises:
            CheckpointError: The checkpoint of `init_cfg` cannot be read, or does not fit this model exactly.
        """
        several = self.init_cfg if isinstance(self.init_cfg, (list, tuple)) else ()
        if any(cfg.get('type') == 'Pretrained' for cfg in several):
            raise ValueError("init_cfg must be dict(type='Pretrained', checkpoint=PATH), not a list with it, which "
                             'mmengine would not load strictly')
        if isinstance(self.init_cfg, dict) and self.init_cfg.get('type') == 'Pretrained':
            extra = set(self.init_cfg) - {'type', 'checkpoint'}
            if extra or 'checkpoint' not in self.init_cfg:
                raise ValueError("init_cfg must be dict(type='Pretrained', checkpoint=PATH), "
                                 f'got the keys {sorted(self.init_cfg)}')
            report = self.load_pretrained(self.init_cfg['checkpoint'])
            MMLogger.get_current_instance().info(f'{type(self).__name__}: loaded {report}')
            self._is_init = True
        else:
            super().init_weights()
