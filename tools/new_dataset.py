"""Makes a config of your own data: python tools/new_dataset.py IMAGES LABELS --classes a,b,c -o configs/mine.py"""
import argparse
import sys
from pathlib import Path

from rich.console import Console

import mmseg_vittm  # noqa: F401  (registers)
from mmseg_vittm.commands.new_dataset.budgets import BUDGETS
from mmseg_vittm.commands.new_dataset.meaning import ZERO
from mmseg_vittm.commands.new_dataset.new_dataset import REPORT, FaultsFound, Wishes, make_dataset
from mmseg_vittm.commands.new_dataset.summary import Summary
from mmseg_vittm.commands.options import as_flags, cores, run, whole
from mmseg_vittm.commands.progress import Reporter, open_console
from mmseg_vittm.datasets.class_histogram import histogram_table
from mmseg_vittm.datasets.report import fault_table

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
SHOWN = 100  # faults in the table
BUDGET_HELP = '; '.join(f'{name}: {budget.meant_for}' for name, budget in BUDGETS.items())


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description='Looks at every file of your own data, finds what its labels mean, and writes a config that '
        'tools/train.py takes, lists of the images that train and validate, and a report (HTML). Labels that '
        'MMSegmentation does not read (coloured masks, polygons, 16 bits) become label maps in a new folder beside '
        'them. The exit status is 0 where all is well, 1 where files are wrong, 2 where the command is, or the data '
        'can be read in two ways. See docs/own_data.md.')
    parser.add_argument('images', metavar='IMAGES', help='folder of the images; alone, the folder of the whole data '
                        'set: images/ and annotations/, labels/ or masks/, with train/ and val/ in them or without, or '
                        'the layout of Cityscapes, PASCAL VOC or COCO')
    parser.add_argument('labels', metavar='LABELS', nargs='?', help='folder of the labels, or a JSON file of COCO '
                        'polygons, as Label Studio and CVAT export them')
    parser.add_argument('-o', '--out', dest='new_config', required=True, metavar='FILE', help='the config to write, '
                        'such as configs/mine.py; lists and report go to the folder configs/mine beside it')
    parser.add_argument('--classes', metavar='NAMES', help='a,b,c in the order of their labels, or 7:a,11:b with '
                        'these; or a file with a class per line, for coloured masks with its colour: road 128 64 '
                        '128. Classes called void or unlabelled do not count (default: classes.txt, labelmap.txt and '
                        'the like beside the data)')
    parser.add_argument('--zero', choices=ZERO, help='what label 0, or what lies outside of all polygons, means, where '
                        'that cannot be seen: it does not count; it is a class of its own that is not among the '
                        'classes; or it is the first class')
    parser.add_argument('--void', metavar='NUMBERS', type=_labels, default=(), help='further labels that do not count, '
                        'such as 0,254; 255 never does')
    parser.add_argument('--train-list', metavar='LIST', help='text with the name of an image per line: those that '
                        'train; with --val-list')
    parser.add_argument('--val-list', metavar='LIST', help='likewise those that validate; without --train-list all '
                        'others train')
    parser.add_argument('--val-share', metavar='SHARE', type=float, help='draw so many of the images to validate, 0 to '
                        '1 (default: as folders or lists say, else 0.2)')
    parser.add_argument('--seed', type=whole(0, 2**31 - 1), default=0, metavar='N', help='what they are drawn by '
                        '(default: %(default)s)')
    parser.add_argument('--budget', choices=tuple(BUDGETS), default='cpu', help=f'what the config is for: {BUDGET_HELP}'
                        ' (default: %(default)s)')
    parser.add_argument('--class-weight', action='store_true', help='weigh rare classes more in the loss (default: the '
                        'weights are in the config, as a comment)')
    parser.add_argument('--allow-missing', action='store_true', help='leave out images without label, and labels '
                        'without image (default: they are errors)')
    parser.add_argument('--workers', type=whole(1, 1024), default=cores(), metavar='N',
                        help='processes that look at files (default: one per core, %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace what an earlier run wrote; originals never')
    args = parser.parse_args()
    if args.train_list and not args.val_list:
        parser.error('--train-list needs --val-list')
    if args.val_list and args.val_share is not None:
        parser.error('--val-list and --val-share both say what validates; give one')
    if args.val_share is not None and not 0 < args.val_share < 1:
        parser.error(f'--val-share must lie between 0 and 1, got {args.val_share:g}')
    return args


def _labels(text: str) -> tuple[int, ...]:
    try:
        values = tuple(int(part) for part in text.split(','))
    except ValueError:
        values = (-1, )
    if min(values) < 0 or max(values) > 65535:
        raise argparse.ArgumentTypeError(f'must be labels with commas between, such as 0,254, got {text!r}')
    return values


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    lists = tuple((split, file) for split, file in (('train', args.train_list), ('val', args.val_list)) if file)
    wishes = Wishes(args.images, args.labels, args.new_config, args.classes, args.zero, args.void, lists,
                    args.val_share, args.seed, args.budget, args.class_weight, args.allow_missing, args.overwrite)
    console = open_console()
    try:
        with Reporter(console, 'files') as reporter:
            summary, settings = make_dataset(wishes, CONFIGS, args.workers, reporter)
    except FaultsFound as error:
        faults = [fault._replace(remedy=as_flags(fault.remedy)) for fault in error.faults]
        console.print(fault_table(faults, SHOWN))
        if len(faults) > SHOWN:
            console.print(f'and {len(faults) - SHOWN} more', highlight=False)
        console.print(str(error), markup=False, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write('interrupted; no config was written\n')
        sys.exit(130)
    show(console, summary, settings.iterations, Path(args.new_config))


def show(console: Console, summary: Summary, iterations: int, config: Path) -> None:
    """Prints what was found and written, and what to do next."""
    images = {split: (counts[:, :-1] > 0).sum(0) for split, counts in summary.counts.items()}
    console.print(histogram_table(summary.classes, summary.pixels, images, int(summary.counts['train'][:, -1].sum())))
    for sentence in summary.said:
        console.print(sentence, markup=False, highlight=False)
    splits = ', '.join(f'{len(pairs):,} to {dict(train="train", val="validate").get(split, split)}'
                       for split, pairs in summary.pairs.items())
    for line in (f'{splits}', f'Config: {config}', f'Report: {config.with_suffix("") / REPORT}',
                 f'Train: python tools/train.py {config}',
                 f'Evaluate: python tools/evaluate.py {config} work_dirs/{config.stem}/iter_{iterations}.pth '
                 '-o evaluated'):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == '__main__':
    run(main)
