"""GeoTIFFs, and tiny models of any number of bands that segment them."""
import warnings

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from torch import nn

import mmseg_vittm  # noqa: F401  (registers)
from mmseg_vittm.inference.slide_segmentor import SlideSegmentor

SLIDE = dict(mode='slide', crop_size=(64, 96), stride=(40, 80))


@MODELS.register_module()
class BandCells(nn.Module):
    """One convolution over any number of bands: a cell per 8 pixels, as quick as can be."""

    def __init__(self, in_channels: int = 3, channels: int = 16, patch: int = 8):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, patch, stride=patch, padding=patch // 2)
        self.windows = 0

    def forward(self, images):
        self.windows += len(images)
        return (self.conv(images).relu(), )


def tiny_segmentor(bands: int = 3, classes: int = 7, test_cfg: dict = SLIDE, stock: bool = False, scale: float = 50.0,
                   **preprocessor) -> SlideSegmentor:
    """A segmentor with its config, of random weights, the same at every call; labels vary from region to region.

    Args:
        bands: Of the images.
        classes: Of the labels.
        test_cfg: As configs have it.
        stock: Read and normalise as MMSegmentation does, BGR images of 8 bits.
        scale: Standard deviation of the images' numbers.
        preprocessor: Further arguments of the data preprocessor.
    """
    given = dict(mean=[2 * scale + band for band in range(bands)], std=[scale + band for band in range(bands)])
    given |= dict(type='SegDataPreProcessor', bgr_to_rgb=True) if stock else dict(type='BandsPreProcessor')
    head = dict(type='FCNHead', num_convs=0, concat_input=False, channels=16, in_channels=16, num_classes=classes,
                dropout_ratio=0.0, loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
    if classes == 1:
        head |= dict(threshold=0.4, num_classes=2, out_channels=1,
                     loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True))
    reader = dict(type='LoadImageFromFile') if stock else dict(type='LoadBands', num_bands=bands)
    cfg = Config(dict(
        default_scope='mmseg', test_pipeline=[reader, dict(type='PackSegInputs')],
        model=dict(type='SlideSegmentor', data_preprocessor=given | preprocessor, decode_head=head,
                   backbone=dict(type='BandCells', in_channels=bands), train_cfg=dict(), test_cfg=test_cfg)))
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.5)
    model.cfg = cfg
    names = [f'class {number}' for number in range(max(classes, 2))]
    palette = np.random.default_rng(1).integers(0, 256, (len(names), 3)).tolist()
    model.dataset_meta = dict(classes=names, palette=palette)
    return model.eval().requires_grad_(False)


def drawn(height: int, width: int, bands: int, kind: str = 'uint8', seed: int = 0) -> np.ndarray:
    """An image (H, W, C) of low frequencies, so that labels form regions, over most of the range of its numbers."""
    chance = np.random.default_rng(seed)
    planes = [cv2.resize(chance.random((9, 7)), (width, height), interpolation=cv2.INTER_CUBIC) for _ in range(bands)]
    image = np.clip(np.stack(planes, axis=-1), 0, 1)
    most = {'uint8': 255, 'uint16': 65535}.get(kind, 1000)
    return (image * most).astype(kind)


def save_raster(path, image: np.ndarray, mask: np.ndarray | None = None, **profile) -> str:
    """Writes (H, W, C) as a GeoTIFF, with a mask of where there are data if one is given; returns its path."""
    import rasterio
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(
                path, 'w', **dict(driver='GTiff') | profile, height=image.shape[0], width=image.shape[1],
                count=image.shape[2], dtype=image.dtype) as raster:
            raster.write(image.transpose(2, 0, 1))
            if mask is not None:
                raster.write_mask(mask)
    return str(path)
