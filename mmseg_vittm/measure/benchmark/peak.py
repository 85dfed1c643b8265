"""Peak memory of one call: allocated on a GPU, resident on a CPU."""
from collections.abc import Callable

import torch
from torch import nn

from ...inference import host_memory

MIB = 2**20


def peak_mib(model: nn.Module, call: Callable[[], object], device: torch.device) -> float | None:
    """Runs a call and returns the most memory it needed at once, with the model's weights, in MiB.

    On a GPU that is what PyTorch allocated; on a CPU what the process's resident memory grew by, which misses what was
    served from memory that the process held free.

    Returns:
        The peak, or None on a system that does not tell.
    """
    weights = sum(tensor.numel() * tensor.element_size() for tensor in (*model.parameters(), *model.buffers())) / MIB
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        torch.cuda.synchronize(device)
        return weights + (torch.cuda.max_memory_allocated(device) - before) / MIB
    growth = host_memory.peak_growth(call)
    return None if growth is None else weights + growth
