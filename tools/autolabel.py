"""Labels images by a segmentor: python tools/autolabel.py CONFIG CHECKPOINT FOLDER -o OUT --threshold T"""
import argparse

import torch

import mmseg_vittm
from mmseg_vittm.commands.autolabeling.kind import kind_of_set
from mmseg_vittm.commands.autolabeling.labeling import LabelOptions, label_images, list_images, settings_of_labels
from mmseg_vittm.commands.autolabeling.pseudo_set import PseudoSet
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.interrupts import clean_end
from mmseg_vittm.commands.options import add_checkpoint_options, add_speed_options, check_device, run
from mmseg_vittm.commands.trial.whole import try_to_build
from mmseg_vittm.engine.distillation.teacher import sha256_of
from mmseg_vittm.inference.fast import optimize_if_possible
from mmseg_vittm.inference.prediction import classes_of
from mmseg_vittm.weights.whole_model import load_model


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description='Labels the images of a folder, and of the folders in it, by a segmentor; pixels that it is not '
        'sure of are ignored. OUT becomes a data set that configs read. The same command again goes on where it '
        'stopped.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help="checkpoint of the whole model: tools/train.py's .pth, or .safetensors")
    parser.add_argument('input', metavar='folder', help='a folder of images without labels')
    parser.add_argument('-o', '--out', required=True, metavar='DIR',
                        help="images and labels go to the folders in DIR that the config's training data have in "
                        'theirs, such as images/training and annotations/training, under their names; the report to '
                        'DIR/report.json, .png and .svg; what a config reads the set by to DIR/dataset.py')
    parser.add_argument('--threshold', type=float, default=0.9, metavar='T',
                        help="pixels whose label's probability is less are ignored, 0 to 1 (default: %(default)s)")
    parser.add_argument('--device', default='cuda:0' if torch.cuda.is_available() else 'cpu',
                        help='where to run (default: %(default)s)')
    add_checkpoint_options(parser)
    add_speed_options(parser)
    parser.add_argument('--link', action='store_true', help='hard links to the images in place of copies, where the '
                        'disk can: no room is taken, but who writes to an image writes to both')
    parser.add_argument('--overwrite', action='store_true', help='remove the labels of an earlier run in DIR, and make '
                        'them anew')
    parser.add_argument('--keep-going', action='store_true', help='label the other images where one cannot be '
                        'labelled, then fail with a list of such images')
    return parser.parse_args()


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    mmseg_vittm.trust_checkpoints(args.trust_checkpoint)
    options = LabelOptions(args.threshold, args.link, args.overwrite, args.keep_going)
    check_device(args.device)
    images = list_images(args.input, args.out)
    cfg = load_config(args.config, job='infer')
    try_to_build(cfg, 'infer')
    model = load_model(cfg, args.checkpoint, args.device, args.allow_partial)
    kind = kind_of_set(cfg, classes_of(model)[0])
    pseudo_set = PseudoSet(args.out, kind, images)
    pseudo_set.refuse_inputs([args.config, args.checkpoint])
    settings = settings_of_labels(cfg, kind, args.input, args.checkpoint, sha256_of(model), args.dtype, args.threshold)
    optimize_if_possible(model, args.dtype, args.compile)
    with clean_end(), pseudo_set.held():
        pseudo_set.begin(settings, args.overwrite)
        label_images(model, pseudo_set, args.input, settings, options)


if __name__ == '__main__':
    run(main)
