"""Measures ViTTM's classifiers in timm: python benchmarks/classifiers.py --json RESULTS.json"""
import argparse
import os
import random
import statistics
import time

import timm
import torch
from rich.table import Table
from torch import nn

import mmseg_vittm.vittm  # noqa: F401  (registers with timm)
from mmseg_vittm.commands.measuring import positive
from mmseg_vittm.commands.options import run
from mmseg_vittm.commands.progress import open_console
from mmseg_vittm.measure.complexity.counting import count_parameters, fvcore_multiply_adds
from mmseg_vittm.measure.conditions import cpu_flags, describe_machine, versions
from mmseg_vittm.measure.records import number, write_records
from mmseg_vittm.outputs import claim_file

RIVALS = ('vit_base_patch32_224', 'vit_base_patch16_224')
SHAPE = (1, 3, 224, 224)


def in_turns(models: dict[str, nn.Module], batch_size: int, rounds: int) -> dict[str, list[float]]:
    """Returns seconds per batch by model, in turns of a shuffled order (seeded), after a round that does not count.

    They are the process's own time on one core, of which other work on the machine takes little.

    Args:
        models: In evaluation, on the CPU.
        batch_size: Images per batch, random ones of 224 pixels.
        rounds: Batches per model that count.
    """
    images = torch.randn(batch_size, *SHAPE[1:], generator=torch.Generator().manual_seed(0))
    seconds = {name: [] for name in models}
    torch.set_num_threads(1)
    with torch.inference_mode():
        for turn in range(rounds + 1):
            for name in random.Random(turn).sample(list(models), len(models)):
                start = time.process_time()
                models[name](images)
                if turn:
                    seconds[name].append(time.process_time() - start)
    return seconds


def measure(names: list[str], timed: list[str], batch_size: int, rounds: int) -> list[dict]:
    """Returns a record per model: parameters, multiply-adds as the paper counts and, where timed, images per second."""
    records, models = {}, {}
    for name in names:
        model = timm.create_model(name).eval().requires_grad_(False)
        records[name] = dict(model=name, params_m=count_parameters(model) / 1e6,
                             gflops=fvcore_multiply_adds(model, SHAPE) / 1e9)
        if name in timed:
            models[name] = model
    timings = in_turns(models, batch_size, rounds)
    conditions = dict(batch_size=batch_size, rounds=rounds, dtype='fp32', mode='eager, in turns, shuffled',
                      clock='process_time', machine=describe_machine(torch.device('cpu')), flags=cpu_flags(),
                      versions=versions())
    for name, seconds in timings.items():
        rates = [batch_size / one for one in seconds]
        records[name] |= dict(images_per_s=statistics.median(rates), quartiles=statistics.quantiles(rates, n=4)[::2],
                              load=[round(value, 1) for value in os.getloadavg()])
    return [record | conditions for record in records.values()]


def table(records: list[dict]) -> Table:
    """Returns a table of the records."""
    result = Table(caption='at 224 pixels; GFLOPs are multiply-adds as the paper counts them; median images per second '
                   'of one core')
    for title in ('model', 'parameters (M)', 'GFLOPs', 'images per second'):
        result.add_column(title, justify='left' if title == 'model' else 'right', overflow='fold')
    for row in records:
        result.add_row(row['model'], f'{row["params_m"]:.1f}', f'{row["gflops"]:.2f}', number(row.get('images_per_s')))
    return result


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description='Counts parameters and multiply-adds of the ViTTM classifiers in timm, and times those of the base '
        "size in turns with timm's ViT-B/32 and ViT-B/16, on the CPU.")
    parser.add_argument('--batch-size', type=positive, metavar='N', default=8,
                        help='images per batch (default: %(default)s)')
    parser.add_argument('--rounds', type=positive, metavar='N', default=9,
                        help='batches per model (default: %(default)s)')
    parser.add_argument('--json', metavar='FILE', help='also write the records to this file')
    parser.add_argument('--overwrite', action='store_true', help='replace that file')
    return parser.parse_args()


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    if args.json:
        claim_file(args.json, args.overwrite)
    ours = timm.list_models('vittm*')
    timed = [name for name in ours if 'base' in name] + list(RIVALS)
    records = measure(ours + list(RIVALS), timed, args.batch_size, args.rounds)
    if args.json:
        write_records(args.json, records)
    open_console().print(table(records))


if __name__ == '__main__':
    run(main)
