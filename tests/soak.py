"""Segments many images of many sizes and says how resident memory grows: python tests/soak.py slide --count 2000"""
import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from tool_runs import write_config

from mmseg_vittm import Predictor, optimize
from mmseg_vittm.inference.host_memory import resident


def images(count: int, sizes: int):
    """Yields images (H, W, 3) uint8 BGR of up to 500 x 683 pixels: each size once, then sizes in random order."""
    rng = np.random.default_rng(0)
    shapes = rng.integers((100, 140), (500, 683), (sizes, 2))
    for n in range(count):
        height, width = shapes[n if n < sizes else rng.integers(sizes)]
        yield rng.integers(0, 256, (height, width, 3), np.uint8)


def build(mode: str):
    """A tiny ViTTM in slide or whole mode, whose pipeline takes images as they are."""
    with tempfile.TemporaryDirectory() as folder:
        cfg = Config.fromfile(write_config(Path(folder)))
    slide = dict(mode='slide', crop_size=(128, 128), stride=(96, 96))
    cfg.model.update(test_cfg=slide if mode == 'slide' else dict(mode='whole'))
    cfg.test_pipeline = [step for step in cfg.test_pipeline if step.type != 'Resize']
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model).eval()
    model.cfg = cfg
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description='Says how resident memory grows after the first images, in MiB.')
    parser.add_argument('mode', choices=['slide', 'whole'])
    parser.add_argument('--count', type=int, default=2000)
    parser.add_argument('--sizes', type=int, default=200)
    parser.add_argument('--backend', help='of torch.compile; without, the network runs uncompiled')
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = optimize(build(args.mode), compile=dict(backend=args.backend) if args.backend else False)
    grown = [resident() for _ in Predictor(model)(images(args.count, args.sizes))]
    first, later = grown[args.sizes - 1], grown[args.sizes:]
    print(json.dumps(dict(first=round(first), peak=round(max(later)), last=round(later[-1]),
                          growth=round(max(later) - first, 1))))


if __name__ == '__main__':
    main()
