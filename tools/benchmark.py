"""Measures the speed of configs through MMSegmentation, in turns: python tools/benchmark.py CONFIG [CONFIG ...]"""
import argparse
import copy
import dataclasses

import torch

import mmseg_vittm
from mmseg_vittm.commands.configs import check_data, load_config
from mmseg_vittm.commands.options import add_checkpoint_options, add_config_options, add_speed_options, run
from mmseg_vittm.commands.progress import Reporter, open_console
from mmseg_vittm.errors import InputError
from mmseg_vittm.inference.precision import DTYPES, check_dtype
from mmseg_vittm.measure.benchmark.images import check_same_images
from mmseg_vittm.measure.benchmark.interleaved import measure
from mmseg_vittm.measure.benchmark.profiling import profile_table
from mmseg_vittm.measure.benchmark.report import record, run_names, tables
from mmseg_vittm.measure.benchmark.subject import Settings, Subject
from mmseg_vittm.measure.conditions import device_name, resolve_device
from mmseg_vittm.measure.records import claim_file, write_records


def positive(text: str) -> int:
    """Returns a number that is at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {text}')
    return value


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Measures frames per second of configs through MMSegmentation by the protocol of the ViTTM paper's "
        "Table 6: model(inputs, data_samples, mode='predict') between two device synchronisations, so with the "
        'windows, the resize of the logits and the argmax, without loading and normalising; batch 1, float32, eager, '
        'unless told otherwise. Several configs take turns, image by image. Any MMSegmentation config will do; a '
        'SlideSegmentor is run as mmseg_vittm.optimize makes it.')
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files; ratios are to the first')
    add_config_options(parser)
    parser.add_argument('--checkpoint', nargs='+', metavar='FILE',
                        help="a checkpoint per config, or 'none' (default: random weights, which take as long)")
    add_checkpoint_options(parser)
    parser.add_argument('--images', type=positive, help='images to measure (default: 200; the images at hand are '
                        'cycled; 50 batches with --throughput)')
    parser.add_argument('--image-size', type=positive, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                        help="size of synthetic images before the test pipeline (default: a mix like ADE20K's)")
    parser.add_argument('--repeat', type=positive, default=1, help='rounds over the images')
    parser.add_argument('--warmup', type=int, default=5, help='images before those that count (default: 5)')
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: the GPU if there is one)')
    add_speed_options(parser)
    parser.add_argument('--batch-size', type=positive, default=1,
                        help='the same image so many times in a batch (default: 1)')
    parser.add_argument('--throughput', action='store_true',
                        help='measure batches of random crops, forward only, instead of images')
    parser.add_argument('--segmentor', nargs='+', metavar='TYPE[:DTYPE][:compile]',
                        help='segmentor classes to run each config in, with a dtype and compilation of their own where '
                        "they have them: EncoderDecoder SlideSegmentor:bf16:compile (default: the config's own)")
    parser.add_argument('--products', action='store_true',
                        help='also time the matrix products of backbone and head alone, their limit')
    parser.add_argument('--profile', action='store_true',
                        help='also profile the largest image: milliseconds by kind of operation')
    parser.add_argument('--threads', type=positive, help="PyTorch's threads on the CPU")
    parser.add_argument('--json', metavar='FILE', help='write the results there')
    parser.add_argument('--overwrite', action='store_true', help='replace FILE where it is there already')
    args = parser.parse_args()
    if args.image_size and (args.data_root or args.throughput):
        parser.error('--image-size is for synthetic images: leave out --data-root and --throughput')
    if args.data_root and args.throughput:
        parser.error('--throughput measures random crops: leave out --data-root')
    if args.warmup < 0:
        parser.error(f'--warmup must be at least 0, got {args.warmup}')
    if args.images is None:
        args.images = 50 if args.throughput else 200
    return args


def checkpoints_of(args: argparse.Namespace) -> list[str | None]:
    """Returns a checkpoint or None per config."""
    if args.checkpoint is None:
        return [None] * len(args.configs)
    if len(args.checkpoint) != len(args.configs):
        raise InputError(f"--checkpoint: {len(args.checkpoint)} files for {len(args.configs)} configs; give one each, "
                         "'none' for random weights")
    return [None if name == 'none' else name for name in args.checkpoint]


def ways_to_run(args: argparse.Namespace, settings: Settings) -> list[tuple[str | None, Settings]]:
    """Returns a segmentor class, None for the config's own, and settings per way in which each config is run."""
    ways = []
    for text in args.segmentor or ['']:
        kind, *more = text.split(':')
        own = {'compile': True} if 'compile' in more else {}
        dtypes = [word for word in more if word != 'compile']
        if len(dtypes) > 1 or any(word not in DTYPES for word in dtypes) or args.segmentor and not kind:
            raise InputError(f'--segmentor {text}: give TYPE[:DTYPE][:compile] with a dtype of {sorted(DTYPES)}')
        own |= {'dtype': dtypes[0]} if dtypes else {}
        ways.append((kind or None, dataclasses.replace(settings, **own)))
        check_dtype(ways[-1][1].dtype, settings.device)
    if settings.products and any(way.compile for _, way in ways):
        raise InputError('--products looks into eager models: leave out compile')
    return ways


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    mmseg_vittm.trust_checkpoints(args.trust_checkpoint)
    device = resolve_device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    settings = Settings(device, args.dtype, args.compile, args.batch_size, args.throughput, args.data_root is not None,
                        args.image_size, args.products, args.allow_partial)
    ways = ways_to_run(args, settings)
    console = open_console()
    subjects = []
    for path, checkpoint in zip(args.configs, checkpoints_of(args), strict=True):
        cfg = load_config(path, args.cfg_options, args.data_root)
        if settings.real:
            check_data(cfg, ('test_dataloader', ))
        for kind, way in ways:
            if kind is not None and 'model' in cfg:
                cfg.model.type = kind
            subjects.append(Subject(path, copy.deepcopy(cfg), way, checkpoint))
    check_same_images([subject.source for subject in subjects], args.images)
    claim_file(args.json, args.overwrite)
    formats = ' and '.join(dict.fromkeys(f'{way.dtype} {"compiled" if way.compile else "eager"}' for _, way in ways))
    console.print(f'{device_name(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}, {formats}, '
                  f'batch {args.batch_size}\n'
                  + '\n'.join(sorted({subject.source.describe() for subject in subjects})), highlight=False)
    with Reporter(console, 'calls') as reporter:
        measure(subjects, args.images, args.warmup, args.repeat, reporter)
    records = [record(subject, subjects[0], args.images, args.repeat, args.warmup, args.cfg_options)
               for subject in subjects]
    if args.profile:
        for row, subject in zip(records, subjects, strict=True):
            row['profile_ms'] = subject.profile()
    if args.json:
        write_records(args.json, records)
    for table in tables(records):
        console.print(table)
    if args.profile:
        console.print(profile_table(run_names(records), [row['profile_ms'] for row in records], device))
    if len({subject.source.describe() for subject in subjects}) > 1:
        console.print('The configs were measured on crops of different sizes, each its own.')


if __name__ == '__main__':
    run(main)
