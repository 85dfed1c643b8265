"""Segments: a stream's overlays and labels as they come, each segment whole before the next one needs it."""
import contextlib
import threading
from fractions import Fraction

from PIL import Image

from ...inference.prediction import Prediction
from ...outputs import whole_file, whole_folder
from ..segmenting.results import frames_in
from ..segmenting.videos import VideoWriter
from .results import StreamResults


class Segments:
    """Writes a stream's predictions: one overlay video and one folder of label maps, or a pair of them per segment.

    What is being written has a temporary name (`.NAME.RANDOM.part.mp4`). A segment that is full is closed and read
    back by a thread of its own, while the next one is written.

    Args:
        results: Where to.
        rate: Frames a second, about.
        base: Unit of the frames' times, in seconds.
        seconds: Length of a segment; 0 for one that has no end.
        opacity: Weight of the labels' colours in overlays, 0 to 1.

    Attributes:
        count: How many segments were begun.
        closed: How many are whole and have their names.
    """

    def __init__(self, results: StreamResults, rate: Fraction, base: Fraction, seconds: float = 0,
                 opacity: float = 0.5):
        self._results, self._rate, self._base, self._opacity = results, rate, base, opacity
        self._length = seconds / base if seconds else None
        self.count = self.closed = 0
        self._segment: _Segment | None = None
        self._closing: threading.Thread | None = None
        self._failure: BaseException | None = None

    def write(self, prediction: Prediction, time: int) -> None:
        """Writes a frame's overlay and labels.

        Args:
            prediction: What was seen in it.
            time: When it is shown, in units of `base`.

        Raises:
            InputError: Results are there already, of somebody else.
            OutputError: It could not be written; the segment is gone, those before are whole.
        """
        if self._segment and self._length and time - self._segment.begin >= self._length:
            self._close()
        if self._segment is None:
            number = self.count if self._length else None
            self._results.refuse_existing(number)
            self._segment = _Segment(self._results, number, self._rate, self._base, time)
            self.count += 1
        try:
            self._segment.write(prediction, time, self._opacity)
        except BaseException as error:
            segment, self._segment = self._segment, None
            segment.discard(error)
            raise

    def finish(self) -> None:
        """Closes the last segment; what an earlier run wrote under the stream's name is gone then.

        Raises:
            OutputError: It could not be written; it is gone, those before are whole.
        """
        if self._segment is not None:
            self._close()
        self._settle()
        if self.count and self._results.overwrite:
            self._results.remove_others(range(self.count) if self._length else [None])

    def discard(self) -> None:
        """Removes what is being written; segments that were full stay."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.discard(_Discarded())
        if self._closing is not None:
            self._closing.join()

    def _close(self) -> None:
        """Closes the segment in a thread of its own, after the one before."""
        self._settle()
        segment, self._segment = self._segment, None

        def close() -> None:
            try:
                segment.close()
                self.closed += 1
            except BaseException as error:  # is raised in the thread that writes
                self._failure = error
        self._closing = threading.Thread(target=close, daemon=True)
        self._closing.start()

    def _settle(self) -> None:
        """Waits for the segment that is being closed."""
        if self._closing is not None:
            self._closing.join()
            self._closing = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure


class _Discarded(Exception):
    """What is being written is not wanted any more."""


class _Segment:
    """An overlay video and a folder of label maps that are being written; see `Segments`."""

    def __init__(self, results: StreamResults, number: int | None, rate: Fraction, base: Fraction, begin: int):
        self.begin, self._written, self._writer, self._folder = begin, 0, None, None
        with contextlib.ExitStack() as opened:
            overlay = opened.enter_context(whole_file(results.overlay_of(number))) if results.overlays else None
            if results.labels:
                self._folder = opened.enter_context(whole_folder(results.labels_of(number), frames_in))
            if overlay is not None:
                self._writer = opened.enter_context(VideoWriter(overlay, rate, base))
            self._opened = opened.pop_all()

    def write(self, prediction: Prediction, time: int, opacity: float) -> None:
        """Writes a frame; an error is an OSError."""
        if self._writer is not None:
            self._writer.write(prediction.overlay(opacity), time - self.begin)
        if self._folder is not None:
            Image.fromarray(prediction.labels).save(self._folder / f'{self._written:06d}.png')
        self._written += 1

    def close(self) -> None:
        """Closes the video, reads it back, and gives both their names."""
        self._opened.close()

    def discard(self, error: BaseException) -> None:
        """Removes both because of an error.

        Raises:
            OutputError: The error is one of writing.
        """
        self._opened.__exit__(type(error), error, error.__traceback__)
