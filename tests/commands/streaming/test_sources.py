"""Sources: a file's frames and times as VideoReader has them, a pace, and connections that break."""
from fractions import Fraction

import av
import numpy as np
import pytest
from live_streams import FakeClock
from seeing import make_video, video_frames

from mmseg_vittm.commands.segmenting.videos import VideoReader
from mmseg_vittm.commands.streaming.connection import Gone, NotOpened, Times
from mmseg_vittm.commands.streaming.live import LiveSource
from mmseg_vittm.commands.streaming.places import Place
from mmseg_vittm.commands.streaming.sources import FileSource, paced
from mmseg_vittm.errors import InputError

PLACE = Place('address', 'rtsp://me:secret@host/x', 'rtsp://host/x', 'host_x')


@pytest.mark.parametrize('times', [None, [0, 1, 5, 6, 100]])
def test_files_are_read_as_without_streaming(tmp_path, times):
    clip = make_video(tmp_path / 'clip.mp4', 5, (49, 65), rate=25, times=times)
    with VideoReader(clip) as reader:
        expected = list(reader.frames())
        expected_times = [reader.time_of(number) for number in range(5)]
    with FileSource(clip) as source:
        found, found_times = zip(*source.frames(), strict=True)
        assert (source.rate, source.base, source.count) == (reader.rate, reader.base, 5) and not source.is_live
        assert source.warnings() == []
    assert list(found_times) == expected_times and expected_times[0] == 0
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other)


def test_a_file_that_breaks_off(tmp_path):
    clip = make_video(tmp_path / 'clip.mkv', 40, noise=True)
    content = clip.read_bytes()
    clip.write_bytes(content[:len(content) // 2])
    with FileSource(clip) as source:
        found = sum(1 for _ in source.frames())
        assert source.warnings() == [f'{clip}: {found} frames could be read where its header has 40; it may be '
                                     'truncated'] and found == len(video_frames(clip)) > 5


def changing_video(path):
    """Three frames of one size and two of another, one after the other in a transport stream."""
    parts = [make_video(path.with_name(f'{n}.ts'), count, size).read_bytes()
             for n, (count, size) in enumerate(((3, (48, 64)), (2, (96, 64))))]
    path.write_bytes(b''.join(parts))
    return path


def test_frames_of_changing_size(tmp_path):
    with FileSource(changing_video(tmp_path / 'clip.mp4')) as source:
        assert [frame.shape for frame, _ in source.frames()] == [(48, 64, 3)] * 5
        assert [line for line in source.warnings() if 'size' in line] == [
            f'{tmp_path / "clip.mp4"}: 2 frames of another size were scaled to the size of the first one']


def test_pace():
    """Frames come when they are due; after a delay of whoever takes them, those that are late come at once."""
    clock, came = FakeClock(), []
    frames = [('a', 4), ('b', 5), ('c', 8), ('d', 9), ('e', 20)]
    for name, _ in paced(iter(frames), Fraction(1, 10), clock):
        came.append((name, round(clock.now() - 100, 6)))
        clock.time += 0.35 if name == 'b' else 0.01
    assert came == [('a', 0), ('b', 0.1), ('c', 0.45), ('d', 0.5), ('e', 1.6)]


@pytest.mark.parametrize('base', [Fraction(1, 90_000), Fraction(1, 25)])
def test_times_go_on(base):
    times = Times(base, leap=10)
    assert times.of(50.0, 0.0) == 0
    assert times.of(50.2, 5.0) == round(0.2 / base)  # its own time, late though it came
    assert times.of(50.2, 5.4) == round(0.6 / base)  # stands still: what passed
    assert times.of(None, 5.8) == round(1.0 / base)
    assert times.of(50.0, 6.2) == round(1.4 / base)  # no time before it to go on from
    assert times.of(9000.0, 6.6) == round(1.8 / base)  # its clock was set
    assert times.of(9001.0, 6.6) == round(2.8 / base)
    times.restart()
    assert times.of(0.0, 9.6) == round(5.8 / base)
    assert times.of(0.0, 9.6) == round(5.8 / base) + 1  # never twice
    assert Times(base).of(1e6, 0) == 0
    free = Times(base)
    free.of(0.0, 0.0)
    assert free.of(3600.0, 0.1) == round(3600 / base)


class FakeConnection:
    """Frames at tenths of seconds from some time on; breaks then, for a reason or without."""
    rate, base = Fraction(10), Fraction(1, 1000)

    def __init__(self, clock, sizes, reason='', seconds=None, begin=0):
        self.begin = begin
        self.clock, self.sizes, self.reason, self.seconds = clock, sizes, reason, seconds
        self.is_finite, self.is_closed = seconds is not None, False

    def frames(self):
        for number, size in enumerate(self.sizes):
            self.clock.time += 0.1
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), number, np.uint8), format='rgb24')
            frame.pts, frame.time_base = 10 * self.begin + number, Fraction(1, 10)
            yield frame
        if self.reason:
            raise Gone(self.reason)

    def close(self):
        self.is_closed = True


