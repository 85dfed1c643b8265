"""Connection: a camera or an address that was opened once, for as long as frames come."""
import contextlib
import math
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from ...errors import InputError, one_line
from ..segmenting.videos import DAMAGE, USUAL_RATE, av, require_av
from .places import Place

HIGHEST_RATE = 1000  # frames a second: more is a clock's, not a camera's


class Gone(Exception):
    """A connection broke; its text is why, without the address."""


class NotOpened(InputError):
    """A camera or an address cannot be opened.

    Args:
        place: Which.
        reason: Why.
    """

    def __init__(self, place: Place, reason: str):
        self.reason = reason
        super().__init__(f'{place.shown}: cannot be opened ({reason}); check that it is there and that its name is '
                         'right')


class Connection:
    """An open camera or address.

    Args:
        place: Which.
        timeout: Seconds that opening it, and waiting for what comes next, may take.

    Attributes:
        rate: Frames a second, about.
        base: Unit of its times, in seconds.
        seconds: Its length; None where it has no end that is known.
        is_finite: Whether it is a whole video, which ends some time.

    Raises:
        NotOpened: It cannot be opened, or has no pictures.
    """

    def __init__(self, place: Place, timeout: float):
        require_av()
        self._timeout, asked = timeout, time.monotonic()
        with contextlib.ExitStack() as opened:
            try:
                self._container = opened.enter_context(
                    av.open(place.target, format=place.format, options=dict(place.options), metadata_errors='replace',
                            timeout=(timeout, timeout)))
            except DAMAGE as error:  # whose text has the address with its password
                raise NotOpened(place, _reason(error, time.monotonic() - asked, timeout)) from None
            self._stream = self._container.streams.best('video')
            if self._stream is None:
                raise NotOpened(place, 'it has no pictures')
            self._opened = opened.pop_all()
        self._stream.thread_type = 'SLICE'  # threads that take a frame each would hold frames back
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.rate = Fraction(rate if rate and 0 < rate <= HIGHEST_RATE else USUAL_RATE)
        self.base = self._stream.time_base or 1 / self.rate
        duration = self._container.duration
        self.seconds = None if duration is None else duration / av.time_base
        self.is_finite = duration is not None or place.kind == 'address' and self._container.size > 0

    def frames(self) -> Iterator[Any]:
        """Yields PyAV's frames until the connection ends.

        Raises:
            Gone: It broke, or nothing came for too long.
        """
        packets = self._container.demux(self._stream)
        while True:
            asked = time.monotonic()
            try:
                packet = next(packets, None)
            except DAMAGE as error:
                raise Gone(_reason(error, time.monotonic() - asked, self._timeout)) from None
            if packet is None:
                return
            found = []
            with contextlib.suppress(*DAMAGE):  # a damaged packet
                found = self._stream.decode(packet)
            yield from found

    def close(self) -> None:
        """Closes it."""
        with contextlib.suppress(*DAMAGE):
            self._opened.close()


def _reason(error: Exception, waited: float, timeout: float) -> str:
    """Returns why FFmpeg failed, in words without the address."""
    if isinstance(error, av.error.ExitError) or waited >= timeout:
        return f'no answer for {timeout:g} s'
    if isinstance(error, av.error.ProtocolNotFoundError):
        return "this PyAV's FFmpeg cannot read such addresses"
    return getattr(error, 'strerror', None) or one_line(type(error)())


class Times:
    """When the frames of a source are shown, whatever its own times say: later by what passed, after every frame.

    A source's own times count where they go on: not after a new connection, where they begin anew, nor where the
    source's clock was set.

    Args:
        base: Unit of the times given out, in seconds.
        leap: Seconds that a source's time may go on by beyond the time that passed.
    """

    def __init__(self, base: Fraction, leap: float = math.inf):
        self._base, self._leap = base, leap
        self._own = self._arrived = self._last = None

    def restart(self) -> None:
        """Says that the source's own times begin anew."""
        self._own = None

    def of(self, own: float | None, arrived: float) -> int:
        """Returns a frame's time in units of `base`, later than the frame before; the first is at 0.

        Args:
            own: What the source says, in seconds; None where it says nothing.
            arrived: When it arrived, in seconds of a clock.
        """
        if self._last is None:
            found = 0
        else:
            passed = arrived - self._arrived
            if own is not None and self._own is not None and 0 < own - self._own <= passed + self._leap:
                passed = own - self._own
            found = self._last + max(1, round(passed / self._base))
        self._own, self._arrived, self._last = own, arrived, found
        return found
