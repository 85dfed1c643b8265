"""Profiles calls of segmentors by kind of operation: python benchmarks/operations.py CONFIG [CONFIG ...]"""
import argparse
import re
from collections.abc import Callable, Sequence

import torch
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

import mmseg_vittm
from mmseg_vittm.commands.measuring import add_measuring_options, make_subjects, parse_measuring_args, run_subjects
from mmseg_vittm.commands.options import run
from mmseg_vittm.commands.progress import open_console
from mmseg_vittm.inference.precision import computing_in
from mmseg_vittm.measure.benchmark.report import conditions_of, run_names
from mmseg_vittm.measure.benchmark.subject import Subject
from mmseg_vittm.measure.conditions import synchronize
from mmseg_vittm.measure.records import number, write_records

# Kind of operation -> what its names look like: PyTorch's operators on a CPU, kernels on a GPU. The first match counts.
KINDS = {
    'attention': r'scaled_dot_product|flash|fmha',
    'interpolation': r'upsample|interp',
    'matmuls': r'mm$|conv|linear|gemm|cutlass|nvjet|xmma|^sm\d+_',
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


def record(subject: Subject) -> dict:
    """Profiles a segmentor on the largest of its items so far; returns milliseconds by kind, with the conditions."""
    inputs, predict = subject.prepare(subject.largest[1])
    with torch.no_grad(), computing_in(subject.settings.dtype, subject.settings.device):
        spent = profile_call(predict, subject.settings.device)
    return conditions_of(subject) | dict(image_size=list(inputs.shape[2:]), profile_ms=spent)


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Profiles a call of each config's segmentor on the largest of some images, under PyTorch's "
        "profiler: milliseconds by kind of operation, operators' own times on a CPU, kernels' on a GPU.")
    add_measuring_options(parser, 5, 'images of which the largest is profiled (default: %(default)s)', warmup=0)
    return parse_measuring_args(parser)


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    mmseg_vittm.trust_checkpoints(args.trust_checkpoint)
    console = open_console()
    subjects = make_subjects(args)
    run_subjects(subjects, args, console)
    records = [record(subject) for subject in subjects]
    if args.json:
        write_records(args.json, records)
    console.print(profile_table(run_names(records), [row['profile_ms'] for row in records],
                                subjects[0].settings.device))


if __name__ == '__main__':
    run(main)
