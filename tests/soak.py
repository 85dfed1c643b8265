"""Segments many images of many sizes and prints how resident memory grows: python tests/soak.py MODE COUNT COMPILE."""
import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from tool_runs import write_config

from mmseg_vittm import Predictor, optimize

SIZES, FIRST = 200, 200


def resident() -> float:
    """Resident memory of this process in MiB."""
    text = Path('/proc/self/status').read_text()
    return int(text.split('VmRSS:')[1].split()[0]) / 1024


def images(count: int, sizes: int):
    """Yields images (H, W, 3) uint8 BGR of up to 500 x 683 pixels: each size once, then sizes in random order."""
    rng = np.random.default_rng(0)
    shapes = rng.integers((100, 140), (500, 683), (sizes, 2))
    for n in range(count):
        height, width = shapes[n if n < sizes else rng.integers(sizes)]
        yield rng.integers(0, 256, (height, width, 3), np.uint8)


def build(mode: str, resize: bool):
    """A tiny ViTTM in slide or whole mode, whose pipeline takes images as they are, or scales them."""
    with tempfile.TemporaryDirectory() as folder:
        cfg = Config.fromfile(write_config(Path(folder)))
    slide = dict(mode='slide', crop_size=(128, 128), stride=(96, 96))
    cfg.model.update(test_cfg=slide if mode == 'slide' else dict(mode='whole'))
    if not resize:
        cfg.test_pipeline = [step for step in cfg.test_pipeline if step.type != 'Resize']
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model).eval()
    model.cfg = cfg
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('mode', choices=['slide', 'whole'])
    parser.add_argument('count', type=int)
    parser.add_argument('compile', choices=['none', 'eager', 'aot_eager'])
    parser.add_argument('--sizes', type=int, default=SIZES)
    parser.add_argument('--first', type=int, default=FIRST)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = optimize(build(args.mode, False), compile=args.compile != 'none' and dict(backend=args.compile))
    predictor = Predictor(model)
    trace = []
    for n, _ in enumerate(predictor(images(args.count, args.sizes)), 1):
        if n >= args.first and (n % 50 == 0 or n == args.first or n == args.count):
            trace.append(round(resident(), 1))
    print('MiB', *trace)


if __name__ == '__main__':
    main()
