"""Connections to servers on loopback, by FFmpeg itself."""
import re
import time
from dataclasses import replace

import numpy as np
import pytest
from live_streams import FakeClock, Served, transport_stream

from mmseg_vittm.commands.segmenting import videos
from mmseg_vittm.commands.streaming.connection import Connection, Gone, NotOpened
from mmseg_vittm.commands.streaming.live import LiveSource
from mmseg_vittm.commands.streaming.places import Place, find_place
from mmseg_vittm.errors import InputError

LOGIN = 'me:secret@'


def brightness(frame) -> int:
    return round(frame.to_ndarray(format='rgb24').mean() / 20)


@pytest.mark.parametrize('scheme', ['tcp', 'http', 'rtsp'])
def test_frames_come(scheme):
    served = Served(scheme, transport_stream(12))
    connection = Connection(find_place(served.url('/cam', LOGIN)), 5)
    found = []
    try:
        for frame in connection.frames():
            found.append((brightness(frame), frame.width, frame.height, round(frame.time, 3)))
    except Gone:  # a response of HTTP without a length, which ended
        assert scheme == 'http'
    finally:
        connection.close()
    first = found[0][3]
    expected = [(number, 64, 48, round(first + number / 10, 3)) for number in range(12)]
    assert found == expected[:len(found)] and len(found) >= 12 - (scheme == 'rtsp')  # the last has no packet after it
    assert (connection.rate, connection.is_finite, connection.seconds) == (10, False, None)
    assert scheme == 'tcp' or 'secret' not in served.asked[0]


@pytest.mark.parametrize('whole', [True, False])
def test_a_video_on_a_server(whole):
    """It has an end; where the connection breaks before, what came is there, with a warning."""
    content = transport_stream(12)
    length = b'Content-Length: %d\r\n' % len(content)
    served = Served('http', content if whole else content[:len(content) // 2], header=length)
    with LiveSource(find_place(served.url('/clip.ts')), FakeClock(), 5) as source:
        assert not source.is_live
        found = [round(frame.mean() / 20) for frame, _ in source.frames()]
        assert found == list(range(len(found))) and (len(found) == 12) == whole and len(found) > 3
        warned = source.warnings()
    assert len(warned) == 1 - whole and all(f'broke off after {len(found)} frames' in line for line in warned)


@pytest.mark.parametrize('scheme', ['tcp', 'http', 'rtsp'])
def test_it_comes_back(scheme, log_lines):
    served, clock = Served(scheme, *[transport_stream(6)] * 3), FakeClock()
    numbers, times = [], []
    with LiveSource(find_place(served.url('/cam', LOGIN)), clock, 5, 4) as source:
        with pytest.raises(InputError, match=f'{served.url("/cam")}: gone for 4 s .Connection refused'):
            for frame, time_of in source.frames():
                numbers.append(round(frame.mean() / 20))
                times.append(time_of)
    of_one = len(numbers) // 3
    assert of_one >= 5 and numbers == [*range(of_one)] * 3 and source.reconnects == 2
    seconds = np.diff(times) * float(source.base)
    assert seconds == pytest.approx(([0.1] * (of_one - 1) + [0.5]) * 2 + [0.1] * (of_one - 1), abs=0.001)
    assert 'secret' not in ' '.join(line for _, line in log_lines)


@pytest.mark.parametrize('scheme', ['tcp', 'http', 'rtsp'])
def test_no_answer(scheme):
    served = Served(scheme, None)
    began = time.monotonic()
    with pytest.raises(NotOpened, match=re.escape(f'{served.url("/cam")}: cannot be opened (no answer for 0.3 s)')):
        Connection(find_place(served.url('/cam', LOGIN)), 0.3)
    assert time.monotonic() - began < 5
    served.close()


def test_silence_after_some_frames():
    class Silent(Served):
        def _tcp(self, connection, content):
            connection.sendall(content)
            time.sleep(3)
    served = Silent('tcp', transport_stream(8))
    connection, found = Connection(find_place(served.url()), 0.4), 0
    with pytest.raises(Gone, match='no answer for 0.4 s'):
        for _ in connection.frames():
            found += 1
    assert found >= 7
    connection.close()


def test_nobody_is_there():
    served = Served('tcp')
    served.close()
    for scheme in ('tcp', 'http', 'rtsp', 'rtmp'):
        with pytest.raises(NotOpened, match=f'{scheme}://127.0.0.1:{served.port}/x: cannot be opened .') as caught:
            Connection(find_place(f'{scheme}://{LOGIN}127.0.0.1:{served.port}/x'), 2)
        error = caught.value
        while error is not None:  # nor may a traceback show it
            assert 'secret' not in str(error)
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_no_video():
    for content in (b'no video' * 1000, b'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n' * 50,
                    b'ffconcat version 1.0\nfile /etc/passwd\n' * 50):
        with pytest.raises(NotOpened, match='cannot be opened'):
            Connection(find_place(Served('http', content).url('/x')), 2)


def test_a_playlist_is_not_followed():
    """FFmpeg would fetch what it names, wherever that is."""
    def playlist():
        lines = ('#EXTM3U', '#EXT-X-TARGETDURATION:1', '#EXTINF:1,', other.url('/clip.ts'), '#EXT-X-ENDLIST', '')
        content = '\n'.join(lines).encode()
        return Served('http', content, header=b'Content-Length: %d\r\n' % len(content)).url('/x.m3u8')
    other = Served('http', *[transport_stream(8)] * 9)
    place = find_place(other.url('/x'))
    with pytest.raises(NotOpened):
        Connection(replace(place, target=playlist()), 2)
    assert not other.asked
    with videos.av.open(playlist(), options=place.options | dict(format_whitelist='hls,mpegts'), timeout=(2, 2)):
        assert other.asked


def test_protocols_are_kept_to():
    """What the options say FFmpeg obeys: an HTTP address of a place that allows TCP alone."""
    served = Served('http', transport_stream(8))
    place = find_place(served.url('/x'))
    with pytest.raises(NotOpened):
        Connection(replace(place, options=place.options | dict(protocol_whitelist='tcp')), 2)
    served.close()


def test_what_this_ffmpeg_cannot_read(monkeypatch):
    class Missing(videos.av.error.ProtocolNotFoundError):
        pass

    def fail(*arguments, **keywords):
        raise Missing(1, 'Protocol not found', 'srt://secret')
    monkeypatch.setattr(videos.av, 'open', fail)
    with pytest.raises(NotOpened, match="srt://host:9: .* .this PyAV's FFmpeg cannot read such") as caught:
        Connection(find_place('srt://host:9'), 1)
    assert 'secret' not in str(caught.value)


def test_a_cameras_options_reach_ffmpeg(monkeypatch):
    """With a fake in FFmpeg's place: there is no camera here."""
    asked = {}

    def fake_open(target, **options):
        asked.update(options, target=target)
        raise videos.av.error.OSError(19, 'No such device', target)
    monkeypatch.setattr(videos.av, 'open', fake_open)
    place = Place('camera', '/dev/video3', '/dev/video3', 'video3', 'v4l2', dict(video_size='64x48', framerate='5'))
    with pytest.raises(NotOpened, match='/dev/video3: cannot be opened .No such device'):
        Connection(place, 7)
    assert asked['target'] == '/dev/video3' and asked['format'] == 'v4l2' and asked['timeout'] == (7, 7)
    assert asked['options'] == dict(video_size='64x48', framerate='5')


def test_without_pyav(monkeypatch):
    monkeypatch.setattr(videos, 'av', None)
    with pytest.raises(InputError, match='pip install'):
        Connection(find_place('tcp://127.0.0.1:1'), 1)
