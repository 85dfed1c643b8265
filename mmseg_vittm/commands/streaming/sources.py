"""Sources of frames, each with its time: what all have in common, a video file, and a file played at its own pace."""
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from ..segmenting.videos import VideoReader
from .clock import Clock


class Source(Protocol):
    """Where frames come from, as a context manager: the attributes are there within its block.

    Attributes:
        shown: What messages call it.
        rate: Frames a second, about.
        base: Unit of the frames' times, in seconds.
        count: How many frames it has, about; 0 where unknown.
        is_live: Whether it goes on at its own pace, whether or not anybody reads it.
        reconnects: How often it went away and came back.
    """
    shown: str
    rate: Fraction
    base: Fraction
    count: int
    is_live: bool
    reconnects: int

    def __enter__(self) -> 'Source':
        """Opens it.

        Raises:
            InputError: It cannot be opened.
        """

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Closes it."""

    def frames(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yields frames, (H, W, 3) uint8 BGR, all of the first one's size, with their times in units of `base`.

        Raises:
            InputError: There are none, or it went away for good.
        """

    def warnings(self) -> list[str]:
        """Returns what was wrong with it although its frames could be read."""


class FileSource:
    """A video file; see `Source`.

    Args:
        file: The file.
    """
    is_live, reconnects = False, 0

    def __init__(self, file: Path):
        self.shown, self._file = str(file), file

    def __enter__(self) -> 'FileSource':
        self._reader = VideoReader(self._file)
        self.rate, self.base, self.count = self._reader.rate, self._reader.base, self._reader.count
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._reader.__exit__(kind, error, traceback)

    def frames(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yields the frames with their times; see `Source`."""
        return self._reader.timed_frames()

    def warnings(self) -> list[str]:
        """Returns whether frames are missing, or had other sizes."""
        reader, found = self._reader, []
        if reader.is_short:
            found.append(f'{self.shown}: {reader.number} frames could be read where its header has {reader.count}; it '
                         'may be truncated')
        return found + sizes_changed(self.shown, reader.scaled)


def sizes_changed(name: str, scaled: int) -> list[str]:
    """Returns the warning that some frames of a source were scaled, if they were."""
    return [f'{name}: {scaled} frames of another size were scaled to the size of the first one'] if scaled else []


def paced(frames: Iterator[tuple[np.ndarray, int]], base: Fraction, clock: Clock) -> Iterator[tuple[np.ndarray, int]]:
    """Yields frames each when it is due, by its time, as a camera would; the first at once.

    Args:
        frames: Frames with their times.
        base: Unit of the times, in seconds.
        clock: Says when that is.
    """
    begin = None
    for frame, time in frames:
        if begin is None:
            begin = clock.now() - float(time * base)
        wait = begin + float(time * base) - clock.now()
        if wait > 0:
            clock.wait(wait)
        yield frame, time
