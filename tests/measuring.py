"""What tests of measurements share: a tiny sliding config, a data set of one image, stand-ins for segmentors."""
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from PIL import Image
from tool_runs import write_config

from mmseg_vittm.measure.benchmark.building import Settings, build_for_measuring
from mmseg_vittm.measure.benchmark.images import choose_source
from mmseg_vittm.measure.benchmark.subject import Subject

CPU = torch.device('cpu')
KEYS = {'config', 'device', 'dtype', 'compile', 'torch', 'batch_size', 'images', 'image_size', 'windows_per_image',
        'fps', 'fps_mean', 'latency_ms_median', 'latency_ms_p95', 'ratio_to_first', 'params_m', 'gflops',
        'peak_memory_mb', 'stages_ms', 'cpu_flags'}
SLIDE = """
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 64), keep_ratio=True),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs'),
]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
model['test_cfg'] = dict(_delete_=True, mode='slide', crop_size=(64, 64), stride=(48, 48))
"""


def sliding_config(folder: Path) -> Path:
    """A tiny ViTTM that slides over images of 64 pixels in height."""
    return write_config(folder, more=SLIDE)


def ade_folder(folder: Path) -> Path:
    """ADE20K's layout with one validation image, 30 x 50."""
    for part in ('images', 'annotations'):
        (folder / 'ade' / part / 'validation').mkdir(parents=True)
    pixels = np.arange(30 * 50 * 3, dtype=np.uint8).reshape(30, 50, 3)
    Image.fromarray(pixels).save(folder / 'ade' / 'images' / 'validation' / 'one.jpg')
    Image.fromarray(pixels[..., 0]).save(folder / 'ade' / 'annotations' / 'validation' / 'one.png')
    return folder / 'ade'


def ade_config(tmp_path: Path, folder: Path) -> Config:
    """The tiny model on ADE20K's data set class."""
    cfg = Config.fromfile(sliding_config(tmp_path))
    cfg.test_dataloader.dataset = dict(
        type='ADE20KDataset', data_root=str(folder), pipeline=cfg.test_pipeline,
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'))
    return cfg


def make_subject(path: Path | str, cfg: Config | None = None, kind: type[Subject] = Subject, **settings) -> Subject:
    """A config under measurement on the CPU, as the command lines make it."""
    cfg, settings = Config.fromfile(path) if cfg is None else cfg, Settings(CPU, **settings)
    return kind(build_for_measuring(str(path), cfg, settings), choose_source(cfg, settings), settings)


class Part(torch.nn.Module):
    """Advances a clock by the time that it stands for."""

    def __init__(self, clock: list, seconds: float):
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def forward(self, tensor):
        self.clock[0] += self.seconds
        return tensor


def fake_segmentor(clock: list) -> torch.nn.Module:
    """2 s of backbone, 0.5 of neck, 3 + 4 of two heads, 1 s of the rest, heads called past their hooks."""
    model = torch.nn.Module()
    model.backbone, model.neck = Part(clock, 2.0), Part(clock, 0.5)
    model.decode_head = torch.nn.ModuleList([Part(clock, 3.0), Part(clock, 4.0)])
    model.rest = Part(clock, 1.0)
    return model
