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

    glibc takes tensors of up to 32 MiB from its heap, and keeps there what they leave, in pieces that those of images
    of other sizes do not fit. With images of 200 sizes these pieces come to some 200 MiB.

    Args:
        slack: MiB that resident memory may grow by before what is free is given back.
        share: Of the time, that trimming may take.
    """

    def __init__(self, slack: float = 24, share: float = 0.01):
        self.slack, self.share = slack, share
        self._least, self._next = resident(), 0.0
        self._turn = threading.Lock()

    def __call__(self) -> None:
        """Trims, where memory has grown by more than the slack and the last trim is long enough ago for its cost."""
        start = time.monotonic()
        if start < self._next or self._least is None or _keeps.is_set() or not self._turn.acquire(blocking=False):
            return
        try:
            if resident() > self._least + self.slack:
                trim()
                self._least, end = resident(), time.monotonic()
                self._next = end + (end - start) / self.share
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
