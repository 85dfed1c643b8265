"""Stages: frames are read, segmented and written at the same time; bounds, dropping, ends."""
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from live_streams import FakeClock, FakePredictor, FakeSource

from mmseg_vittm.commands.streaming.clock import Clock
from mmseg_vittm.commands.streaming.queues import BoundedQueue
from mmseg_vittm.commands.streaming.speed import Speed
from mmseg_vittm.commands.streaming.stages import AHEAD, LIVE_AHEAD, Reading, Writing, segment_frames
from mmseg_vittm.commands.streaming.stopping import Stop
from mmseg_vittm.errors import InputError, OutputError


class FakeSegments:
    """Notes what is written; `before(N)` is called before the N-th prediction."""

    def __init__(self, before=lambda number: None):
        self.before, self.written, self.ended = before, [], []

    def write(self, prediction, time_of_frame):
        self.before(len(self.written))
        self.written.append((int(prediction.labels[0, 0]), time_of_frame))

    def finish(self):
        self.ended.append('finished')

    def discard(self):
        self.ended.append('discarded')


class Stages:
    """All three of them, on fakes."""

    def __init__(self, source, predictor=None, segments=None, realtime=False, clock=None, stop=None):
        self.clock, self.stop, self.speed = clock or Clock(), Stop() if stop is None else stop, Speed()
        self.predictor, self.segments = predictor or FakePredictor(), segments or FakeSegments()
        self.reading, self.writing, self.steps = Reading(source, self.clock, realtime), Writing(self.segments), 0

    def run(self):
        self.reading.start()
        self.reading.is_open.wait()
        failure = segment_frames(self.predictor, self.reading, self.writing, self.speed, self.clock, self.stop,
                                 self._after_each)
        self.reading.join(5)
        assert not self.reading.is_alive() and not self.writing.is_alive() and self.clock.is_stopped
        return failure

    def _after_each(self, prediction):
        self.steps += 1


def until(condition) -> None:
    """Waits for something that another thread does."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, 'it did not come about'
        time.sleep(0.001)


def test_every_frame_of_a_file_is_written():
    stages = Stages(FakeSource(300))
    assert stages.run() is None
    assert stages.segments.written == [(number % 256, number) for number in range(300)]
    assert stages.segments.ended == ['finished'] and stages.steps == stages.speed.latency.count == 300
    assert stages.reading.is_whole and stages.reading.queue.dropped == 0
    assert stages.reading.queue.fullest <= AHEAD and stages.writing.queue.fullest <= AHEAD


def test_a_slow_model_holds_the_reader_back():
    source = FakeSource(100)
    stages = Stages(source, FakePredictor(lambda number: until(
        lambda: source.given == min(100, number + 1 + AHEAD + 1) or stages.reading.queue.is_cancelled)))
    assert stages.run() is None and len(stages.segments.written) == 100
    assert stages.reading.queue.fullest == AHEAD


def test_a_slow_disk_holds_the_model_back():
    """Between the model and the disk are never more than AHEAD results, one that is written and one that is made."""
    ahead = []
    predictor = FakePredictor()
    segments = FakeSegments(lambda number: (time.sleep(0.002), ahead.append(len(predictor.seen) - number)))
    stages = Stages(FakeSource(60), predictor, segments)
    assert stages.run() is None and len(segments.written) == 60
    assert max(ahead) <= AHEAD + 2 and stages.writing.queue.fullest == AHEAD


@pytest.mark.parametrize('every', [3, 7])
def test_late_frames_are_dropped_in_realtime(every):
    """A model that takes as long as some frames of the camera sees every so many, the newest there is."""
    source = FakeSource(50, is_live=True)
    own = source.frames

    def frames():
        for frame, number in own():
            until(lambda number=number: number <= every * (len(stages.predictor.seen) + 1) - 1)
            yield frame, number
    source.frames = frames

    def wait(number):
        until(lambda: stages.reading.queue.taken_in >= min(50, every * number + 1))
    stages = Stages(source, FakePredictor(wait), realtime=True)
    assert stages.run() is None
    queue, seen = stages.reading.queue, stages.predictor.seen
    assert queue.fullest == 1 and queue.taken_in == 50 and queue.dropped == 50 - len(seen) > 50 / every
    assert seen == sorted(set(seen)) and seen[-1] == 49
    assert [number for number, _ in stages.segments.written] == seen == [time for _, time in stages.segments.written]


def test_a_live_source_waits_so_far_and_no_further():
    source = FakeSource(200, is_live=True)
    stages = Stages(source, FakePredictor(lambda number: until(lambda: source.given == 200)))
    assert stages.run() is None
    queue = stages.reading.queue
    assert queue.fullest == LIVE_AHEAD and queue.dropped == 200 - LIVE_AHEAD - len(stages.predictor.seen[:-LIVE_AHEAD])
    assert stages.predictor.seen[-LIVE_AHEAD:] == list(range(200 - LIVE_AHEAD, 200))


def test_few_large_frames_wait():
    """Memory is bounded in bytes too."""
    queue = BoundedQueue(64, drops=True)
    for _ in range(30):
        queue.put(0, 25 << 20)
    assert queue.fullest == 10


def test_a_file_in_realtime_has_a_cameras_pace():
    """Frames are due every tenth of a second of the clock, which only the reader's waiting moves."""
    clock = FakeClock()
    stages = Stages(FakeSource(30), realtime=True, clock=clock)
    assert stages.run() is None
    assert sum(clock.waits) == pytest.approx(2.9) and len(clock.waits) == 29
    assert stages.reading.queue.dropped + len(stages.predictor.seen) == 30


