"""Converts a checkpoint to .safetensors in our names: python tools/convert_checkpoint.py IN OUT.safetensors"""
import argparse

import mmseg_vittm
from mmseg_vittm.commands.options import add_checkpoint_options, run
from mmseg_vittm.errors import printable
from mmseg_vittm.weights.convert import convert_checkpoint


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Converts a checkpoint to .safetensors: the authors' ViTTM files and timm's ViT files to backbone "
        'weights for --pretrained and init_cfg, a checkpoint of tools/train.py to the weights of the whole model for '
        "test.py and infer.py, without the optimiser; a classifier's to those of its timm model.")
    parser.add_argument('source', metavar='IN', help='.pth or .safetensors file')
    parser.add_argument('target', metavar='OUT.safetensors', help='file to write')
    parser.add_argument('--overwrite', action='store_true', help='replace OUT where it is there already')
    add_checkpoint_options(parser, partial=False)
    return parser.parse_args()


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    mmseg_vittm.trust_checkpoints(args.trust_checkpoint)
    print(printable(convert_checkpoint(args.source, args.target, args.overwrite)))


if __name__ == '__main__':
    run(main)
