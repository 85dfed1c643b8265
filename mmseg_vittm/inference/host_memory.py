"""Host memory: what the process holds of it, and what the C library does with what is freed.

One policy: training keeps freed pages (`keep_freed`), a process that serves gives them back now and then (`Trimmer`,
which `Predictor` uses), single predictions do neither.
"""
import ctypes
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch

MIB = 2**20
STATM, STATUS, CLEAR_REFS = (Path('/proc/self') / name for name in ('statm', 'status', 'clear_refs'))
MOST = 2**31 - 1
FOLLOWS = 0.01  # how far what is usual goes towards what is, at every batch
THRESHOLDS = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h

_keeps = threading.Event()


def resident() -> float | None:
    """Returns the host memory that this process has, in MiB; None on a system that does not tell as Linux does."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / MIB
    except (OSError, ValueError, IndexError):
        return None


def peak_growth(call: Callable[[], object]) -> float | None:
    """Runs a call once, and returns the MiB that resident memory grew by at its peak; what is free is trimmed before.

    What the call is served from memory that glibc could not give back is missed. None where the system does not tell,
    or does not let the peak be reset.
    """
    trim()
    try:
        CLEAR_REFS.write_text('5')  # resets the peak: proc(5)
        before = _status('VmRSS')
    except OSError:
        before = None
    call()
    peak = _status('VmHWM')
    return None if before is None or peak is None else max(0.0, peak - before)


def trim() -> bool:
    """Gives the free memory of the C library back to the system; returns whether this is glibc, which can."""
    malloc_trim = _glibc('malloc_trim')
    if malloc_trim is not None:
        malloc_trim(0)
    return malloc_trim is not None


def keep_freed() -> bool:
    """Tells glibc to keep freed blocks for the next iteration of training; returns whether it took effect.

    Where there is no GPU, fresh pages for every iteration's 150-channel maps cost a third of the time of training;
    with this, memory stays at its peak, and a `Trimmer` of this process trims no more.
    """
    mallopt = None if torch.cuda.is_available() else _glibc('mallopt')
    if mallopt is None or not all(mallopt(option, MOST) for option in THRESHOLDS):
        return False
    _keeps.set()
    return True


class Trimmer:
    """Keeps resident memory of a process that serves from growing by what is free, at a bounded cost.

    glibc takes tensors of up to 32 MiB from its heap and keeps there what they leave. After a batch that is larger
    than most, that is more than the next images need; it would stay, and grow with every batch that is larger still.

    Called after every batch, it trims where resident memory is more than it usually is by the slack. What is usual
    follows slowly, so that a process which needs more in earnest is not trimmed for ever.

    Args:
        slack: In MiB.
        share: Of the time, that trimming may take at most.
    """

    def __init__(self, slack: float = 16, share: float = 0.01):
        self.slack, self.share = slack, share
        self._usual: float | None = None
        self._next = 0.0  # when the last trim has paid for itself
        self._turn = threading.Lock()

    def __call__(self) -> None:
        """Trims, where that is due."""
        now, start = resident(), time.monotonic()
        if now is None or _keeps.is_set() or not self._turn.acquire(blocking=False):
            return
        try:
            most = (now if self._usual is None else self._usual) + self.slack
            if now > most and start >= self._next:
                trim()
                end = time.monotonic()
                self._next = end + (end - start) / self.share
            usual = most - self.slack
            self._usual = usual + FOLLOWS * (min(now, most) - usual)
        finally:
            self._turn.release()


def _glibc(name: str) -> Callable[..., int] | None:
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return None


def _status(name: str) -> float | None:
    """Returns a line of the process's status in MiB; None where there is none."""
    try:
        found = re.search(rf'^{name}:\s*(\d+) kB$', STATUS.read_text(), flags=re.MULTILINE)
    except OSError:
        return None
    return int(found.group(1)) / 1024 if found else None
