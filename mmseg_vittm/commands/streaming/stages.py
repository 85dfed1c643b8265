"""Stages of a stream, a thread each: frames are read, segmented and written at the same time, by bounded queues."""
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from mmengine.logging import MMLogger

from ...errors import InputError
from ...inference.prediction import Prediction
from ...inference.predictor import Predictor
from .clock import Clock
from .queues import POLL, BoundedQueue
from .segments import Segments
from .sources import Source, paced
from .speed import Speed
from .stopping import Stop

AHEAD = 4  # frames that are read before they are segmented, and results that wait to be written
LIVE_AHEAD = 64  # frames of a live source that wait, before the oldest of them is dropped
PATIENCE = 2.0  # seconds that a thread has to end after a second signal


@dataclass(frozen=True)
class Frame:
    """A frame on its way.

    Attributes:
        picture: (H, W, 3) uint8 BGR.
        time: When it is shown, in units of the source's `base`.
        arrived: When it came, in seconds of the run's clock; None for one that came because it was asked for.
    """
    picture: np.ndarray
    time: int
    arrived: float | None


class Reading(threading.Thread):
    """The first stage: opens a source and reads it to its end, or until its queue is cancelled.

    Where frames are to be dropped, the newest one waits; else a live source's frames wait up to `LIVE_AHEAD`, and any
    other source waits itself.

    Args:
        source: What to read.
        clock: Time.
        realtime: Drop frames that are late; a file is read at its own pace.

    Attributes:
        is_open: Set once the source is open, or could not be opened.
        queue: The frames; there once the source is open.
        failure: Why reading ended before its end; None where it did not.
        is_whole: Whether all frames were read.
    """

    def __init__(self, source: Source, clock: Clock, realtime: bool = False):
        super().__init__(name='reading', daemon=True)  # a read that waits for a camera must not hold up the end
        self.source, self.is_open = source, threading.Event()
        self.queue, self.failure, self.is_whole = None, None, False
        self._clock, self._realtime = clock, realtime

    def run(self) -> None:
        """Reads."""
        try:
            with self.source as source:
                is_live = source.is_live
                most = 1 if self._realtime else LIVE_AHEAD if is_live else AHEAD
                self.queue = BoundedQueue(most, drops=self._realtime or is_live)
                self.is_open.set()
                frames = source.frames()
                if self._realtime and not is_live:
                    frames = paced(frames, source.base, self._clock)
                comes_itself = self._realtime or is_live
                for picture, time in frames:
                    arrived = self._clock.now() if comes_itself else None
                    if not self.queue.put(Frame(picture, time, arrived), picture.nbytes):
                        break
                else:
                    self.is_whole = True
        except BaseException as error:  # is raised in the main thread
            self.failure = error
        finally:
            self.is_open.set()
            if self.queue is not None:
                self.queue.end()


class Writing(threading.Thread):
    """The last stage: writes predictions until their queue ends; where that is cancelled, what is half is removed.

    Args:
        segments: Writes them.

    Attributes:
        queue: Pairs of a prediction and its time.
        failure: Why writing ended; None where it did not.
    """

    def __init__(self, segments: Segments):
        super().__init__(name='writing', daemon=True)
        self.queue, self.failure, self._segments = BoundedQueue(AHEAD), None, segments

    def run(self) -> None:
        """Writes."""
        try:
            for prediction, time in self.queue:
                self._segments.write(prediction, time)
            if self.queue.is_cancelled:
                self._segments.discard()
            else:
                self._segments.finish()
        except BaseException as error:  # is raised in the main thread
            self.failure = error
            self.queue.cancel()
            self._segments.discard()


def segment_frames(predictor: Predictor, reading: Reading, writing: Writing, speed: Speed, clock: Clock, stop: Stop,
                   after_each: Callable[[Prediction], None]) -> InputError | None:
    """The stage between both, in the caller's thread, to the end of the frames or of the run; ends both others.

    Args:
        predictor: Segments the frames.
        reading: Is open.
        writing: Is started here.
        speed: Is told of every frame.
        clock: Time; is stopped at the end.
        stop: Asks to end with the frame that is being segmented; those that wait for it are left out.
        after_each: Called with every frame's prediction.

    Returns:
        Why the frames ended before their end, if they did: the source is gone, or a frame cannot be segmented. What
        came before is written.

    Raises:
        OutputError: Results cannot be written.
    """
    under_way: deque[tuple[int, float]] = deque()  # times of frames, and when they came

    def frames() -> Iterator[np.ndarray]:
        while (frame := reading.queue.take(lambda: bool(stop))) is not None:
            under_way.append((frame.time, clock.now() if frame.arrived is None else frame.arrived))
            yield frame.picture

    failure = None
    writing.start()
    try:
        try:
            for prediction in predictor.stream(frames()):
                time, arrived = under_way.popleft()
                speed.add(arrived, clock.now())
                if not writing.queue.put((prediction, time)):
                    break
                after_each(prediction)
        except InputError as error:
            failure = InputError(f'{reading.source.shown}: {error}')
        clock.stop()
        reading.queue.cancel()
        writing.queue.end()
        if stop:
            MMLogger.get_current_instance().info(f'{stop.name}: the results under way are being finished; a second one '
                                                 'ends at once, and loses the video that is being written')
        while writing.is_alive():
            writing.join(POLL)
    except BaseException:
        writing.queue.cancel()
        writing.join(PATIENCE)
        raise
    finally:
        clock.stop()
        reading.queue.cancel()
    for error in (writing.failure, None if stop else reading.failure):
        if error is not None and not isinstance(error, InputError):
            raise error
        failure = failure or error
    return failure
