"""Looks at every file of a data set: python tools/check_dataset.py CONFIG [--data-root DIR] [-o DIR] ..."""
import argparse
import csv
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import mmseg_vittm  # noqa: F401  (registers)
from mmseg_vittm.commands.configs import LOADERS, load_config
from mmseg_vittm.commands.options import add_config_options, run
from mmseg_vittm.commands.progress import Reporter, open_console
from mmseg_vittm.datasets.class_histogram import histogram_files, histogram_table
from mmseg_vittm.datasets.listing import datasets_of
from mmseg_vittm.datasets.survey import ALL, Fault, Findings, survey
from mmseg_vittm.engine.checked_data import num_classes
from mmseg_vittm.errors import InputError

SHOWN = 100  # faults in the table; DIR/problems.csv has all
FILES = ('problems.csv', 'classes.csv', 'classes.svg', 'classes.png')


def cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Looks at every image and annotation of a config's train, val and test datasets, each file once, "
        'and tells what is wrong and how often classes occur. The exit status is 0 where all is right, 1 where '
        'something is wrong, 2 where the command is.')
    parser.add_argument('config', help='a config file of MMSegmentation')
    add_config_options(parser)
    parser.add_argument('--workers', type=int, default=cores(), metavar='N',
                        help='processes (default: one per core, %(default)s)')
    parser.add_argument('-o', '--out', metavar='DIR', help=f'write {", ".join(FILES)} there')
    parser.add_argument('--overwrite', action='store_true', help='replace the files of an earlier run')
    args = parser.parse_args()
    if args.workers < 1:
        parser.error('--workers must be at least 1')
    return args


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, args.data_root)
    loaders = [loader for loader in LOADERS if any(datasets_of(cfg.get(loader) or {}))]
    if not loaders:
        raise InputError(f'{args.config}: no dataset in {", ".join(LOADERS)}; give a whole config')
    claim_folder(args.out, args.overwrite)
    console = open_console()
    try:
        with Reporter(console, 'samples') as reporter:
            found = survey(cfg, loaders, num_classes(cfg), args.workers, reporter)
    except KeyboardInterrupt:
        sys.stderr.write('interrupted; nothing was written\n')
        sys.exit(130)
    if not found.files and all('no such folder' in fault.problem for fault in found.faults):
        raise InputError('{}: {}; {}'.format(*found.faults[0]))

    splits = [loader.removesuffix('_dataloader') for loader in loaders]
    show(console, found, splits)
    if args.out:
        try:
            write(Path(args.out), found, splits, Path(args.config).stem)
        except OSError as error:
            raise InputError(f'{args.out}: cannot be written to ({error}); give -o another folder') from error
        console.print(f'Written to {args.out}', markup=False, highlight=False)
    sys.exit(1 if found.faults else 0)


def show(console: Console, found: Findings, splits: list[str]) -> None:
    """Prints what was found."""
    if found.classes:
        images = {split: found.images[split] for split in splits}
        console.print(histogram_table(found.classes, found.pixels[ALL], images, found.ignored))
        unseen = {'any split': found.images[ALL] == 0}
        unseen |= {split: (images[split] == 0) & ~unseen['any split'] for split in splits}
        for where, absent in unseen.items():
            names = [name for name, is_absent in zip(found.classes, absent, strict=True) if is_absent]
            if names:
                elsewhere = '' if where == 'any split' else ', but elsewhere'
                console.print(f'Never seen in {where}{elsewhere}: {len(names)} of {len(absent)} classes '
                              f'({", ".join(names)})', markup=False, highlight=False)
    if found.faults:
        table = Table(title=f'{len(found.faults)} problems')
        for name in Fault._fields:
            table.add_column(name, overflow='fold')
        for fault in found.faults[:SHOWN]:
            table.add_row(*(escape(text.encode(errors='backslashreplace').decode()) for text in fault))
        console.print(table)
        if len(found.faults) > SHOWN:
            console.print(f'and {len(found.faults) - SHOWN} more; -o DIR writes all', highlight=False)
    console.print(f'{len(found.faults)} problems in {found.files} files', highlight=False)


def write(out: Path, found: Findings, splits: list[str], name: str) -> None:
    """Writes what was found into a folder."""
    rows = [(title, int(found.pixels[ALL][i]), *(int(found.images[split][i]) for split in splits))
            for i, title in enumerate(found.classes)]
    write_table(out / 'problems.csv', Fault._fields, found.faults)
    write_table(out / 'classes.csv', ('class', 'pixels', *(f'images_{split}' for split in splits)), rows)
    if found.classes:
        title = f'{len(found.classes)} classes in {found.files} files of {name}'
        drawn = histogram_files(found.classes, found.pixels[ALL], found.images[ALL], title)
        for ending, content in drawn.items():
            (out / f'classes.{ending}').write_bytes(content)


def claim_folder(out: str | None, overwrite: bool) -> None:
    """Makes the folder for the results.

    Raises:
        InputError: It cannot be made, or holds results already.
    """
    if out is None:
        return
    there = [str(Path(out) / name) for name in FILES if (Path(out) / name).exists()]
    if there and not overwrite:
        raise InputError(f'{", ".join(there)}: there already; give another folder or --overwrite')
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'{out}: cannot be made a folder ({error.strerror}); give -o another') from error


def write_table(path: Path, header: tuple, rows: list) -> None:
    """Writes a CSV file."""
    with open(path, 'w', newline='', encoding='utf-8', errors='surrogateescape') as file:
        csv.writer(file).writerows([header, *rows])


if __name__ == '__main__':
    run(main)
