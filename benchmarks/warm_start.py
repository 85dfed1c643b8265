"""Draws how close a warm-started process stream is to its ViT, layer by layer: python benchmarks/warm_start.py FILE ...

For docs/warm_start.md, of the ViT that configs/warm_start/vit_16_toy.py trains:

    python benchmarks/warm_start.py work_dirs/vit_16_toy/iter_2000.pth --calibrate data/toy_laboratory/images/training
        --images data/toy_laboratory/images/validation --image-size 192 --out docs/figures --overwrite
"""
import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image
from torch import Tensor

import mmseg_vittm  # noqa: F401
from mmseg_vittm.commands.options import run, whole
from mmseg_vittm.errors import InputError
from mmseg_vittm.outputs import claim_folder, write_whole
from mmseg_vittm.visualization.style import (
    BLACK,
    BLUE,
    GREY,
    RED,
    add_legend,
    add_notes,
    house_style,
    new_figure,
    render_files,
)
from mmseg_vittm.vittm import ViTTMEncoder
from mmseg_vittm.weights.warm_start.calibration import calibrate
from mmseg_vittm.weights.warm_start.closeness import Closeness, closeness, compare, memory_closeness
from mmseg_vittm.weights.warm_start.fit import warm_start_encoder
from mmseg_vittm.weights.warm_start.images import HALF
from mmseg_vittm.weights.warm_start.pending import CALIBRATIONS
from mmseg_vittm.weights.warm_start.teacher import Teacher
from mmseg_vittm.weights.warm_start.timm_names import read_any_source

# By calibration: what to call it, its colour, its marker.
LINES = {
    'none': ('norms as they start', GREY, 'x'),
    'least_squares': ('least squares per channel', BLUE, 's'),
    'anchored': ('least squares, anchored (used)', RED, 'o'),
    'prefix': ('the ViT itself without its class token', BLACK, '.'),
}
ENDINGS = ('.jpg', '.jpeg', '.png')
NAMES = ('warm_start.svg', 'warm_start.json')


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description='Draws how close a warm-started process stream is to its ViT.')
    parser.add_argument('checkpoint', help="file of a ViT's weights, or a name of timm's")
    parser.add_argument('--calibrate', required=True, metavar='DIR', help='folder of images to calibrate on')
    parser.add_argument('--images', required=True, metavar='DIR', help='folder of other images to measure on')
    parser.add_argument('--count', type=whole(1, 4096), default=32, metavar='N',
                        help='images of each folder (default: %(default)s)')
    parser.add_argument('--image-size', type=whole(16, 4096), default=224, metavar='N',
                        help='side of the images in pixels (default: %(default)s)')
    parser.add_argument('--process', type=whole(1, 256), nargs='+', default=[16, 32], metavar='N',
                        help='process patch sizes (default: 16 32)')
    parser.add_argument('--memory', type=whole(1, 256), default=16, metavar='N',
                        help='memory patch size (default: %(default)s)')
    parser.add_argument('--num-heads', type=whole(1, 256), metavar='N',
                        help='attention heads of the ViT, where its file does not tell (default: width / 64)')
    parser.add_argument('--out', required=True, metavar='DIR', help=f'folder for {" and ".join(NAMES)}')
    parser.add_argument('--overwrite', action='store_true', help='replace them')
    return parser.parse_args()


def read_images(folder: str, count: int, size: int, mean: Sequence[float], std: Sequence[float]) -> list[Tensor]:
    """Returns the first images of a folder by name, normalised, in batches (B, 3, size, size)."""
    paths = [path for path in sorted(Path(folder).glob('*')) if path.suffix.lower() in ENDINGS][:count]
    if not paths:
        raise InputError(f'{folder}: has no images (.jpg, .png); give a folder of some')
    pixels = [np.asarray(Image.open(path).convert('RGB').resize((size, size))) for path in paths]
    mean, std = (torch.tensor(values)[:, None, None] for values in (mean, std))
    images = (torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() - mean) / std
    return list(images.split(8))


