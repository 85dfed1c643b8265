"""Heap: memory that the C library keeps free, given back to the system."""
import ctypes
import os
from pathlib import Path

STATM = Path('/proc/self/statm')
MIB = 2**20


def resident_memory() -> float | None:
    """Returns this process's resident memory in MiB; None on a system that does not tell as Linux does."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / MIB
    except (OSError, ValueError, IndexError):
        return None


class Heap:
    """Keeps resident memory from growing by what is free.

    glibc takes tensors of up to 32 MiB from its heap, and keeps there what they leave, in pieces that those of images
    of other sizes do not fit. With images of 200 sizes these pieces come to some 200 MiB.

    Args:
        slack: MiB that resident memory may grow by before what is free is given back, which takes milliseconds.
    """

    def __init__(self, slack: float = 24):
        self.slack = slack
        self._least = resident_memory()
        try:
            self._give_back = ctypes.CDLL(None).malloc_trim
        except (AttributeError, OSError, TypeError):  # another C library, or Windows
            self._give_back = None

    def trim(self) -> None:
        """Gives free memory back, where resident memory has grown by more than the slack since the last time."""
        now = resident_memory()
        if now is None or self._give_back is None or now <= self._least + self.slack:
            return
        self._give_back(0)
        self._least = resident_memory()
