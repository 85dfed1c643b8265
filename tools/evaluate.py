"""Says what is wrong with a segmentor: python tools/evaluate.py CONFIG CHECKPOINT -o DIR [--split val] ..."""
import argparse
import contextlib
from pathlib import Path

from mmengine.dist import init_dist, is_distributed, is_main_process

import mmseg_vittm
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.evaluating.files import class_table, write_results
from mmseg_vittm.commands.evaluating.findings import findings
from mmseg_vittm.commands.evaluating.results import FILES, REPORT
from mmseg_vittm.commands.evaluating.scoring import SPLITS, Wishes, evaluate, prepare_evaluation
from mmseg_vittm.commands.interrupts import clean_end
from mmseg_vittm.commands.launch import is_first_of_node, prepare_launch
from mmseg_vittm.commands.options import (
    add_checkpoint_options,
    add_config_options,
    add_launch_options,
    add_speed_options,
    run,
    whole,
)
from mmseg_vittm.commands.progress import Reporter, open_console


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Scores a segmentor on a split of its config's data and writes a report of what is wrong with it: "
        'scores by class, which class is taken for which, boundaries, calibration, the worst images.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help="checkpoint of the whole model: tools/train.py's .pth, or .safetensors")
    parser.add_argument('-o', '--out', metavar='DIR', required=True, help=f'write {", ".join(FILES)} there')
    parser.add_argument('--split', choices=SPLITS, default='test', help='which of its data sets (default: %(default)s)')
    parser.add_argument('--worst', type=whole(0, 1000), default=20, metavar='N',
                        help='how many of the worst images to show (default: %(default)s)')
    parser.add_argument('--boundary', type=float, default=0.02, metavar='RATIO',
                        help="width of what counts as boundary, as a share of the image's diagonal "
                        '(default: %(default)s)')
    add_config_options(parser)
    add_checkpoint_options(parser)
    add_speed_options(parser)
    parser.add_argument('--overwrite', action='store_true', help='replace the files of an earlier evaluation')
    add_launch_options(parser)
    return parser.parse_args()


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    mmseg_vittm.trust_checkpoints(args.trust_checkpoint)
    wishes = Wishes(args.out, args.split, args.dtype, args.compile, args.worst, args.boundary, args.overwrite,
                    args.allow_partial)
    cfg = load_config(args.config, args.cfg_options, args.data_root)
    metric = prepare_evaluation(cfg, wishes, is_first_of_node(args.launcher))
    prepare_launch(cfg, args.launcher, args.local_rank)
    if args.launcher != 'none' and not is_distributed():  # on GPUs, where no Runner does it
        init_dist(args.launcher, **(cfg.get('env_cfg') or {}).get('dist_cfg', {}))
    console = open_console()
    with clean_end():
        with Reporter(console, 'images') if is_main_process() else contextlib.nullcontext(_silent) as reporter:
            results = evaluate(cfg, args.checkpoint, metric, wishes, reporter)
        if results is None:
            return
        write_results(Path(args.out), results)
    console.print(class_table(results))
    for sentence in findings(results.details):
        console.print(sentence, markup=False, highlight=False)
    console.print(f'Written to {Path(args.out) / REPORT}', markup=False, highlight=False)


def _silent(done: int, total: int, what: str) -> None:
    """Says nothing: of a process that is not the main one."""


if __name__ == '__main__':
    run(main)