def measure(args: argparse.Namespace, process: int) -> tuple[dict[str, list[Closeness]], dict[str, float]]:
    """Measures a process patch size.

    Returns:
        By calibration, how close the process stream is to the ViT at each layer; and the cosine of the memory tokens
        that the last block reads with what they were embedded as.
    """
    found, memory = {}, {}
    for name, settings in CALIBRATIONS.items():
        source, report = read_any_source(args.checkpoint)
        arch = dict(embed_dims=source.width, num_layers=len(source.blocks), mlp_ratio=source.hidden / source.width,
                    num_heads=source.num_heads or args.num_heads or max(1, source.width // 64))
        torch.manual_seed(0)
        encoder = ViTTMEncoder(arch, args.image_size, process_patch_size=process, memory_patch_size=args.memory,
                               **source.options).eval()
        warm_start_encoder(encoder, source, report, len(source.blocks))
        prefix, _ = source.prefix_and_grid(source.grid_at(encoder.img_size), report.path)
        norms = [source.norms.get(norm) for norm in ('norm_pre', 'norm')]
        teacher, without = Teacher(encoder, prefix, *norms), Teacher(encoder, prefix[:, :0], *norms)
        sizes = args.count, args.image_size, *(source.images or HALF)
        images = read_images(args.images, *sizes)
        with torch.no_grad():
            goals = [teacher.features(batch) for batch in images]
            embedded = [encoder.embed(batch)[1] for batch in images]
            bare = [without.features(batch) for batch in images] if name == 'none' else None
        if bare:
            found['prefix'] = [compare(*(torch.cat([one.flatten(0, 1) for one in streams]) for streams in pair))
                               for pair in zip(zip(*bare, strict=True), zip(*goals, strict=True), strict=True)]
        if settings:
            calibrate(teacher, read_images(args.calibrate, *sizes), outputs=[len(source.blocks) - 1], **settings)
        found[name] = closeness(encoder, images, goals)
        memory[name] = memory_closeness(encoder, images, embedded).cosine
    return found, memory


def draw(found: dict[str, dict[str, list[Closeness]]], notes: Sequence[str]) -> Figure:
    """Returns the figure: cosine above, relative error below; a column per process patch size."""
    figure = new_figure(5.2)
    axes = figure.subplots(2, len(found), sharex=True, sharey='row', squeeze=False)
    for column, (process, by_name) in zip(axes.T, found.items(), strict=True):
        column[0].set_title(f'process patches of {process} px', fontsize=9, loc='left')
        column[1].set_xlabel('block that it enters; last, the output')
        for axis, quantity in zip(column, ('cosine', 'error'), strict=True):
            for name, (label, colour, marker) in LINES.items():
                values = [getattr(one, quantity) for one in by_name[name]]
                axis.plot(range(1, len(values) + 1), values, color=colour, marker=marker, ms=4, lw=1.2, label=label)
            axis.grid(axis='y')
            axis.set_xticks(range(1, len(values) + 1), [*map(str, range(1, len(values))), 'out'])
    axes[0][0].set_ylabel('cosine with the ViT')
    axes[1][0].set_ylabel('relative error')
    axes[1][0].set_ylim(bottom=0)
    handles = [Line2D([], [], color=colour, marker=marker, ms=4, lw=1.2, label=label)
               for label, colour, marker in LINES.values()]
    add_legend(figure, [handles[:2], handles[2:]], columns=2)
    add_notes(figure, notes)
    return figure


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    claim_folder(args.out, NAMES, args.overwrite)
    measured = {str(process): measure(args, process) for process in args.process}
    found = {process: streams for process, (streams, _) in measured.items()}
    source, _ = read_any_source(args.checkpoint)
    conditions = dict(family=source.title, width=source.width, layers=len(source.blocks),
                      patch=list(source.patch.shape[2:]), memory=args.memory, image_size=args.image_size,
                      images=args.count, dtype='float32', torch=torch.__version__)
    notes = [f'{source.title}: width {source.width}, {len(source.blocks)} layers, patches of {source.patch.shape[2]} '
             f'px; {args.count} images of {args.image_size} px to calibrate, {args.count} others to measure; memory '
             f'patches of {args.memory} px; float32, torch {torch.__version__}.']
    record = dict(conditions=conditions, process={process: {
        name: {'cosine': [round(one.cosine, 5) for one in places], 'error': [round(one.error, 5) for one in places]}
        for name, places in by_name.items()} for process, by_name in found.items()}, memory={
        process: {name: round(cosine, 5) for name, cosine in by_name.items()}
        for process, (_, by_name) in measured.items()})
    with house_style():
        drawn = render_files(draw(found, notes))['svg']
    write_whole(Path(args.out) / NAMES[0], drawn)
    write_whole(Path(args.out) / NAMES[1], json.dumps(record, indent=1) + '\n')


if __name__ == '__main__':
    run(main)
