"""Frame: the tokens that a per-frame model makes of the frames of several streams, before its decode head."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from ..vittm.streams import Grid, tokens_to_map


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of each of B streams.

    Attributes:
        tokens: The tokens that the last map consists of, (B, N, C) each: a ViTTM's process and memory tokens; of any
            other backbone the cells of the map itself.
        grids: The (H, W) of each of them.
        others: The maps before the last, (B, C, h, w) each, which nothing is remembered of.
        to_map: Makes the last map of tokens and grids.
    """
    tokens: tuple[Tensor, ...]
    grids: tuple[Grid, ...]
    others: tuple[Tensor, ...]
    to_map: Callable[[Sequence[Tensor], Sequence[Grid]], Tensor]

    def at(self, rows: slice) -> 'Frame':
        """Returns some of the streams."""
        return replace(self, tokens=tuple(one[rows] for one in self.tokens),
                       others=tuple(one[rows] for one in self.others))

    def maps(self, tokens: Sequence[Tensor] | None = None) -> tuple[Tensor, ...]:
        """Returns what the decode head reads, with other tokens (B, N, C) in place of the frame's own if given."""
        return (*self.others, self.to_map(self.tokens if tokens is None else tokens, self.grids))


def encode(backbone: nn.Module, neck: nn.Module | None, images: Tensor) -> Frame:
    """Runs a backbone, and a neck, on images (B, 3, H, W)."""
    if neck is None and hasattr(backbone, 'streams'):
        others, tokens, grids = backbone.streams(images)
        return Frame(tokens, grids, others, backbone.map_of)
    maps = backbone(images) if neck is None else neck(backbone(images))
    *others, last = maps
    return Frame((last.flatten(2).transpose(1, 2), ), (tuple(last.shape[2:]), ), tuple(others), _single_map)


def _single_map(tokens: Sequence[Tensor], grids: Sequence[Grid]) -> Tensor:
    return tokens_to_map(tokens[0], grids[0])
