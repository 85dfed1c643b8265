"""Measures the speed of configs through MMSegmentation, in turns: python tools/benchmark.py CONFIG [CONFIG ...]"""
import argparse

import mmseg_vittm
from mmseg_vittm.commands.measuring import (
    add_measuring_options,
    make_subjects,
    parse_measuring_args,
    positive,
    run_subjects,
)
from mmseg_vittm.commands.options import run
from mmseg_vittm.commands.progress import open_console
from mmseg_vittm.measure.benchmark.report import record, tables
from mmseg_vittm.measure.records import write_records


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Measures frames per second of configs through MMSegmentation by the protocol of the ViTTM paper's "
        "Table 6: model(inputs, data_samples, mode='predict') between two device synchronisations, so with the "
        'windows, the resize of the logits and the argmax, without loading and normalising; batch 1, float32, eager, '
        'unless told otherwise. Several configs take turns, image by image. Any MMSegmentation config will do; a '
        'SlideSegmentor is run as mmseg_vittm.optimize makes it.')
    add_measuring_options(parser, None, 'images to measure (default: 200; the images at hand are cycled; 50 batches '
                          'with --throughput)', warmup=5)
    parser.add_argument('--repeat', type=positive, metavar='N', default=1,
                        help='rounds over the images (default: 1)')
    parser.add_argument('--batch-size', type=positive, metavar='N', default=1,
                        help='the same image so many times in a batch (default: 1)')
    parser.add_argument('--throughput', action='store_true',
                        help='measure batches of random crops, forward only, instead of images')
    args = parse_measuring_args(parser)
    if args.throughput and (args.data_root or args.image_size):
        parser.error('--throughput measures random crops: leave out --data-root and --image-size')
    if args.images is None:
        args.images = 50 if args.throughput else 200
    return args


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    mmseg_vittm.trust_checkpoints(args.trust_checkpoint)
    console = open_console()
    subjects = make_subjects(args, batch_size=args.batch_size, throughput=args.throughput)
    run_subjects(subjects, args, console, args.repeat)
    for subject in subjects:
        subject.measure_peak()
    records = [record(subject, subjects[0], args.images, args.repeat, args.warmup, args.cfg_options)
               for subject in subjects]
    if args.json:
        write_records(args.json, records)
    for table in tables(records):
        console.print(table)
    if len({subject.source.describe() for subject in subjects}) > 1:
        console.print('The configs were measured on crops of different sizes, each its own.')


if __name__ == '__main__':
    run(main)
