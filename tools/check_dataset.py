"""Looks at every file of a data set: python tools/check_dataset.py CONFIG [--data-root DIR] [-o DIR] ..."""
import argparse
import sys
from pathlib import Path

from rich.console import Console

import mmseg_vittm  # noqa: F401  (registers)
from mmseg_vittm.commands.configs.reading import LOADERS, load_config
from mmseg_vittm.commands.options import add_config_options, as_flags, cores, run
from mmseg_vittm.commands.progress import Reporter, open_console
from mmseg_vittm.datasets.class_histogram import histogram_table
from mmseg_vittm.datasets.listing import datasets_of
from mmseg_vittm.datasets.report import FILES, fault_table, unseen_classes, write_report
from mmseg_vittm.datasets.survey import ALL, Findings, survey
from mmseg_vittm.engine.checked_data import num_classes
from mmseg_vittm.errors import InputError
from mmseg_vittm.outputs import claim_folder

SHOWN = 100  # faults in the table; DIR/problems.csv has all


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
    cfg = load_config(args.config, args.cfg_options, args.data_root, 'data')
    dataloaders = [name for name in LOADERS if any(datasets_of(cfg.get(name) or {}))]
    if not dataloaders:
        raise InputError(f'{args.config}: no dataset in {", ".join(LOADERS)}; give a whole config')
    if args.out:
        claim_folder(args.out, FILES, args.overwrite)
    console = open_console()
    try:
        with Reporter(console, 'samples') as reporter:
            found = survey(cfg, dataloaders, num_classes(cfg), args.workers, reporter)
    except KeyboardInterrupt:
        sys.stderr.write('interrupted; nothing was written\n')
        sys.exit(130)
    if not found.files and all('no such folder' in fault.problem for fault in found.faults):
        raise InputError('{}: {}; {}'.format(*found.faults[0]))

    found.faults = [fault._replace(remedy=as_flags(fault.remedy)) for fault in found.faults]
    splits = [name.removesuffix('_dataloader') for name in dataloaders]
    show(console, found, splits)
    if args.out:
        write_report(Path(args.out), found, splits, Path(args.config).stem)
        console.print(f'Written to {args.out}', markup=False, highlight=False)
    sys.exit(1 if found.faults else 0)


def show(console: Console, found: Findings, splits: list[str]) -> None:
    """Prints what was found."""
    if found.classes:
        images = {split: found.images[split] for split in splits}
        console.print(histogram_table(found.classes, found.pixels[ALL], images, found.ignored))
        for sentence in unseen_classes(found, splits):
            console.print(sentence, markup=False, highlight=False)
    if found.faults:
        console.print(fault_table(found.faults, SHOWN))
        if len(found.faults) > SHOWN:
            console.print(f'and {len(found.faults) - SHOWN} more; -o DIR writes all', highlight=False)
    console.print(f'{len(found.faults)} problems in {found.files} files', highlight=False)


if __name__ == '__main__':
    run(main)
