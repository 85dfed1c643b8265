"""Trains, scores, measures and reports a table of models: python tools/laboratory.py PLAN [-o DIR] ..."""
import argparse
from pathlib import Path

from mmseg_vittm.commands.laboratory.carrying_out import STAGES, carry_out
from mmseg_vittm.commands.laboratory.plan_file import read_plan
from mmseg_vittm.commands.options import run, whole
from mmseg_vittm.commands.progress import open_console

TRAIN = Path(__file__).resolve().with_name('train.py')


def data_root(text: str) -> tuple[str, str]:
    """Parses the name of a data set and its folder."""
    name, equals, folder = text.partition('=')
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f'must be NAME=DIR, such as camvid=data/camvid, got {text}')
    return name, folder


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description='Trains, scores, measures and reports a table of models, as a plan says. Whatever is there already '
        'is kept: the same command goes on where it was stopped.')
    parser.add_argument('plan', metavar='PLAN', help='a YAML file, such as benchmarks/laboratory/plan.yaml')
    parser.add_argument('-o', '--out', metavar='DIR', default='benchmarks/laboratory',
                        help='folder for results.json, table.md and pictures (default: %(default)s)')
    parser.add_argument('--work-dir', metavar='DIR', default='work_dirs/laboratory',
                        help='folder of the runs, each in DATA/ROW/seedN; of one laboratory at a time (default: '
                        '%(default)s)')
    parser.add_argument('--data-root', dest='data_roots', nargs='+', action='extend', type=data_root, default=[],
                        metavar='NAME=DIR',
                        help='where data sets of the plan are, such as camvid=../shared/camvid')
    parser.add_argument('--only', nargs='+', action='extend', default=[], metavar='GLOB',
                        help='train and score these alone (speed is always of all): ROW, DATA/ROW, ROW/seedN '
                        'or DATA/ROW/seedN, with * and ?; what they need is trained too, and the report '
                        'has all that is there')
    parser.add_argument('--stages', nargs='+', choices=STAGES, default=STAGES, metavar='STAGE',
                        help=f'what to do, of {", ".join(STAGES)} (default: all)')
    parser.add_argument('--earlier', metavar='FILE',
                        help='results.json of an earlier report: its runs are taken over where they are of the same '
                        'rows, and trained only where others begin from them')
    parser.add_argument('--jobs', type=whole(1, 256), default=1, metavar='N',
                        help='trainings at a time; with more than one, each has one thread (default: %(default)s)')
    parser.add_argument('--remeasure', action='store_true', help='measure the speed again, although it is there')
    parser.add_argument('--overwrite', action='store_true', help='replace an earlier report')
    args = parser.parse_args()
    names = [name for name, _ in args.data_roots]
    if len(set(names)) < len(names):
        parser.error(f'argument --data-root: names a data set twice: {", ".join(names)}')
    return args


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    carry_out(read_plan(args.plan), args.out, args.work_dir, dict(args.data_roots), args.only, args.stages, args.jobs,
              args.remeasure, args.overwrite, TRAIN, open_console(), args.earlier)


if __name__ == '__main__':
    run(main)
