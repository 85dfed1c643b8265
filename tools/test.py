"""Scores a segmentor on the test split: python tools/test.py CONFIG CHECKPOINT [--data-root DIR] ..."""
import argparse
import os
from pathlib import Path

import mmseg_vittm
from mmseg_vittm.commands.configs import check_data, datasets_of, load_config
from mmseg_vittm.commands.launch import LAUNCHERS, prepare_launch
from mmseg_vittm.commands.options import add_checkpoint_options, add_config_options, add_speed_options, run
from mmseg_vittm.engine.runner import StrictRunner
from mmseg_vittm.errors import InputError


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description='Scores a segmentor on the test split of its config.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help="checkpoint of the whole model: tools/train.py's .pth, or .safetensors")
    add_config_options(parser)
    add_checkpoint_options(parser)
    add_speed_options(parser)
    parser.add_argument('--work-dir', metavar='DIR', help='folder for logs (default: work_dirs/CONFIG)')
    parser.add_argument('--show-dir', metavar='DIR', help='write input, truth and prediction of every image here')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation: six scales, each flipped too')
    parser.add_argument('--out', metavar='DIR', help='write every prediction here as an 8-bit PNG of labels, as the '
                        "data set's own label files number them")
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='what started the processes')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    mmseg_vittm.trust_checkpoints(args.trust_checkpoint)
    cfg = load_config(args.config, args.cfg_options, args.data_root)
    check_data(cfg, ('test_dataloader',))
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(args.config).stem)
    cfg.load_from, cfg.resume = args.checkpoint, False
    # A saved `state_dict` is the average already; swapping it in again would test a fresh copy of the model.
    cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks', []) if hook.type != 'EMAHook']
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='FastInferenceHook', dtype=args.dtype, compile=args.compile)]
    if args.show_dir:
        cfg.custom_hooks = [*cfg.custom_hooks, dict(type='PictureHook', show_dir=args.show_dir)]
    if args.out:
        cfg.test_evaluator.output_dir = args.out
        cfg.test_evaluator.keep_results = True
    if args.tta:
        if 'tta_pipeline' not in cfg or 'tta_model' not in cfg:
            raise InputError(f'--tta: {args.config} has no tta_pipeline and tta_model')
        for dataset in datasets_of(cfg.test_dataloader):
            dataset.pipeline = cfg.tta_pipeline
        cfg.tta_model.module = cfg.model
        cfg.model = cfg.tta_model
    prepare_launch(cfg, args.launcher)
    runner = StrictRunner.from_cfg(cfg)
    runner.allow_partial = args.allow_partial
    runner.test()


if __name__ == '__main__':
    run(main)
