"""A set of tiles whose classes are told by their spectra alone: every band by itself is noise and overlap."""
from pathlib import Path

import cv2
import numpy as np
from rasters import save_raster
from tiny_models import ROOT

CLASSES = 4
MOST = {'uint8': 255, 'uint16': 10000, 'float32': 1.0}

CONFIG = """
_base_ = [{model!r}, {schedule!r}, {runtime!r}]
crop_size = (64, 64)
bands = {bands}
train_pipeline = [
    dict(type='LoadBands', num_bands=bands),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(96, 64), ratio_range=(0.75, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.9),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [dict(type='LoadBands', num_bands=bands), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
model = dict(
    data_preprocessor=dict(
        _delete_=True, type='BandsPreProcessor', mean={mean!r}, std={std!r}, size=crop_size, pad_val=0,
        seg_pad_val=255),
    backbone=dict(
        img_size=crop_size, in_channels=bands, arch=dict(embed_dims=48, num_layers=2, num_heads=3, mlp_ratio=2.0),
        process_patch_size=16, memory_patch_size=4),
    decode_head=dict(
        _delete_=True, type='FCNHead', in_channels=96, channels=96, num_convs=0, concat_input=False, num_classes=4,
        loss_decode=dict(type='CrossEntropyLoss')),
    auxiliary_head=None,
    test_cfg=dict(_delete_=True, mode='slide', crop_size=crop_size, stride=(48, 48)))
dataset = dict(
    type='BaseSegDataset', data_root={data!r}, img_suffix='.tif', seg_map_suffix='.png',
    data_prefix=dict(img_path='images', seg_map_path='labels'),
    metainfo=dict(classes=['water', 'wood', 'field', 'town'],
                  palette=[[0, 0, 255], [0, 128, 0], [255, 255, 0], [255, 0, 0]]))
train_dataloader = dict(
    batch_size=8, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline, **dataset))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=test_pipeline, test_mode=True, **dataset))
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=3e-3))
train_cfg = dict(max_iters={iterations}, val_interval={iterations})
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval={iterations}))
"""


def draw_tile(bands: int, kind: str, seed: int, size: tuple[int, int] = (80, 96)) -> tuple[np.ndarray, np.ndarray]:
    """A tile (H, W, bands) and its labels (H, W): regions of classes with spectra of their own, and noise."""
    spectra = np.random.default_rng(7).uniform(0.2, 0.8, (CLASSES, bands))
    if bands == 1:
        spectra = np.linspace(0.1, 0.9, CLASSES)[:, None]
    chance = np.random.default_rng(100 + seed)
    fields = np.stack([cv2.resize(chance.random((4, 4)), size[::-1], interpolation=cv2.INTER_CUBIC)
                       for _ in range(CLASSES)])
    labels = fields.argmax(0).astype(np.uint8)
    image = spectra[labels] + chance.normal(0, 0.08 if bands > 1 else 0.03, (*size, bands))
    return (np.clip(image, 0, 1) * MOST[kind]).astype(kind), labels


def write_set(folder: Path, bands: int, kind: str, tiles: int = 16, **profile) -> tuple[list[float], list[float]]:
    """Writes `images/*.tif` and `labels/*.png`; returns the images' mean and std by band."""
    (folder / 'images').mkdir(parents=True)
    (folder / 'labels').mkdir()
    images = []
    for number in range(tiles):
        image, labels = draw_tile(bands, kind, number)
        save_raster(folder / 'images' / f'{number:02d}.tif', image, **profile)
        cv2.imwrite(str(folder / 'labels' / f'{number:02d}.png'), labels)
        images.append(image.reshape(-1, bands))
    pixels = np.concatenate(images).astype(np.float64)
    return [round(float(value), 4) for value in pixels.mean(0)], [round(float(value), 4) for value in pixels.std(0)]


def write_spectral_config(folder: Path, bands: int, kind: str, iterations: int, **profile) -> Path:
    """Writes a set of tiles into a folder, and a config that trains on it."""
    mean, std = write_set(folder / 'data', bands, kind, **profile)
    base = ROOT / 'configs' / '_base_'
    path = folder / 'spectral.py'
    path.write_text(CONFIG.format(
        model=str(base / 'models' / 'segmenter_vittm.py'), schedule=str(base / 'schedules' / 'adamw_toy.py'),
        runtime=str(base / 'default_runtime.py'), bands=bands, mean=mean, std=std, data=str(folder / 'data'),
        iterations=iterations))
    return path
