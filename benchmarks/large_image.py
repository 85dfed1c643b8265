"""Memory and speed of tools/infer.py on large GeoTIFFs: python benchmarks/large_image.py -o DIR

Draws GeoTIFFs of several sizes, 3 bands of 8 bits, of shapes and noise; segments each by tools/infer.py in a process of
its own, with a small ViTTM of random weights or the model of a config; writes what that took to `large_image.json`, and
removes the rest.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, MODELS

import mmseg_vittm  # noqa: F401  (registers)
from mmseg_vittm.commands.options import run, whole
from mmseg_vittm.commands.progress import open_console
from mmseg_vittm.errors import InputError
from mmseg_vittm.measure.conditions import describe_machine, versions
from mmseg_vittm.outputs import claim_folder, write_whole

ROOT = Path(__file__).resolve().parents[1]
NAME = 'large_image.json'
BLOCK = 512
SMALL = ('ViTTM of width 48 and 2 layers, patches of 64 and 32, a linear head, 14 classes, random weights; windows of '
         '512 x 512, every 480')
CONFIG = """_base_ = '{base}'
crop_size = (512, 512)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        img_size=crop_size,
        arch=dict(embed_dims=48, num_layers=2, num_heads=3, mlp_ratio=2.0),
        process_patch_size=64,
        memory_patch_size=32),
    decode_head=dict(
        _delete_=True, type='FCNHead', num_convs=0, concat_input=False, in_channels=96, channels=96, num_classes=14,
        loss_decode=dict(type='CrossEntropyLoss')),
    auxiliary_head=None,
    test_cfg=dict(_delete_=True, mode='slide', crop_size=crop_size, stride=(480, 480)))
"""


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description='Memory and speed of tools/infer.py on large GeoTIFFs.')
    parser.add_argument('--sizes', type=whole(64, 200000), nargs='+', default=[64, 3000, 10000, 30000],
                        metavar='PIXELS', help='sides of the images (default: 64, for what the process has before, '
                        '3000, 10000 and 30000)')
    parser.add_argument('--config', metavar='CONFIG', help='of the model, whose weights are random (default: a small '
                        'one)')
    parser.add_argument('--threads', type=whole(1, 1024), default=2, help="of PyTorch's (default: %(default)s)")
    parser.add_argument('--scratch', metavar='DIR', help='where images and results go for the time being: some 3 GB '
                        'for 30000 pixels (default: a temporary folder)')
    parser.add_argument('--note', default='', help='what else ran on the machine, for the file')
    parser.add_argument('-o', '--out', required=True, metavar='DIR', help=f'folder for {NAME}')
    parser.add_argument('--overwrite', action='store_true', help='replace it')
    return parser.parse_args()


def make_model(folder: Path, given: str | None) -> tuple[Path, Path]:
    """Writes a config, if none is given, and a checkpoint of random weights, whose labels differ by place."""
    config, checkpoint = Path(given or folder / 'model.py'), folder / 'model.pth'
    if not given:
        config.write_text(CONFIG.format(base=ROOT / 'configs' / 'segmenter_vittm_t_toy.py'))
    cfg = Config.fromfile(config)
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    for weight in model.parameters():
        weight.data += 0.3 * torch.randn_like(weight)
    torch.save(dict(state_dict=model.state_dict(),
                    meta=dict(dataset_meta=dict(DATASETS.get(cfg.dataset_type).METAINFO))), checkpoint)
    return config, checkpoint


def draw(path: Path, size: int) -> None:
    """Writes a GeoTIFF of size x size pixels, block by block: grounds of low frequency, discs, and noise."""
    import rasterio
    place = dict(crs='EPSG:32632', transform=rasterio.transform.from_origin(500000, 5500000, 0.5, 0.5))
    with rasterio.Env(GDAL_CACHEMAX=2**26), rasterio.open(
            path, 'w', driver='GTiff', width=size, height=size, count=3, dtype='uint8', tiled=True, blockxsize=BLOCK,
            blockysize=BLOCK, compress='deflate', zlevel=1, bigtiff='if_safer', **place) as raster:
        for top in range(0, size, BLOCK):
            for left in range(0, size, BLOCK):
                chance = np.random.default_rng([top, left])
                block = cv2.resize(chance.integers(0, 256, (5, 5, 3), dtype=np.uint8), (BLOCK, BLOCK))
                for _ in range(6):
                    cv2.circle(block, chance.integers(0, BLOCK, 2).tolist(), int(chance.integers(8, 90)),
                               chance.integers(0, 256, 3).tolist(), -1)
                block ^= chance.integers(0, 8, block.shape, dtype=np.uint8)
                block = block[:min(BLOCK, size - top), :min(BLOCK, size - left)]
                raster.write(block.transpose(2, 0, 1), window=rasterio.windows.Window(left, top, *block.shape[1::-1]))


def segment(image: Path, config: Path, checkpoint: Path, out: Path, threads: int) -> dict:
    """Segments an image in a process of its own; returns its seconds and the MiB that it had at most."""
    environment = os.environ | dict(OMP_NUM_THREADS=str(threads), PYTHONPATH=os.pathsep.join(
        [str(ROOT), os.environ.get('PYTHONPATH', '')]), CUDA_VISIBLE_DEVICES='')
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / 'tools' / 'infer.py'), str(config), str(checkpoint), str(image), '-o', str(out),
         '--device', 'cpu'], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)  # of this process alone
    if status:
        raise InputError(f'tools/infer.py failed: {said[-2000:]}')
    return dict(seconds=round(time.monotonic() - start, 1), processor_seconds=round(usage.ru_utime + usage.ru_stime, 1),
                peak_mib=round(usage.ru_maxrss / 1024, 1))


def measure(size: int, config: Path, checkpoint: Path, folder: Path, threads: int) -> dict:
    """Returns what an image of a size takes, and checks that its labels are whole."""
    import rasterio
    image, out = folder / f'{size}.tif', folder / f'out_{size}'
    draw(image, size)
    try:
        found = segment(image, config, checkpoint, out, threads)
        labels = out / 'labels' / f'{image.name}.tif'
        with rasterio.open(labels) as raster:
            middle = raster.read(1, window=rasterio.windows.Window(size // 2, size // 2, BLOCK, BLOCK))
            if raster.shape != (size, size) or raster.crs is None or middle.max() == raster.nodata:
                raise InputError(f'{labels}: not what it should be')
        found |= dict(size=size, image_mib=round(image.stat().st_size / 2**20, 1),
                      labels_mib=round(labels.stat().st_size / 2**20, 1), classes_in_the_middle=len(np.unique(middle)),
                      pixels_per_second=round(size**2 / found['seconds']))
    finally:
        image.unlink()
    return found


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    claim_folder(args.out, [NAME], args.overwrite)
    console, records = open_console(), []
    with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
        config, checkpoint = make_model(Path(folder), args.config)
        for size in args.sizes:
            records.append(measure(size, config, checkpoint, Path(folder), args.threads))
            console.print(records[-1])
    torch.set_num_threads(args.threads)
    conditions = dict(
        model=f'{args.config}, random weights' if args.config else SMALL,
        device=describe_machine(torch.device('cpu')), dtype='fp32', versions=versions(), note=args.note,
        timer='the whole process of tools/infer.py, from its start; peak_mib is its largest resident memory, with '
        'PyTorch and all imports')
    write_whole(Path(args.out) / NAME, json.dumps(dict(images=records) | conditions, indent=2) + '\n')


if __name__ == '__main__':
    run(main)
