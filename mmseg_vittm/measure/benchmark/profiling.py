"""Where the time of a call goes, by kind of operation, as PyTorch's profiler sees it."""
import re
from collections.abc import Callable, Sequence

import torch
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from ..conditions import synchronize
from ..records import number

# Kind of operation -> what its names look like: PyTorch's operators on a CPU, kernels on a GPU. The first match counts.
KINDS = {
    'attention': r'scaled_dot_product|flash|fmha',
    'interpolation': r'upsample|interp',
    'matrix products': r'mm$|conv|linear|gemm|cutlass|nvjet|xmma|^sm\d+_',
    'softmax': r'softmax',
    'norms': r'norm',
    'argmax': r'argmax|_label_kernel|ArgMax',
    'copies': r'copy|cat$|clone|contiguous|pad|stack|index|fill|zero|Memcpy|Memset|CatArray',
    'elementwise': r'gelu|elu|add|mul|div|sub|sum|exp|sigmoid|clamp|sqrt|elementwise|reduce|triton_|graph_|cpp_fused',
}


def kind_of(name: str) -> str:
    """Returns the kind of an operation; `'other'` holds Python's and PyTorch's own bookkeeping too."""
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name)), 'other')


def profile_call(call: Callable[[], object], device: torch.device, repeat: int = 3) -> dict[str, float]:
    """Returns milliseconds per call by kind of operation, the largest first.

    On a CPU they are the operators' own times, on a GPU the kernels', without the gaps between them.

    Args:
        call: What to profile; it has run before.
        device: Where it runs.
        repeat: How many calls to take the mean of.
    """
    kind = ProfilerActivity.CUDA if device.type == 'cuda' else ProfilerActivity.CPU
    synchronize(device)
    with profile(activities=[kind], acc_events=True) as profiler:
        for _ in range(repeat):
            call()
        synchronize(device)
    spent: dict[str, float] = {}
    for event in profiler.key_averages():
        own = event.self_device_time_total if device.type == 'cuda' else event.self_cpu_time_total
        if own:
            name = kind_of(event.key)
            spent[name] = spent.get(name, 0.0) + own / 1000 / repeat
    return dict(sorted(spent.items(), key=lambda entry: -entry[1]))


def profile_table(names: Sequence[str], profiles: Sequence[dict[str, float]], device: torch.device) -> Table:
    """Returns a table of milliseconds per kind of operation, a column per run."""
    what = "kernels' times, without gaps" if device.type == 'cuda' else "operators' own times"
    table = Table(caption=f'ms per call by kind of operation, under the profiler: {what}')
    table.add_column('kind')
    for name in names:
        table.add_column(name, justify='right', overflow='fold')
    for kind in [*KINDS, 'other']:
        if any(kind in spent for spent in profiles):
            table.add_row(kind, *(number(spent.get(kind)) for spent in profiles))
    table.add_row('in all', *(number(sum(spent.values())) for spent in profiles))
    return table
