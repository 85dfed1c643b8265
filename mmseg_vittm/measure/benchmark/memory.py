"""Peak memory of one call: allocated on a GPU, resident on a CPU."""
import ctypes
import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

STATUS, CLEAR = Path('/proc/self/status'), Path('/proc/self/clear_refs')
MIB = 2**20


def peak_memory(model: nn.Module, call: Callable[[], object], device: torch.device) -> float | None:
    """Runs a call and returns the most memory it needed at once, with the model's weights, in MiB.

    On a GPU that is what PyTorch allocated; on a CPU what the process's resident memory grew by, read from Linux,
    which misses what was served from memory that the process held free.

    Returns:
        The peak, or None on a system that does not tell.
    """
    weights = sum(tensor.numel() * tensor.element_size() for tensor in (*model.parameters(), *model.buffers()))
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        torch.cuda.synchronize(device)
        return (weights + torch.cuda.max_memory_allocated(device) - before) / MIB
    try:
        ctypes.CDLL(None).malloc_trim(0)
        CLEAR.write_text('5')  # resets the high-water mark: proc(5)
        before = _status('VmRSS')
        call()
        return weights / MIB + max(0.0, _status('VmHWM') - before)
    except (AttributeError, OSError, TypeError):  # no glibc, no Linux, or not allowed to
        return None


def _status(name: str) -> float:
    """Returns a line of the process's status in MiB."""
    found = re.search(rf'^{name}:\s*(\d+) kB$', STATUS.read_text(), flags=re.MULTILINE)
    if found is None:
        raise OSError(f'{STATUS} has no {name}')
    return int(found.group(1)) / 1024
