"""Draws 8-band 16-bit tiles with labels, to try data of many bands on: python benchmarks/band_tiles.py DIR [--scene N]

Five kinds of ground, each with its spectrum, in fields of any shape; per tile haze and light differ. No class is told
by one band alone. `--scene` draws one large scene of N x N pixels with a georeference too, without labels.
"""
import argparse
from pathlib import Path

import cv2
import numpy as np
import rasterio
from rasterio.transform import from_origin

CLASSES = ('water', 'soil', 'crops', 'forest', 'buildings')
# Reflectance of each class in each band, blue to short-wave infrared, as fractions; made up, and of the usual shapes.
SPECTRA = np.array([
    [0.08, 0.09, 0.06, 0.04, 0.03, 0.02, 0.01, 0.01],
    [0.08, 0.11, 0.16, 0.19, 0.22, 0.25, 0.32, 0.28],
    [0.04, 0.09, 0.06, 0.15, 0.38, 0.44, 0.24, 0.12],
    [0.03, 0.06, 0.04, 0.11, 0.26, 0.31, 0.14, 0.06],
    [0.13, 0.15, 0.17, 0.18, 0.20, 0.22, 0.27, 0.26]])
TILE, BLOCK = 128, 512  # pixels
METRES = 10.0  # of a pixel


def draw(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns bands (8, H, W) uint16 and labels (H, W) uint8."""
    grid = max(2, size // 24)
    fields = [cv2.resize(rng.normal(size=(grid, grid)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
              for _ in CLASSES]
    labels = np.argmax(fields, axis=0).astype(np.uint8)
    texture = cv2.GaussianBlur(rng.normal(size=(size, size)).astype(np.float32), (0, 0), 1.5)
    bands = SPECTRA[labels] * (1 + 0.5 * texture)[..., None]
    light, haze = rng.uniform(0.7, 1.3), rng.uniform(0, 0.04)
    bands = light * bands + haze * np.linspace(1, 0, 8) + rng.normal(scale=0.02, size=bands.shape)
    return (np.clip(bands, 0, 1) * 10_000).astype(np.uint16).transpose(2, 0, 1), labels


def write(path: Path, bands: np.ndarray, **options) -> None:
    """Writes bands (C, H, W) as a GeoTIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, 'w', driver='GTiff', count=len(bands), height=bands.shape[1], width=bands.shape[2],
                       dtype=bands.dtype, crs='EPSG:32633', compress='deflate', **options) as file:
        file.write(bands)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, metavar='DIR')
    parser.add_argument('--tiles', type=int, default=160, metavar='N', help='how many (default: %(default)s)')
    parser.add_argument('--scene', type=int, metavar='N', help='draw DIR/scene.tif of N x N pixels too')
    args = parser.parse_args()
    if args.folder.exists() and any(args.folder.iterdir()):
        parser.error(f'{args.folder} is not empty; give a new folder')
    for number in range(args.tiles):
        bands, labels = draw(np.random.default_rng((0, number)), TILE)
        place = from_origin(500_000 + number * TILE * METRES, 5_500_000, METRES, METRES)
        write(args.folder / 'images' / f'tile_{number:03d}.tif', bands, transform=place)
        write(args.folder / 'labels' / f'tile_{number:03d}.tif', labels[None], transform=place)
    (args.folder / 'classes.txt').write_text('\n'.join(CLASSES) + '\n')
    if args.scene:
        bands, _ = draw(np.random.default_rng((1, 0)), args.scene)
        write(args.folder / 'scene.tif', bands, transform=from_origin(500_000, 5_600_000, METRES, METRES), tiled=True,
              blockxsize=BLOCK, blockysize=BLOCK)


if __name__ == '__main__':
    main()
