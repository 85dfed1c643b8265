"""What giving free memory back costs: python benchmarks/host_memory.py [--help]

Segments one image again and again on a CPU under three policies in turns: no trim, a trim after every image by which
resident memory has grown by more than the slack, and a trim after every image. A policy's image follows another one
under the same policy, so that what its trim makes the next image pay is counted.
"""
import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from mmseg_vittm import optimize
from mmseg_vittm.inference.host_memory import Trimmer, resident, trim

ROOT = Path(__file__).resolve().parents[1]
POLICIES = {'never': lambda: None, 'slack': Trimmer(), 'always': trim}


def build(config: str) -> torch.nn.Module:
    """Returns a config's segmentor with random weights, optimized."""
    cfg = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope('mmseg'):
        return optimize(MODELS.build(cfg.model))


def timed(call: Callable[[], object]) -> float:
    """Returns the milliseconds of a call: of the processor, so that other processes hardly count."""
    start = time.process_time()
    call()
    return 1000 * (time.process_time() - start)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description='What giving free memory back to the system costs, on a CPU.')
    parser.add_argument('--config', default=str(ROOT / 'configs' / 'segmenter_vittm_b_ade20k.py'))
    parser.add_argument('--size', type=int, nargs=2, default=(512, 683), metavar=('H', 'W'))
    parser.add_argument('--rounds', type=int, default=10, help='images per policy (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=1, help='of PyTorch (default: %(default)s)')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model, image = build(args.config), torch.randn(1, 3, *args.size)
    times = {name: dict(image=[], trim=[], resident=[]) for name in POLICIES}
    for turn in range(args.rounds + 1):  # the first warms up
        for name, policy in POLICIES.items():
            for measured in (False, True):
                with torch.no_grad():
                    spent = timed(lambda: model.predict(image))
                trimmed = timed(policy)
                if turn and measured:
                    for kind, value in zip(times[name], (spent + trimmed, trimmed, resident()), strict=True):
                        times[name][kind].append(value)
    base = times['never']['image']
    for name, found in times.items():
        ratios = [one / other for one, other in zip(found['image'], base, strict=True)]
        print(json.dumps(dict(policy=name, image_ms=round(median(found['image'])),
                              trim_ms=round(median(found['trim']), 2), ratio=round(median(ratios), 4),
                              resident_mib=round(median(found['resident'])))))


if __name__ == '__main__':
    main()
