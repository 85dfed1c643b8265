"""Times the matmuls of backbone and head alone beside the network: python benchmarks/matmuls.py CONFIG [CONFIG ...]

That is the time below which no implementation with the same matrix products, convolutions and attention comes.
"""
import argparse
import time
from collections.abc import Callable

import torch
from rich.table import Table
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import mmseg_vittm
from mmseg_vittm.commands.measuring import add_measuring_options, make_subjects, parse_measuring_args, run_subjects
from mmseg_vittm.commands.options import run
from mmseg_vittm.commands.progress import open_console
from mmseg_vittm.errors import InputError
from mmseg_vittm.inference.precision import computing_in
from mmseg_vittm.measure.benchmark.report import conditions_of, run_names
from mmseg_vittm.measure.benchmark.stages import Call
from mmseg_vittm.measure.benchmark.subject import Subject
from mmseg_vittm.measure.conditions import synchronize
from mmseg_vittm.measure.records import number, write_records


class MatmulRecorder(TorchDispatchMode):
    """Notes every matrix product, convolution and attention that runs under it.

    Weights are kept as they are. Activations are replaced by random tensors of their shape, stride and type, one of
    each kind, so that nothing of the forward pass stays in memory.

    Args:
        model: Whose weights are kept.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.calls: list[tuple[Callable, list, dict]] = []
        self._weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
        self._stand_ins: dict[tuple, Tensor] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Runs an operation, and notes it if it is a matmul."""
        kwargs = kwargs or {}
        if func._overloadpacket in flop_registry or 'scaled_dot_product' in func.name():
            self.calls.append((func, [self._stand_in(arg) for arg in args],
                               {name: self._stand_in(arg) for name, arg in kwargs.items()}))
        return func(*args, **kwargs)

    def _stand_in(self, value: object) -> object:
        if not isinstance(value, Tensor):
            return value
        if value.untyped_storage().data_ptr() in self._weights:
            return value.detach()
        kind = value.shape, value.stride(), value.dtype, value.device
        if kind not in self._stand_ins:
            self._stand_ins[kind] = torch.empty_strided(*kind[:2], dtype=value.dtype, device=value.device).normal_()
        return self._stand_ins[kind]


def matmul_seconds(recorder: MatmulRecorder, device: torch.device) -> float:
    """Returns how long the noted matmuls take, one after the other, without anything between them."""
    synchronize(device)
    start = time.perf_counter()
    for func, args, kwargs in recorder.calls:
        func(*args, **kwargs)
    synchronize(device)
    return time.perf_counter() - start


class MatmulSubject(Subject):
    """A segmentor under measurement, and after each of its calls the matmuls of that call alone."""

    def __init__(self, *args):
        super().__init__(*args)
        self.recorded: dict[tuple, MatmulRecorder] = {}
        self.seconds: list[float] = []

    @torch.no_grad()
    def run(self, index: int, keep: bool = True) -> Call:
        """Times the model on item `index`, then its matmuls."""
        call = super().run(index, keep)
        with computing_in(self.settings.dtype, self.settings.device):
            seconds = matmul_seconds(self._matmuls(call.shapes, index), self.settings.device)
        if keep:
            self.seconds.append(seconds)
        return call

    def _matmuls(self, shapes: list[tuple[int, ...]], index: int) -> MatmulRecorder:
        """Returns the matmuls of backbone and head for inputs of these shapes, noted once and run once."""
        key = tuple(shapes)
        if key not in self.recorded:
            recorder = self.recorded[key] = MatmulRecorder(self.model)
            self.timer.record(recorder, self.prepare(index)[1])
            matmul_seconds(recorder, self.settings.device)
        return self.recorded[key]

    def record(self) -> dict:
        """Returns the mean milliseconds per call of network and matmuls, and their ratio, with the conditions."""
        network = sum(call.stages['backbone'] + call.stages['head'] for call in self.calls)
        matmuls, count = sum(self.seconds), len(self.calls)
        return conditions_of(self) | dict(
            images=count, network_ms=1000 * network / count, matmuls_ms=1000 * matmuls / count,
            network_over_matmuls=network / matmuls)


def table(records: list[dict]) -> Table:
    """Returns a table of the records."""
    result = Table(caption='backbone and head, and their matmuls alone, in the same turn; mean per call')
    for title in ('config', 'network ms', 'matmuls ms', 'ratio'):
        result.add_column(title, justify='left' if title == 'config' else 'right', overflow='fold')
    for name, row in zip(run_names(records), records, strict=True):
        result.add_row(name, number(row['network_ms']), number(row['matmuls_ms']), f'{row["network_over_matmuls"]:.2f}')
    return result


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Times the matrix products, convolutions and attention of a config's backbone and head alone, on "
        'the same weights and on random activations of the same shapes, beside the network itself: image by image, in '
        'turns with the other configs.')
    add_measuring_options(parser, 10, 'images to measure (default: %(default)s)', warmup=1)
    return parse_measuring_args(parser)


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    mmseg_vittm.trust_checkpoints(args.trust_checkpoint)
    if args.compile or any('compile' in text.split(':') for text in args.segmentor or ()):
        raise InputError('matmuls are those of eager models: leave out compile')
    console = open_console()
    subjects = make_subjects(args, MatmulSubject)
    run_subjects(subjects, args, console)
    for subject in subjects:
        if not subject.calls[0].shapes:
            raise InputError(f'{subject.path}: {type(subject.model).__name__} has no backbone and head to look into')
    records = [subject.record() for subject in subjects]
    if args.json:
        write_records(args.json, records)
    console.print(table(records))


if __name__ == '__main__':
    run(main)
