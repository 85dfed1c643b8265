"""An orderly end where a command that writes files is asked to stop: none of them is left half."""
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = [getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGHUP') if hasattr(signal, name)]
USUAL = (signal.SIG_DFL, signal.default_int_handler)  # and not what the user's own code has set


@contextlib.contextmanager
def clean_end() -> Iterator[None]:
    """Makes SIGINT, SIGTERM and SIGHUP an exception, so that files being written are removed.

    The process then ends with one line and, as shells have it, status 128 + the signal's number.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():  # which gets all signals
        before = {number: handler for number in SIGNALS if (handler := signal.getsignal(number)) in USUAL}
    try:
        for number in before:
            signal.signal(number, _stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    for other in SIGNALS:  # a second one must not end the clearing up
        signal.signal(other, signal.SIG_IGN)
    sys.stderr.write(f'\nstopped by {signal.Signals(number).name}: what was written is whole, the rest is missing\n')
    raise SystemExit(128 + number)
