"""Videos by PyAV: frames read with their times, overlays written with them and read back."""
import contextlib
import errno
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ...errors import InputError, one_line

try:
    import av
except ImportError:  # images need none
    av = None
DAMAGE = (OSError, ValueError, *((av.error.FFmpegError, ) if av else ()))  # what FFmpeg's functions raise

# What is read, whatever a file's ending: none that fetches other files or addresses, as playlists do.
FORMATS = 'mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,m4v,mpeg,mpegts,mpegvideo,flv,ogg,asf,h264,hevc,ivf'
# Encoders with their options, and the most that their time base may divide a second into.
CODECS = (('libx264', dict(crf='20', preset='veryfast', bf='0'), 10**5), ('mpeg4', dict(qscale='3'), 2**16 - 1))
USUAL_RATE = 25  # frames a second, where a video does not say
TICK = Fraction(1, 60_000)  # seconds, where a video's own time base is too fine
MOST_TICKS = 2**30  # from frame to frame in an MP4, hours: a damaged file may have any times


def require_av() -> None:
    """Raises an InputError where PyAV is missing."""
    if av is None:
        raise InputError("videos need PyAV: pip install 'mmseg-vittm[mmseg]', or pip install av")


def picture_of(frame: Any, size: tuple[int, int]) -> np.ndarray:
    """Returns a decoded frame, scaled to a size of (width, height), (H, W, 3) uint8 BGR, turned as its video says."""
    width, height = size
    return np.rot90(frame.to_ndarray(format='bgr24', width=width, height=height), round(frame.rotation / 90))


