"""Live streams on loopback: an MPEG transport stream by TCP, HTTP or RTSP; and fakes of clocks, sources and models."""
import io
import socket
import struct
import threading
import time
from fractions import Fraction

import av
import numpy as np

from mmseg_vittm.commands.streaming.clock import Clock
from mmseg_vittm.errors import InputError
from mmseg_vittm.inference.prediction import Prediction

PACKET = 7 * 188  # bytes of a transport stream that go into a packet
RESPONSE = b'HTTP/1.1 200 OK\r\n'


def transport_stream(count: int = 12, size: tuple[int, int] = (48, 64), rate: int = 10) -> bytes:
    """A video whose frame N has the brightness 20 * N, in a container without an index."""
    sink = io.BytesIO()
    with av.open(sink, 'w', format='mpegts') as video:
        stream = video.add_stream('libx264', rate=rate, options=dict(preset='ultrafast', tune='zerolatency', g='5'))
        (stream.height, stream.width), stream.pix_fmt = size, 'yuv420p'
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 20 * number % 256, np.uint8), format='rgb24')
            frame.pts, frame.time_base = number, Fraction(1, rate)
            video.mux(stream.encode(frame))
        video.mux(stream.encode(None))
    return sink.getvalue()


class Served:
    """A server on loopback: every connection gets the next content, then it is closed.

    Args:
        scheme: `'tcp'`, `'http'` or `'rtsp'`.
        contents: What the connections get; None never answers. After the last one nobody listens any more.
        header: Lines of an HTTP response.
    """

    def __init__(self, scheme: str, *contents: bytes | None, header: bytes = b'Content-Type: video/mp2t\r\n'):
        self.scheme, self.contents, self.header, self.asked = scheme, contents, header, []
        self._listening = socket.create_server(('127.0.0.1', 0))
        self.port, self._open = self._listening.getsockname()[1], []
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, path: str = '', login: str = '') -> str:
        return f'{self.scheme}://{login}127.0.0.1:{self.port}{path}'

    def close(self) -> None:
        for one in (self._listening, *self._open):
            one.close()

    def _serve(self) -> None:
        for number, content in enumerate(self.contents, 1):
            try:
                connection = self._listening.accept()[0]
            except OSError:
                return
            self._open.append(connection)
            if number == len(self.contents):
                self._listening.close()
            if content is None:
                continue
            try:
                getattr(self, f'_{self.scheme}')(connection, content)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            except OSError:  # the reader has gone
                pass
            connection.close()

    def _tcp(self, connection: socket.socket, content: bytes) -> None:
        connection.sendall(content)

    def _http(self, connection: socket.socket, content: bytes) -> None:
        self.asked.append(connection.recv(65536).decode())
        connection.sendall(RESPONSE + self.header + b'\r\n' + content)

    def _rtsp(self, connection: socket.socket, content: bytes) -> None:
        """As a camera does: the stream in RTP packets (RFC 2250) within the connection."""
        with connection.makefile('rb') as lines:
            while True:
                asked = []
                while (line := lines.readline().decode().strip()):
                    asked.append(line)
                if not asked:
                    return
                self.asked.append('\n'.join(asked))
                method, more, body = asked[0].split()[0], '', ''
                if method == 'DESCRIBE':
                    more = 'Content-Type: application/sdp\r\n'
                    body = '\r\n'.join(('v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=x', 't=0 0', 'm=video 0 RTP/AVP 33',
                                        'a=control:track1', ''))
                elif method == 'SETUP':
                    more = 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n'
                number = next(line for line in asked if line.startswith('CSeq'))
                length = f'Content-Length: {len(body)}\r\n'
                connection.sendall(f'RTSP/1.0 200 OK\r\n{number}\r\n{more}{length}\r\n{body}'.encode())
                if method == 'PLAY':
                    break
        for number, at in enumerate(range(0, len(content), PACKET)):
            packet = struct.pack('>BBHII', 0x80, 33, number, 90 * number, 1) + content[at:at + PACKET]
            connection.sendall(b'$\0' + struct.pack('>H', len(packet)) + packet)


class FakeClock(Clock):
    """A clock that goes on only where somebody waits, or says so.

    Attributes:
        waits: How long it was waited, each time.
    """

    def __init__(self):
        super().__init__()
        self.time, self.waits = 100.0, []

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += max(0, seconds)


class FakeSource:
    """A source of pictures that hold their number: picture N is shown at N / rate seconds."""

    def __init__(self, count: int, is_live: bool = False, error: Exception | None = None, size=(6, 8), rate: int = 10,
                 pause: float = 0):
        self.pause = pause
        self.shown, self.rate, self.base, self.count = 'fake', Fraction(rate), Fraction(1, rate), 0
        self.is_live, self.reconnects, self.error = is_live, 0, error
        self.total, self.size, self.given = count, size, 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.is_closed = True

    def frames(self):
        for number in range(self.total):
            self.given += 1
            time.sleep(self.pause)
            yield np.full((*self.size, 3), number % 256, np.uint8), number
        if self.error is not None:
            raise self.error

    def warnings(self):
        return []


class FakePredictor:
    """Predicts that every pixel's label is its first channel; `before(N)` is called before the N-th frame."""

    def __init__(self, before=lambda number: None, fails_at: int | None = None):
        self.before, self.fails_at, self.seen = before, fails_at, []

    def stream(self, frames):
        for number, frame in enumerate(frames):
            self.before(number)
            if number == self.fails_at:
                raise InputError(f'frame {number}: the model fails on frames of 8 x 6 pixels')
            self.seen.append(int(frame[0, 0, 0]))
            yield Prediction(f'frame {number}', frame[..., ::-1], frame[..., 0].copy(), ('a', 'b'), ((0, 0, 0),) * 256)
