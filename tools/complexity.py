"""Counts parameters and FLOPs: python tools/complexity.py CONFIG, or --paper 1|2|3|4|5|8|all, or --ttm"""
import argparse
import os

from rich.console import Console

import mmseg_vittm  # noqa: F401  (registers)
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.measuring import pixels, positive
from mmseg_vittm.commands.options import add_config_options, run
from mmseg_vittm.commands.progress import Reporter, open_console
from mmseg_vittm.errors import InputError, one_line
from mmseg_vittm.measure.benchmark.images import Crops
from mmseg_vittm.measure.complexity import paper
from mmseg_vittm.measure.complexity.inventory import count_parts, summary
from mmseg_vittm.measure.complexity.rebuild import rebuild, table
from mmseg_vittm.measure.complexity.ttm_growth import count_growth, growth_records
from mmseg_vittm.measure.complexity.ttm_table import notes, rebuild_steps, steps_table
from mmseg_vittm.measure.conditions import describe_machine, resolve_device
from mmseg_vittm.measure.plots.ttm_costs import claim_plot, write_costs
from mmseg_vittm.measure.records import write_records
from mmseg_vittm.outputs import claim_file


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Counts parameters, multiply-adds (GFLOPs) and activations of a config's backbone and segmentor "
        "for one input, or rebuilds the rows of the ViTTM paper's tables beside the paper's figures, or the cost table "
        'of the slides of Token Turing Machines.')
    parser.add_argument('config', nargs='?', metavar='CONFIG', help='a config file of MMSegmentation')
    add_config_options(parser)
    parser.add_argument('--size', type=pixels, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                        help="input in pixels (default: the config's crop)")
    parser.add_argument('--paper', choices=[*map(str, paper.TABLES), 'all'], metavar='TABLE',
                        help='1, 2, 3, 4, 5, 8 or all: rebuild that table of the paper; 5 has the rows of 8, of '
                             'which it is a part, and all leaves it out')
    parser.add_argument('--ttm', action='store_true',
                        help='GFLOPs per step of Token Turing Machines, LSTM and transformers over the past, beside '
                             "the slides' figures")
    parser.add_argument('--plot', metavar='FILE',
                        help='with --ttm: draw there, as .svg or .png, what a step costs as a video gets longer')
    parser.add_argument('--latency', action='store_true',
                        help="with --paper: measure the latency of a batch by the paper's protocol, the median over at "
                        'least 8 seconds per row')
    parser.add_argument('--batch-size', type=positive, metavar='N', help='with --latency (default: 256, as the paper)')
    parser.add_argument('--device', help='with --latency: cpu, cuda or cuda:N (default: the GPU if there is one)')
    parser.add_argument('--json', metavar='FILE', help='write the results there')
    parser.add_argument('--overwrite', action='store_true', help='replace a FILE that is there already')
    args = parser.parse_args()
    if (args.config is not None) + (args.paper is not None) + args.ttm != 1:
        parser.error('give one of a CONFIG, --paper TABLE and --ttm')
    if args.latency and args.paper is None:
        parser.error('--latency goes with --paper; tools/benchmark.py measures configs')
    if args.config is None and (args.size or args.cfg_options or args.data_root):
        parser.error('--size, --cfg-options and --data-root go with a CONFIG, not with --paper or --ttm')
    if args.plot is not None and not args.ttm:
        parser.error('--plot goes with --ttm; tools/plot.py draws what tools/benchmark.py measured')
    if args.plot is not None and args.json and os.path.realpath(args.plot) == os.path.realpath(args.json):
        parser.error('--plot and --json are one file; give two')
    if not args.latency and (args.batch_size or args.device):
        parser.error('--batch-size and --device go with --latency')
    args.batch_size = 256 if args.batch_size is None else args.batch_size
    return args


def count_config(args: argparse.Namespace, console: Console) -> list[dict]:
    """Counts a config, prints its tables and returns its records."""
    cfg = load_config(args.config, args.cfg_options, args.data_root, 'measure')
    if 'model' not in cfg:
        raise InputError(f'{args.config}: has no model; give a whole config, not one of its parts')
    size = tuple(args.size) if args.size else Crops(cfg, 1).size
    try:
        records, groups = count_parts(args.config, cfg, size)
    except (AttributeError, RuntimeError, ValueError) as error:
        raise InputError(f'{args.config} at {size[0]} x {size[1]}: the model cannot be counted ({one_line(error)}); '
                         'give another --size, or a model with a backbone and a decode head') from error
    console.print(groups, summary(records))
    console.print('GFLOPs are 1e9 multiply-adds of every matrix product and convolution, those in attention too; '
                  "fvcore's, the paper's protocol, leave out fused attention and add norms and interpolations. Test "
                  'modes that slide run this once per window.')
    if any(record['varies_with_image'] for record in records):
        console.print('How many tokens this model keeps depends on the image and on its weights: these figures are for '
                      'noise and random weights.')
    return records


def rebuild_paper(args: argparse.Namespace, console: Console) -> list[dict]:
    """Rebuilds tables of the paper, prints them and returns their records."""
    device = resolve_device(args.device if args.latency else 'cpu')
    numbers = [number for number in paper.TABLES if number != 5] if args.paper == 'all' else [int(args.paper)]
    rows = [row for number in numbers for row in paper.TABLES[number]]
    if args.latency:
        console.print(f'{describe_machine(device)}, float32, batch {args.batch_size}')
    batch_size = args.batch_size if args.latency else None
    records = []
    with Reporter(console, 'rows') as reporter:
        for row in rows:
            records.append(rebuild(row, batch_size, device))
            reporter(len(records), len(rows), 'rebuilding')
    for number in numbers:
        console.print(table(number, [row for row in records if row['table'] == number], args.latency))
    worst = max(abs(row['gflops'] / row['gflops_paper'] - 1) for row in records)
    console.print(f"GFLOPs are fvcore's, as in the paper; the largest difference is {100 * worst:.2f}%. In rows marked "
                  "* they have the products inside attention, as the paper's have for models that write them out. The "
                  "paper's milliseconds are for 256 images on an A100.")
    console.print(*dict.fromkeys(row.note for row in rows if row.note), paper.WHY_FEWER, sep='\n')
    return records


def rebuild_slides(args: argparse.Namespace, console: Console) -> list[dict]:
    """Rebuilds the cost table of Token Turing Machines, prints and draws it, and returns its records."""
    plot = None if args.plot is None else claim_plot(args.plot, args.overwrite)
    records = rebuild_steps()
    console.print(steps_table(records))
    console.print(*notes(records), sep='\n')
    if plot is None:
        return records
    growths = count_growth()
    write_costs(plot, growths)
    return records + growth_records(growths)


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    console = open_console()
    if args.json:
        claim_file(args.json, args.overwrite)
    if args.ttm:
        records = rebuild_slides(args, console)
    else:
        records = count_config(args, console) if args.paper is None else rebuild_paper(args, console)
    if args.json:
        write_records(args.json, records)


if __name__ == '__main__':
    run(main)
