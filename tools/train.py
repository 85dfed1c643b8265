"""Trains a segmentor or a classifier: python tools/train.py CONFIG [--data-root DIR] [--pretrained FILE] ..."""
import argparse
import os
import sys

# Read when torch is imported: threads that wait for each other on the CPU soon sleep instead of spinning for
# milliseconds, which stalls training wherever the cores are shared with anything else.
os.environ.setdefault('GOMP_SPINCOUNT', '3000')

import mmseg_vittm
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.jobs import prepare_training
from mmseg_vittm.commands.launch import divide_batch, is_first_of_node, is_main, prepare_launch, world_size
from mmseg_vittm.commands.options import add_checkpoint_options, add_config_options, add_launch_options, run
from mmseg_vittm.commands.teaching import set_teacher
from mmseg_vittm.engine.distillation.options import DTYPES as TEACHER_DTYPES
from mmseg_vittm.engine.processes.stop_signals import stop_signals
from mmseg_vittm.engine.runner import AUTO, StrictRunner
from mmseg_vittm.engine.work_dir.lock import hold
from mmseg_vittm.inference.host_memory import keep_freed


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description='Trains a segmentor, or a classifier to begin one from.')
    parser.add_argument('config', help='config file')
    add_config_options(parser)
    add_checkpoint_options(parser)
    parser.add_argument('--pretrained', metavar='FILE',
                        help="weights of the backbone, or classifier: the authors', timm's, ours, .pth or .safetensors")
    parser.add_argument('--warm-start', metavar='FILE_OR_NAME',
                        help='begin the backbone from a ViT of any patch size: a file of its weights, or a name of '
                        "timm's, which is downloaded")
    parser.add_argument('--teacher', nargs=2, metavar=('CONFIG', 'CHECKPOINT'),
                        help='a trained segmentor of the same classes, which teaches this one by its logits; how, the '
                        'settings distillation.* say: --cfg-options distillation.logits.temperature=4')
    parser.add_argument('--teacher-dtype', choices=TEACHER_DTYPES,
                        help="what the teacher computes in (default: the config's, or fp32)")
    parser.add_argument('--work-dir', metavar='DIR',
                        help='folder for logs, checkpoints and pictures (default: work_dirs/CONFIG), of one training '
                        'at a time; checkpoints of an earlier run there are moved to a subfolder when this one saves '
                        'its first')
    parser.add_argument('--resume', nargs='?', const='newest', choices=('newest', AUTO), metavar=AUTO,
                        help='go on from the newest whole checkpoint in the work dir; --resume=auto begins anew where '
                        'there is none')
    parser.add_argument('--amp', action='store_true',
                        help='mixed precision: float16 with a loss scale on GPUs, bfloat16 on CPUs')
    add_launch_options(parser)
    # A bare --resume takes no other word after it: that may be the config.
    words = sys.argv[1:]
    bare = [word == '--resume' and after != AUTO for word, after in zip(words, [*words, None][1:], strict=True)]
    return parser.parse_args(['--resume=newest' if here else word for word, here in zip(words, bare, strict=True)])


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    mmseg_vittm.trust_checkpoints(args.trust_checkpoint)
    cfg = load_config(args.config, args.cfg_options, args.data_root, 'train')
    resume = dict(newest=True, auto=AUTO).get(args.resume, False)
    set_teacher(cfg, args.teacher, args.teacher_dtype)
    prepare_training(cfg, args.work_dir, args.pretrained, args.amp, resume,
                     is_first_of_node(args.launcher), args.warm_start)
    divide_batch(cfg, world_size(args.launcher))
    keep_freed()
    prepare_launch(cfg, args.launcher, args.local_rank)  # a signal ends it: it may wait for a process that is gone
    with stop_signals(), hold([cfg.work_dir], is_main(args.launcher)):
        runner = StrictRunner.from_cfg(cfg)
        runner.allow_partial = args.allow_partial
        runner.train()


if __name__ == '__main__':
    run(main)
