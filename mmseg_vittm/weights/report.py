"""What a load did, in one line."""
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor


@dataclass
class LoadReport:
    """What came from where: the one line that a load logs.

    Attributes:
        path: The file.
        source: What kind of file it is, in words.
        tensors: Tensors loaded.
        parameters: Numbers in them.
        resampled: Position embeddings resampled, each `name HxW -> HxW`.
        dropped: Per reason, how many tensors and numbers were dropped.
        started: Of a warm start: per way that they start, how many tensors and numbers of the model the file has not.
    """
    path: str | Path
    source: str = 'a whole model'
    tensors: int = 0
    parameters: int = 0
    resampled: list[str] = field(default_factory=list)
    dropped: dict[str, list[int]] = field(default_factory=dict)
    started: dict[str, list[int]] = field(default_factory=dict)

    def drop(self, why: str, tensor: Tensor) -> None:
        """Counts a tensor as dropped for a reason."""
        _count(self.dropped, why, tensor)

    def start(self, how: str, tensor: Tensor) -> None:
        """Counts a tensor of the model as one that the file has not."""
        _count(self.started, how, tensor)

    def __str__(self) -> str:
        parts = [f'{self.tensors} tensors ({self.parameters / 1e6:.2f} M parameters) from {self.path} '
                 f'({self.source})']
        if self.resampled:
            parts.append('resampled ' + ', '.join(self.resampled))
        parts += [f'{word} ' + ', '.join(f'{tensors} tensors ({numbers / 1e6:.2f} M, {why})'
                                         for why, (tensors, numbers) in counts.items())
                  for word, counts in (('dropped', self.dropped), ('started', self.started)) if counts]
        return '; '.join(parts)


def _count(counts: dict[str, list[int]], why: str, tensor: Tensor) -> None:
    count = counts.setdefault(why, [0, 0])
    count[0] += 1
    count[1] += tensor.numel()