class VideoReader:
    """A video's frames, each with its time; used as a context manager.

    What a damaged or truncated file still gives is read.

    Args:
        file: The file.

    Attributes:
        rate: Frames a second, about.
        count: The number of frames that the file's header has, or that its duration lets expect; 0 where unknown.
        is_estimate: Whether that is from its duration.
        number: The number of frames read so far.
        scaled: How many of them had another size than the first one.
        base: Unit of the times, in seconds.

    Raises:
        InputError: It cannot be opened, or has no video.
    """

    def __init__(self, file: Path):
        require_av()
        self.file, self.number, self.scaled, self._times, self._last = file, 0, 0, [], None
        with contextlib.ExitStack() as opened:
            try:  # not by its name, which FFmpeg may take for an address or a pattern
                source = opened.enter_context(open(file, 'rb'))
                self._container = opened.enter_context(
                    av.open(source, options=dict(format_whitelist=FORMATS), metadata_errors='replace'))
            except DAMAGE as error:
                reason = getattr(error, 'strerror', None) or one_line(error)
                raise self._unreadable(reason if os.path.getsize(file) else 'the file is empty') from error
            self._stream = self._container.streams.best('video')
            if self._stream is None:
                raise self._unreadable('it has no pictures')
            self._opened = opened.pop_all()
        self._stream.thread_type = 'AUTO'
        self.rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or USUAL_RATE)
        self.base = self._stream.time_base or 1 / self.rate
        self.count, self.is_estimate = self._stream.frames, False
        if not self.count and self._container.duration:
            self.count, self.is_estimate = round(self._container.duration * self.rate / av.time_base), True

    def __enter__(self) -> 'VideoReader':
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._opened.close()

    def frames(self) -> Iterator[np.ndarray]:
        """Yields the frames, (H, W, 3) uint8 BGR, turned as the video says, all of the size of the first.

        Raises:
            InputError: There are none.
        """
        for picture, time in self.timed_frames():
            self._times.append(time)
            yield picture

    def timed_frames(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yields the frames as `frames` does, each with when it is shown, in units of `base`, the first at 0.

        Nothing is kept of them, so that `time_of` does not know them.

        Raises:
            InputError: There are none.
        """
        first = None
        for picture, time in self._decoded():
            first = time if first is None else first
            self._last = time
            self.number += 1
            yield picture, time - first
        if not self.number:
            raise self._unreadable('it has no whole frame')

    def time_of(self, number: int) -> int:
        """Returns when a frame that `frames` gave is shown, in units of `base`, the first at 0."""
        return self._times[number]

    @property
    def is_short(self) -> bool:
        """Whether fewer frames were read than the header has; an estimate may be wrong by 1 in 100, and by 1."""
        return self.number < (self.count * 0.99 - 1 if self.is_estimate else self.count)

    def _decoded(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yields what can be decoded, to the end of the file or to where it cannot be read on."""
        packets, size = self._container.demux(self._stream), None
        while True:
            packet, found = None, []
            with contextlib.suppress(*DAMAGE):  # cut short: what the decoder has is left
                packet = next(packets, None)
            with contextlib.suppress(*DAMAGE):  # a damaged packet, or the decoder was flushed already
                for frame in self._stream.decode(packet):
                    size = size or (frame.width, frame.height)
                    found.append((picture_of(frame, size), frame))
            for picture, frame in found:
                self.scaled += (frame.width, frame.height) != size
                yield picture, self._time_of(frame)
            if packet is None:
                return

    def _time_of(self, frame: Any) -> int:
        """Returns a frame's time, after that of the frame before, whatever the file says."""
        if self._last is None:
            return frame.pts or 0
        if frame.pts is not None and frame.pts > self._last:
            return frame.pts
        return self._last + max(1, round(1 / (self.rate * self.base)))

    def _unreadable(self, reason: str) -> InputError:
        return InputError(f'{self.file}: no frame could be read from this video ({reason}); give a whole video file')


class VideoWriter:
    """Writes a video (MP4) of any size, H.264 where FFmpeg has it, else MPEG-4; used as a context manager.

    Where its block ends without an error, the file was closed, and all frames could be read back.

    Args:
        path: The file.
        rate: Frames a second, about.
        base: Unit of the frames' times, in seconds.

    Raises:
        OSError: The file cannot be written, by any step.
    """

    def __init__(self, path: Path, rate: Fraction, base: Fraction):
        self._codec, self._options, finest = next(codec for codec in CODECS if codec[0] in av.codecs_available)
        self._unit, self._base = base, base if base.denominator <= finest else TICK
        self._path, self._rate, self._number, self._last, self._stream = path, rate, 0, -1, None
        with contextlib.ExitStack() as opened:
            self._sink = opened.enter_context(open(path, 'wb'))  # by Python, whose errors say what is wrong
            self._container = av.open(self._sink, 'w', format='mp4')
            opened.pop_all()

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            if kind is None:
                with _as_os_error():
                    self._container.mux(self._stream.encode(None))
                    self._container.close()
                    self._sink.close()
                    self._read_back()
        finally:
            with contextlib.suppress(*DAMAGE):
                self._container.close()
            with contextlib.suppress(OSError):
                self._sink.close()

    def write(self, picture: np.ndarray, time: int) -> None:
        """Writes a frame, (H, W, 3) uint8 RGB, shown from a time on, in units of `base`."""
        with _as_os_error():
            if self._stream is None:
                self._stream = self._new_stream(*picture.shape[:2])
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format='rgb24')
            frame.time_base, frame.duration = self._base, max(1, round(1 / (self._rate * self._base)))
            ticks = round(time * self._unit / self._base)
            frame.pts = self._last = min(max(self._last + 1, ticks), self._last + MOST_TICKS)
            self._container.mux(self._stream.encode(frame))
        self._number += 1

    def _new_stream(self, height: int, width: int) -> Any:
        stream = self._container.add_stream(self._codec, options=self._options)
        stream.width, stream.height = width, height
        # Players want 4:2:0, which in H.264 has even sizes only.
        stream.pix_fmt = 'yuv444p' if self._codec == 'libx264' and (width % 2 or height % 2) else 'yuv420p'
        stream.time_base = stream.codec_context.time_base = self._base
        stream.codec_context.framerate = self._rate
        return stream

    def _read_back(self) -> None:
        with open(self._path, 'rb') as file, av.open(file) as container:
            found = sum(1 for _ in container.decode(video=0))
        if found != self._number:
            raise OSError(f'of its {self._number} frames {found} can be read back')


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """Makes every error of FFmpeg an OSError, with the reason."""
    try:
        yield
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno in errno.errorcode:
            raise
        raise OSError(one_line(error)) from error
