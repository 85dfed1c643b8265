"""Clock: time, and waiting that ends when the run does."""
import threading
import time


class Clock:
    """Time in seconds, and waiting that ends early where the run is stopped."""

    def __init__(self):
        self._stopped = threading.Event()

    def now(self) -> float:
        """Returns the time, in seconds from some moment on."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Waits, until the run is stopped at most."""
        self._stopped.wait(max(0, seconds))

    def stop(self) -> None:
        """Ends all waiting."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Whether the run is stopped."""
        return self._stopped.is_set()
