"""A gentle end: a first signal lets what is under way be finished, a second one ends at once."""
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from ..interrupts import SIGNALS, USUAL, clean_end


@dataclass
class Stop:
    """Whether a run was asked to stop.

    Attributes:
        number: The signal that asked; None before.
    """
    number: int | None = None

    def __bool__(self) -> bool:
        return self.number is not None

    @property
    def name(self) -> str:
        """The signal's name."""
        return signal.Signals(self.number).name

    def leave(self) -> None:
        """Ends the process if it was asked to, as shells have it: with status 128 + the signal's number."""
        if self:
            sys.stderr.write(f'stopped by {self.name}: what came before is segmented and written\n')
            raise SystemExit(128 + self.number)


@contextlib.contextmanager
def gentle_end() -> Iterator[Stop]:
    """Makes a first SIGINT, SIGTERM or SIGHUP a request to stop; a second one does what it does in `clean_end`.

    Who runs looks at the `Stop`, ends in good order and calls `leave`.
    """
    stop, usual = Stop(), []
    if threading.current_thread() is threading.main_thread():  # which gets all signals
        usual = [number for number in SIGNALS if signal.getsignal(number) in USUAL]
    with clean_end():
        at_once = {number: signal.getsignal(number) for number in usual}

        def ask(number: int, frame: FrameType | None) -> None:
            stop.number = number
            for other, handler in at_once.items():
                signal.signal(other, handler)

        for number in usual:
            signal.signal(number, ask)
        yield stop
