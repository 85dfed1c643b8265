"""StreamState: all that is kept of streams between two frames."""
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import InputError, one_line
from ..outputs import write_whole

FORMAT = 'mmseg_vittm stream state 1'
FRAMES, CUTS = 'frames', 'cuts'


@dataclass(frozen=True, eq=False)
class StreamState:
    """The state of B streams between two frames; its size does not depend on how many frames there were.

    Attributes:
        tensors: By name, (B, ...) each. `frames` counts those seen since the stream began, or began anew; 0 is a
            stream that is to begin. `cuts` counts the frames that showed another scene than the one before.
        size: (height, width) of the frames in the network, in pixels.
    """
    tensors: dict[str, Tensor] = field(repr=False)
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.tensors[FRAMES])

    def __getitem__(self, rows: slice) -> 'StreamState':
        """Returns the states of some of the streams."""
        return self._each(lambda one: one[rows])

    def at_cut(self) -> list[bool]:
        """Returns, per stream, whether its last frame showed another scene than the one before."""
        return ((self.tensors[FRAMES] == 1) & (self.tensors[CUTS] > 0)).tolist()

    def _each(self, function) -> 'StreamState':
        return StreamState({name: function(one) for name, one in self.tensors.items()}, self.size)

    @staticmethod
    def joined(states: Sequence['StreamState | None'], size: tuple[int, int]) -> 'StreamState | None':
        """Returns the states of several streams, of one each, as one; None where all of them begin.

        Args:
            states: Of one stream each. None, or one of frames of another size, is a stream that begins.
            size: (height, width) of the frames.
        """
        states = [None if one is None or one.size != size else one for one in states]
        known = next((one for one in states if one is not None), None)
        if known is None:
            return None
        begin = known._each(torch.zeros_like)
        return StreamState({name: torch.cat([(one or begin).tensors[name] for one in states])
                            for name in known.tensors}, size)

    def to(self, device: torch.device | str) -> 'StreamState':
        """Returns the state on another device."""
        return self._each(lambda one: one.to(device))

    def save(self, path: str | Path) -> None:
        """Writes the state to a `.safetensors` file, whole or not at all.

        Raises:
            OutputError: It cannot be written.
        """
        tensors = {name: one.detach().cpu().contiguous() for name, one in self.tensors.items()}
        write_whole(path, save(tensors, {'format': FORMAT, 'size': '{} {}'.format(*self.size)}))

    @staticmethod
    def load(path: str | Path) -> 'StreamState':
        """Reads a state that was saved, to the CPU.

        Raises:
            InputError: The file cannot be read, is no state of this version, or holds values that are not finite.
        """
        remedy = 'give a file that StreamState.save wrote, or begin the stream anew'
        try:
            with safe_open(path, 'pt') as file:
                header = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
        except (OSError, SafetensorError) as error:
            raise InputError(f'{path}: this stream state cannot be read ({one_line(error)}); {remedy}') from error
        size = header.get('size', '').split()
        rows = {len(one) for one in tensors.values() if one.ndim}
        if (header.get('format') != FORMAT or FRAMES not in tensors or len(rows) != 1 or len(size) != 2
                or not all(side.isdecimal() for side in size)):
            raise InputError(f'{path}: no stream state of this version ({FORMAT}); {remedy}')
        bad = sorted(name for name, one in tensors.items() if not one.isfinite().all())
        if bad:
            raise InputError(f'{path}: values of {", ".join(bad)} are not finite (NaN or infinite), the state is of no '
                             f'use; {remedy}')
        return StreamState(tensors, (int(size[0]), int(size[1])))
