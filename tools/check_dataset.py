"""Looks at every file of a data set: python tools/check_dataset.py CONFIG [--data-root DIR] [-o DIR] ..."""
import argparse
import csv
import os
import sys
from functools import partial
from pathlib import Path

SHOWN = 100  # faults in the table; DIR/problems.csv has all
FILES = ('problems.csv', 'classes.csv', 'classes.svg', 'classes.png')


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    from mmseg_vittm.engine.command import add_config_options
    parser = argparse.ArgumentParser(
        description="Looks at every image and annotation of a config's train, val and test datasets, each file once, "
        'and tells what is wrong and how often classes occur. The exit status is 0 where all is right, 1 where '
        'something is wrong, 2 where the command is.')
    parser.add_argument('config', help='a config file of MMSegmentation')
    add_config_options(parser)
    parser.add_argument('--workers', type=int, default=len(os.sched_getaffinity(0)), metavar='N',
                        help='processes (default: one per core, %(default)s)')
    parser.add_argument('-o', '--out', metavar='DIR', help=f'write {", ".join(FILES)} there')
    parser.add_argument('--overwrite', action='store_true', help='replace the files of an earlier run')
    args = parser.parse_args()
    if args.workers < 1:
        parser.error('--workers must be at least 1')
    return args


def main(args: argparse.Namespace) -> None:
    """Runs the command line."""
    from rich.markup import escape
    from rich.table import Table

    import mmseg_vittm  # noqa: F401  (registers)
    from mmseg_vittm.datasets.listing import datasets_of
    from mmseg_vittm.datasets.survey import ALL, survey
    from mmseg_vittm.engine.checked_loaders import num_classes
    from mmseg_vittm.engine.configs import LOADERS, load_config
    from mmseg_vittm.errors import InputError
    from mmseg_vittm.measure.class_histogram import histogram_files, histogram_table
    from mmseg_vittm.measure.progress import Reporter, open_console

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

    splits = {loader.removesuffix('_dataloader'): found.images[loader.removesuffix('_dataloader')]
              for loader in loaders}
    if found.classes:
        console.print(histogram_table(found.classes, found.pixels[ALL], splits, found.ignored))
        unseen = {'any split': found.images[ALL] == 0}
        unseen |= {split: (images == 0) & ~unseen['any split'] for split, images in splits.items()}
        for where, classes in unseen.items():
            names = [name for name, absent in zip(found.classes, classes, strict=True) if absent]
            if names:
                elsewhere = '' if where == 'any split' else ', but elsewhere'
                console.print(f'Never seen in {where}{elsewhere}: {len(names)} of {len(classes)} classes '
                              f'({", ".join(names)})', markup=False, highlight=False)
    if found.faults:
        table = Table(title=f'{len(found.faults)} problems')
        for name in ('file', 'problem', 'remedy'):
            table.add_column(name, overflow='fold')
        for fault in found.faults[:SHOWN]:
            table.add_row(*map(escape, fault))
        console.print(table)
        if len(found.faults) > SHOWN:
            console.print(f'and {len(found.faults) - SHOWN} more' + ', all in problems.csv' * bool(args.out))
    console.print(f'{len(found.faults)} problems in {found.files} files', highlight=False)
    if args.out:
        rows = [(name, int(found.pixels[ALL][i]), *(int(images[i]) for images in splits.values()))
                for i, name in enumerate(found.classes)]
        write_table(Path(args.out) / 'problems.csv', ('file', 'problem', 'remedy'), found.faults)
        write_table(Path(args.out) / 'classes.csv', ('class', 'pixels', *(f'images_{s}' for s in splits)), rows)
        if found.classes:
            title = f'{len(found.classes)} classes in {found.files} files of {Path(args.config).stem}'
            drawn = histogram_files(found.classes, found.pixels[ALL], found.images[ALL], title)
            for ending, content in drawn.items():
                (Path(args.out) / f'classes.{ending}').write_bytes(content)
        console.print(f'Written to {args.out}', markup=False, highlight=False)
    sys.exit(1 if found.faults else 0)


def claim_folder(out: str | None, overwrite: bool) -> None:
    """Makes the folder for the results.

    Raises:
        InputError: It cannot be made, or holds results already.
    """
    from mmseg_vittm.errors import InputError
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
    arguments = parse_args()
    from mmseg_vittm.engine.command import run
    run(partial(main, arguments))
