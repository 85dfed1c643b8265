"""LiveSource: a camera or an address, connected again where it goes away."""
from collections.abc import Callable, Generator, Iterator
from types import TracebackType

import numpy as np
from mmengine.logging import MMLogger

from ...errors import InputError
from ..segmenting.videos import DAMAGE, picture_of
from .clock import Clock
from .connection import Connection, Gone, NotOpened, Times
from .places import Place
from .sources import sizes_changed

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds before a try to connect again, each time twice the one before
LEAP = 10.0  # seconds that a camera's clock may go on by beyond the time that passed


class LiveSource:
    """A camera or an address; see `Source`.

    One that has an end, such as a video on a web server, ends there, and waits while nobody reads on. Any other goes
    on until it is gone for good: where its connection breaks, it is connected again.

    Args:
        place: Which.
        clock: Time.
        timeout: Seconds that opening, and waiting for the next frame, may take.
        reconnect: Seconds in which it must be back, each time that it goes away; 0 takes its end for the end.
        connect: Opens a connection.
    """

    def __init__(self, place: Place, clock: Clock, timeout: float = 10, reconnect: float = 60,
                 connect: Callable[[Place, float], Connection] = Connection):
        self.shown, self.reconnects = place.shown, 0
        self._open = lambda: connect(place, timeout)
        self._clock, self._reconnect, self._logger = clock, reconnect, MMLogger.get_current_instance()
        self._number, self._scaled, self._size, self._broken = 0, 0, None, ''
        self._until, self._pause = None, FIRST_PAUSE  # while it is away: when it must be back, before the next try

    def __enter__(self) -> 'LiveSource':
        connection = self._connection = self._open()
        self.rate, self.base, self.is_live = connection.rate, connection.base, not connection.is_finite
        self.count = round((connection.seconds or 0) * self.rate)
        self._times = Times(self.base, LEAP) if self.is_live else Times(self.base)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._connection.close()

    def frames(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yields the frames of one connection after the other; see `Source`."""
        while True:
            broken = yield from self._of_connection()
            if not self.is_live:
                self._broken = broken
                break
            if not self._reconnect:
                if broken:
                    raise self._lost(broken)
                break
            if not self._connect_again(broken or 'it ended'):
                return
        if not self._number:
            raise InputError(f'{self.shown}: no frame could be read from it ({self._broken or "it ended"}); give the '
                             'address of a video')

    def warnings(self) -> list[str]:
        """Returns whether it broke off, or frames had other sizes."""
        found = [f'{self.shown}: broke off after {self._number} frames ({self._broken})'] if self._broken else []
        return found + sizes_changed(self.shown, self._scaled)

    def _of_connection(self) -> Generator[tuple[np.ndarray, int], None, str]:
        """Yields the frames of a connection with their times; returns why it broke, '' where it ended."""
        try:
            for frame in self._connection.frames():
                size = frame.width, frame.height
                self._size = self._size or size
                try:
                    picture = picture_of(frame, self._size)
                except DAMAGE:
                    continue
                if self._until is not None:
                    self._until, self.reconnects = None, self.reconnects + 1
                    self._logger.warning(f'{self.shown}: is back')
                self._scaled += size != self._size
                self._number += 1
                yield picture, self._times.of(frame.time, self._clock.now())
        except Gone as gone:
            return str(gone)
        return ''

    def _connect_again(self, reason: str) -> bool:
        """Connects again where a connection broke; returns whether it could before the run was stopped.

        Raises:
            InputError: It was away for too long.
        """
        self._connection.close()
        self._times.restart()
        if self._until is None:
            self._until, self._pause = self._clock.now() + self._reconnect, FIRST_PAUSE
        while True:
            left = self._until - self._clock.now()
            if left <= 0:
                raise self._lost(reason)
            pause = min(self._pause, left)
            self._logger.warning(f'{self.shown}: is away ({reason}); connecting again in {pause:.1f} s, for '
                                 f'{left:.0f} s more at most')
            self._clock.wait(pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            if self._clock.is_stopped:
                return False
            try:
                self._connection = self._open()
            except NotOpened as error:
                reason = error.reason
            else:
                return True

    def _lost(self, reason: str) -> InputError:
        waited = f' for {self._reconnect:g} s' if self._reconnect else ''
        return InputError(f'{self.shown}: gone{waited} ({reason}); what it gave before is segmented; begin again, '
                          'into another folder, once it is there, or give it more time to come back')
