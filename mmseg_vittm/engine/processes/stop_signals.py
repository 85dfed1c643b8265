"""Signals that ask a training run to stop: noted, and answered when the run can be saved."""
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from mmengine.dist import is_main_process

from ...errors import TrainingStopped

STOPS = tuple(getattr(signal, name) for name in ('SIGTERM', 'SIGUSR1', 'SIGINT') if hasattr(signal, name))
_END_OF_WATCH = b'\0'  # no signal has this number


class StopSignals:
    """What the signals of `STOPS` do while it is entered: the first is noted, a second SIGINT ends the process at once.

    Until `deferred` is set there is nothing to save, and the first ends the process at once too, by `TrainingStopped`.
    A signal that the caller's code handles, or ignores, is left to it; so are all outside of the main thread.

    Attributes:
        requested: The signal that came, None before.
        deferred: Whether the run looks at `requested` by itself and stops where it can be saved.
    """

    def __init__(self):
        self.requested: signal.Signals | None = None
        self.deferred = False
        self._process = os.getpid()
        self._earlier: dict = {}
        self._pipe: tuple[int, int] | None = None

    def __enter__(self) -> 'StopSignals':
        if threading.current_thread() is threading.main_thread():  # which gets all signals
            for number in STOPS:
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._earlier[number] = signal.signal(number, self._note)
        if signal.SIGINT in self._earlier:
            self._watch()
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
        if self._pipe is not None:
            signal.set_wakeup_fd(-1)
            os.write(self._pipe[1], _END_OF_WATCH)

    def _watch(self) -> None:
        """Has a thread of its own see each signal: the main one sees none while it waits for another process."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        other = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        if other != -1:  # of an event loop of the caller's
            signal.set_wakeup_fd(other)
            os.close(reading)
            os.close(writing)
            return
        self._pipe = reading, writing
        threading.Thread(target=self._end_at_second_interrupt, args=self._pipe, daemon=True).start()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a fork of this process, which stops it if it has to
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            return
        if self.requested is not None:
            return
        self.requested = signal.Signals(number)
        if not self.deferred:
            raise TrainingStopped(f'{self.requested.name} before the first iteration: there is nothing to save')
        if is_main_process():
            again = 'another SIGINT ends' if number == signal.SIGINT else 'two SIGINTs end'
            more = f'; {again} it at once' if self._pipe else ''
            os.write(2, f'{self.requested.name}: this run ends after its iteration, and saves it{more}\n'.encode())

    @staticmethod
    def _end_at_second_interrupt(reading: int, writing: int) -> None:
        interrupts, came = 0, b''
        while _END_OF_WATCH not in came:
            came = os.read(reading, 64)
            interrupts += came.count(signal.SIGINT)
            if interrupts > 1:
                os.write(2, b'error: a second SIGINT: ended at once, what was saved before is whole; go on from there '
                         b'with --resume\n')
                os._exit(128 + signal.SIGINT)
        os.close(reading)
        os.close(writing)


_entered: StopSignals | None = None
_mask: set = set()


@contextlib.contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Enters `StopSignals`, or gives the one that is entered already."""
    global _entered
    if _entered is not None:
        yield _entered
        return
    with StopSignals() as _entered:
        try:
            yield _entered
        finally:
            _entered = None


def _hold_signals() -> None:
    """Before a fork: a signal to the fork is none to this process, whose pipe it still has."""
    if _entered is not None:
        _mask.update(signal.pthread_sigmask(signal.SIG_BLOCK, STOPS))


def _release_signals() -> None:
    if _entered is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _mask)
        _mask.clear()


def _release_in_fork() -> None:
    if _entered is not None and threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)
    _release_signals()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(before=_hold_signals, after_in_parent=_release_signals, after_in_child=_release_in_fork)
