"""Draws benchmark results: python tools/plot.py FILE.json [FILE.json ...] -o DIR"""
import argparse
from pathlib import Path

from mmseg_vittm.commands.options import run
from mmseg_vittm.measure.plots.draw import draw_plots

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description='Draws speed against mIoU (pareto.svg, .png) and latency by stage (stages.svg, .png).')
    parser.add_argument('files', nargs='+', metavar='FILE.json', help='results of tools/benchmark.py')
    parser.add_argument('-o', '--out', required=True, metavar='DIR', help='folder for the plots')
    parser.add_argument('--miou', nargs='+', action='extend', default=[], metavar='CONFIG_STEM=VALUE',
                        help='a measured mIoU in percent, such as segmenter_vittm_b_ade20k=45.2; the others have the '
                        'published one of configs/metafile.yaml or configs/peers/metafile.yaml, marked as such')
    parser.add_argument('--title', metavar='TEXT', help='title of both plots')
    parser.add_argument('--overwrite', action='store_true', help='replace plots of an earlier run')
    return parser.parse_args()


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    metafiles = [CONFIGS / folder / 'metafile.yaml' for folder in ('', 'peers', 'rivals')]
    draw_plots(args.files, args.out, metafiles, args.miou, args.title, args.overwrite)


if __name__ == '__main__':
    run(main)