def source_of(connections, reconnect=60.0):
    """A source that gets these connections; None of them cannot be opened. And its clock."""
    clock, opened = FakeClock(), []
    left = [one and FakeConnection(clock, *one) for one in connections]

    def connect(place, timeout):
        assert place is PLACE and timeout == 3
        one = left.pop(0) if left else None
        if one is None:
            raise NotOpened(place, 'Connection refused')
        opened.append(one)
        return one
    return LiveSource(PLACE, clock, 3, reconnect, connect), clock, opened


SIZE = (4, 6)


def test_it_comes_back(log_lines):
    source, clock, opened = source_of([([SIZE] * 3, 'Broken pipe'), None, None, ([SIZE] * 2, '', None, 5), ([], 'x'),
                                       None, ([SIZE] * 2, 'Broken pipe')], reconnect=5)
    with source:
        assert source.is_live and source.count == 0
        found = []
        with pytest.raises(InputError, match=r'rtsp://host/x: gone for 5 s \(Connection refused\); .*segmented'):
            for picture, time in source.frames():
                found.append((int(picture[0, 0, 0]), time))
    # Pauses of 0.5, 1 and 2 s, then 0.1 s to a frame; then of 0.5 (nothing came), 1 and 2 s.
    assert found == [(0, 0), (1, 100), (2, 200), (0, 3800), (1, 3900), (0, 7500), (1, 7600)]
    assert clock.waits[:6] == [0.5, 1, 2, 0.5, 1, 2] and clock.waits[6:] == [0.5, 1, 2, 1.5]
    assert source.reconnects == 2 and all(one.is_closed for one in opened) and len(opened) == 4
    said = log_lines.of('WARNING')
    assert len(said) == 12 and sum('is away (Broken pipe)' in line for line in said) == 2
    assert sum('is back' in line for line in said) == 2 and 'secret' not in ' '.join(said)
    assert 'for 5 s more at most' in said[0] and 'connecting again in 0.5 s' in said[0]


def test_long_outages_are_tried_now_and_then():
    source, clock, _ = source_of([([SIZE], 'x')], reconnect=60)
    with source, pytest.raises(InputError, match='gone for 60 s'):
        list(source.frames())
    assert clock.waits == [0.5, 1, 2, 4, 8, 10, 10, 10, 10, 4.5] and sum(clock.waits) == 60


def test_its_end_is_the_end_without_reconnecting():
    source, clock, _ = source_of([([SIZE] * 3, '')], reconnect=0)
    with source:
        assert len(list(source.frames())) == 3 and not clock.waits and not source.warnings()
    source, clock, _ = source_of([([SIZE] * 3, 'Broken pipe')], reconnect=0)
    with source, pytest.raises(InputError, match=r'rtsp://host/x: gone \(Broken pipe\)'):
        list(source.frames())
    source, _, _ = source_of([([], '')], reconnect=0)
    with source, pytest.raises(InputError, match=r'rtsp://host/x: no frame could be read from it \(it ended\)'):
        list(source.frames())


@pytest.mark.parametrize('reason', ['', 'Input/output error'])
def test_a_video_on_a_server_ends(reason):
    source, clock, opened = source_of([([SIZE] * 3, reason, 0.5)])
    with source:
        assert not source.is_live and source.count == 5
        assert [time for _, time in source.frames()] == [0, 100, 200] and not clock.waits and len(opened) == 1
        assert source.warnings() == ([f'rtsp://host/x: broke off after 3 frames ({reason})'] if reason else [])
    source, _, _ = source_of([([], 'Input/output error', 0.5)])
    with source, pytest.raises(InputError, match='no frame could be read from it .Input/output error'):
        list(source.frames())


def test_another_size_is_scaled():
    source, _, _ = source_of([([SIZE, (8, 10)], 'x'), ([(5, 5), SIZE], '')], reconnect=1)
    with source:
        frames = source.frames()
        assert [next(frames)[0].shape for _ in range(4)] == [(4, 6, 3)] * 4
        assert source.warnings() == ['rtsp://host/x: 2 frames of another size were scaled to the size of the first one']


def test_a_stopped_run_does_not_connect_again():
    source, clock, opened = source_of([([SIZE], 'x'), ([SIZE], 'x')])
    own = clock.wait

    def stop(seconds):
        own(seconds)
        clock.stop()
    clock.wait = stop
    with source:
        assert len(list(source.frames())) == 1 and len(opened) == 1


def test_what_cannot_be_opened():
    source, _, _ = source_of([])
    with pytest.raises(NotOpened, match=r'rtsp://host/x: cannot be opened \(Connection refused\); check'):
        source.__enter__()
