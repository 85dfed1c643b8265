"""Trains a segmentor: python tools/train.py CONFIG [--data-root DIR] [--pretrained FILE] ..."""
import argparse
import os
import sys
from pathlib import Path

# Read when torch is imported: threads that wait for each other on the CPU soon sleep instead of spinning for
# milliseconds, which stalls training wherever the cores are shared with anything else.
os.environ.setdefault('GOMP_SPINCOUNT', '3000')

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger

import mmseg_vittm
from mmseg_vittm.commands.configs import check_data, load_config
from mmseg_vittm.commands.launch import LAUNCHERS, divide_batch, keep_freed_memory, prepare_launch, world_size
from mmseg_vittm.commands.options import add_checkpoint_options, add_config_options, run, set_aside_earlier_run
from mmseg_vittm.engine.amp import use_amp
from mmseg_vittm.engine.runner import AUTO, StrictRunner
from mmseg_vittm.errors import InputError


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description='Trains a segmentor.')
    parser.add_argument('config', help='config file')
    add_config_options(parser)
    add_checkpoint_options(parser)
    parser.add_argument('--pretrained', metavar='FILE',
                        help="backbone weights: the authors', timm's (for ViTBackbone) or ours, .pth or .safetensors")
    parser.add_argument('--work-dir', metavar='DIR',
                        help='folder for logs, checkpoints and pictures (default: work_dirs/CONFIG); checkpoints of '
                        'an earlier run there are moved to a subfolder')
    parser.add_argument('--resume', nargs='?', const='newest', choices=('newest', AUTO), metavar=AUTO,
                        help='go on from the newest whole checkpoint in the work dir; --resume=auto begins anew where '
                        'there is none')
    parser.add_argument('--amp', action='store_true',
                        help='mixed precision: float16 with a loss scale on GPUs, bfloat16 on CPUs')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='what started the processes')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    # A bare --resume takes no word after it: that may be the config.
    args = parser.parse_args(['--resume=newest' if word == '--resume' else word for word in sys.argv[1:]])
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    mmseg_vittm.trust_checkpoints(args.trust_checkpoint)
    cfg = load_config(args.config, args.cfg_options, args.data_root)
    loaders = ['train_dataloader'] + ['val_dataloader'] * bool(cfg.get('val_cfg'))
    check_data(cfg, tuple(loaders))
    if args.work_dir:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    if args.pretrained:
        cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=args.pretrained)
    if args.amp:
        use_amp(cfg)
    if args.resume:
        cfg.resume = AUTO if args.resume == AUTO else True
    if cfg.get('resume') is True and cfg.get('load_from') is None and not Path(cfg.work_dir).is_dir():
        raise InputError(f'--resume: {cfg.work_dir}: no such work dir; give the --work-dir of the run to go on with, '
                         'or leave --resume out to begin one (--resume=auto does either)')
    divide_batch(cfg, world_size(args.launcher))
    prepare_launch(cfg, args.launcher)
    keep_freed_memory()
    aside = set_aside_earlier_run(cfg.work_dir) if is_main_process() and not cfg.get('resume') else None
    runner = StrictRunner.from_cfg(cfg)
    runner.allow_partial = args.allow_partial
    if aside:
        MMLogger.get_current_instance().warning(f'The checkpoints of an earlier run were moved to {aside}')
    runner.train()


if __name__ == '__main__':
    run(main)