def test_latency():
    """From a live frame's arrival to its result; from the beginning of its turn, where it waits for that anyway."""
    for is_live in (True, False):
        clock, source = FakeClock(), FakeSource(10, is_live)
        stages = Stages(source, clock=clock)

        def before(number, clock=clock, source=source):
            if number == 0:
                until(lambda: source.given >= (10 if source.is_live else 5))
            clock.time += 1
        stages.predictor.before = before
        assert stages.run() is None
        assert stages.speed.latency.quantile(1) == pytest.approx(10 if is_live else 1, rel=0.011), is_live


@pytest.mark.parametrize('is_live', [True, False])
def test_stopped(is_live):
    """The frame under way is finished, those that wait for the model are left out."""
    stop = Stop()

    def before(number):
        if number == 20:
            stop.number = 2
    stages = Stages(FakeSource(10**9, is_live, pause=0.0005), FakePredictor(before), stop=stop)
    assert stages.run() is None
    assert len(stages.segments.written) == 21 and stages.segments.ended == ['finished']
    assert not stages.reading.is_whole


def test_stopped_while_no_frame_comes():
    source, stop = FakeSource(3, is_live=True), Stop()
    own = source.frames

    def frames():
        yield from own()
        stop.number = 15
        until(lambda: stages.clock.is_stopped)
    source.frames = frames
    stages = Stages(source, stop=stop)
    assert stages.run() is None and stages.segments.ended == ['finished']


def test_the_source_fails():
    stages = Stages(FakeSource(7, error=InputError('fake: gone for 5 s')))
    assert str(stages.run()) == 'fake: gone for 5 s'
    assert len(stages.segments.written) == 7 and stages.segments.ended == ['finished']
    stages = Stages(FakeSource(7, error=KeyError('a bug')))
    with pytest.raises(KeyError, match='a bug'):
        stages.run()
    assert stages.segments.ended == ['finished']


def test_a_frame_cannot_be_segmented():
    stages = Stages(FakeSource(100), FakePredictor(fails_at=5))
    assert str(stages.run()) == 'fake: frame 5: the model fails on frames of 8 x 6 pixels'
    assert [number for number, _ in stages.segments.written] == [0, 1, 2, 3, 4]
    assert stages.segments.ended == ['finished']


def test_results_cannot_be_written():
    def full(number):
        if number == 5:
            raise OutputError('out', 'No space left on device', 'make room')
    stages = Stages(FakeSource(10**9), segments=FakeSegments(full))
    with pytest.raises(OutputError, match='No space left'):
        stages.run()
    assert len(stages.segments.written) == 5 and stages.segments.ended == ['discarded']


def test_ended_at_once():
    """As by a second signal: what is half is removed."""
    def before(number):
        if number == 5:
            raise SystemExit(130)
    stages = Stages(FakeSource(10**9), FakePredictor(before))
    with pytest.raises(SystemExit):
        stages.run()
    stages.writing.join(5)
    stages.reading.join(5)
    assert stages.segments.ended == ['discarded'] and not stages.reading.is_alive()


def test_no_thread_is_left():
    before = threading.active_count()
    Stages(FakeSource(5)).run()
    assert threading.active_count() == before


def test_memory_does_not_grow():
    """Frames are gone once they are written, however many there were."""
    size, alive = (100, 1000), []

    class Source(FakeSource):
        def frames(self):
            for number in range(400):
                yield np.full((*size, 3), number % 256, np.uint8), number

    def most(number):
        pages = int(Path('/proc/self/statm').read_text().split()[1])
        alive.append(pages * 4096)
    stages = Stages(Source(400), FakePredictor(most))
    assert stages.run() is None and len(stages.segments.written) == 400
    assert max(alive[50:]) - alive[50] < 50 * 300_000  # of 120 MB that went through
