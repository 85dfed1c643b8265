"""Scores a segmentor or a classifier on the test split: python tools/test.py CONFIG CHECKPOINT [--data-root DIR] ..."""
import argparse
import contextlib

import mmseg_vittm
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.interrupts import clean_end
from mmseg_vittm.commands.jobs import prepare_test
from mmseg_vittm.commands.launch import is_first_of_node, prepare_launch
from mmseg_vittm.commands.options import (
    add_checkpoint_options,
    add_config_options,
    add_launch_options,
    add_speed_options,
    run,
)
from mmseg_vittm.engine.runner import StrictRunner


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description='Scores a segmentor or a classifier on the test split of its config.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help="checkpoint of the whole model: tools/train.py's .pth, or .safetensors")
    add_config_options(parser)
    add_checkpoint_options(parser)
    add_speed_options(parser)
    parser.add_argument('--work-dir', metavar='DIR', help='folder for logs (default: work_dirs/CONFIG)')
    parser.add_argument('--show-dir', metavar='DIR', help='write input, truth and prediction of every image here, '
                        'named as by --out')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation: six scales, each flipped too')
    parser.add_argument('--out', metavar='DIR', help='write every prediction here as a PNG of labels, as the data '
                        "set's own label files number them, at the image's place below the data's folder of images: "
                        'a/x.jpg gives a/x.png, or where there is an a/x.webp too, a/x.jpg.png')
    parser.add_argument('--overwrite', action='store_true', help='replace what an earlier test wrote by --out or '
                        '--show-dir')
    add_launch_options(parser)
    return parser.parse_args()


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    mmseg_vittm.trust_checkpoints(args.trust_checkpoint)
    cfg = load_config(args.config, args.cfg_options, args.data_root, 'test')
    prepare_test(cfg, args.checkpoint, args.work_dir, args.dtype, args.compile, args.tta, args.out, args.show_dir,
                 args.overwrite, is_first_of_node(args.launcher))
    prepare_launch(cfg, args.launcher, args.local_rank)
    runner = StrictRunner.from_cfg(cfg)
    runner.allow_partial = args.allow_partial
    with clean_end() if args.out or args.show_dir else contextlib.nullcontext():
        runner.test()


if __name__ == '__main__':
    run(main)
