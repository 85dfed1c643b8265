"""Segments images and videos: python tools/infer.py CONFIG CHECKPOINT IMAGE|DIR|VIDEO -o DIR"""
import argparse

import torch

import mmseg_vittm
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.interrupts import clean_end
from mmseg_vittm.commands.options import add_checkpoint_options, add_speed_options, check_device, run
from mmseg_vittm.commands.segmenting.segment_files import plan_files, segment_planned
from mmseg_vittm.commands.trial.whole import try_to_build
from mmseg_vittm.inference.fast import optimize_if_possible
from mmseg_vittm.weights.whole_model import load_model


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description='Segments an image, the images and videos of a folder, or a video.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help="checkpoint of the whole model: tools/train.py's .pth, or .safetensors")
    parser.add_argument('input', help='an image, a video, or a folder of them')
    parser.add_argument('-o', '--out', required=True, metavar='DIR',
                        help='overlays with a legend go to DIR/overlays, labels (PNG of class indices) to DIR/labels, '
                        'each named after its input with its ending: a.jpg gives a.jpg.png, a video a.mp4 the overlay '
                        'a.mp4.mp4 and a folder labels/a.mp4 with a PNG per frame')
    parser.add_argument('--device', default='cuda:0' if torch.cuda.is_available() else 'cpu',
                        help='where to run (default: %(default)s)')
    add_checkpoint_options(parser)
    add_speed_options(parser)
    parser.add_argument('--opacity', type=float, default=0.5, help="weight of the labels' colours, 0 to 1 "
                        '(default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace files of an earlier run')
    parser.add_argument('--keep-going', action='store_true', help='segment the other files where one cannot be '
                        'segmented, then fail with a list of such files')
    return parser.parse_args()


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    mmseg_vittm.trust_checkpoints(args.trust_checkpoint)
    check_device(args.device)
    plan = plan_files(args.input, args.out, args.opacity, args.overwrite, args.keep_going,
                      (args.config, args.checkpoint))
    cfg = load_config(args.config, job='infer')
    try_to_build(cfg, 'infer')
    model = load_model(cfg, args.checkpoint, args.device, args.allow_partial)
    optimize_if_possible(model, args.dtype, args.compile)
    with clean_end():
        segment_planned(model, plan)


if __name__ == '__main__':
    run(main)
