"""Time and memory of a stream that does not end: python benchmarks/endless.py -o DIR

Drives `Predictor.stream` through many frames of a small `StreamSegmentor`, of random weights, and says what a frame
takes at the beginning and at the end. Draws `endless.svg` and writes `endless.json`.
"""
import argparse
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, MODELS

from mmseg_vittm import Predictor, optimize
from mmseg_vittm.commands.options import run, whole
from mmseg_vittm.commands.progress import Reporter, open_console
from mmseg_vittm.inference.host_memory import resident
from mmseg_vittm.measure.conditions import describe_machine, resolve_device, versions
from mmseg_vittm.outputs import claim_folder, write_whole
from mmseg_vittm.visualization.style import BLUE, RED, add_notes, house_style, new_figure, render_files

CONFIG = Path(__file__).resolve().parents[1] / 'configs' / 'video' / 'toy_ttm.py'
NAMES = ('endless.svg', 'endless.json')
FIRST = 10  # the frame from which on times are compared: those before warm up
WINDOW = 100  # frames of which the median is taken


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description='Time and memory per frame of a stream that does not end.')
    parser.add_argument('--config', default=str(CONFIG), help='(default: configs/video/toy_ttm.py)')
    parser.add_argument('--frames', type=whole(2 * WINDOW + FIRST, 10**9), default=10000, metavar='N',
                        help='(default: %(default)s)')
    parser.add_argument('--size', type=whole(16, 4096), default=96, metavar='PIXELS',
                        help='side of the frames (default: %(default)s)')
    parser.add_argument('--threads', type=whole(1, 1024), default=1, help="of PyTorch's (default: %(default)s)")
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: the GPU if there is one)')
    parser.add_argument('-o', '--out', required=True, metavar='DIR', help=f'folder for {" and ".join(NAMES)}')
    parser.add_argument('--overwrite', action='store_true', help='replace them')
    return parser.parse_args()


def build(config: str, device: torch.device) -> Predictor:
    """Returns a predictor of a config's model with random weights, whose temporal module says something."""
    cfg = Config.fromfile(config)
    cfg.model.frame_checkpoint = None
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    for read in model.temporal.reads:
        torch.nn.init.normal_(read.out.weight, std=0.1)
    cfg.test_pipeline = [cfg.test_pipeline[0], dict(type='PackSegInputs')]  # frames of any size, as they are
    model.cfg, model.dataset_meta = cfg, DATASETS.get(cfg.dataset_type).METAINFO
    return Predictor(optimize(model.to(device)))


def camera(size: int) -> Iterator[np.ndarray]:
    """Yields frames (size, size, 3) uint8 for ever: a pattern that drifts, with noise."""
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(0, 256, (16, 16, 3)), np.ones((size // 8, size // 8, 1)))
    for number in itertools.count():
        moved = np.roll(scene, (number // 3, number // 2), axis=(0, 1))[:size, :size]
        yield np.clip(moved + rng.normal(0, 10, moved.shape), 0, 255).astype(np.uint8)


def measure(predictor: Predictor, device: torch.device, frames: int, size: int,
            reporter: Reporter) -> tuple[list[float], list[float]]:
    """Returns milliseconds per frame, and MiB of memory after each.

    On a CPU they are the processor's, which what else goes on there disturbs less, and memory is what is resident; on a
    GPU they pass on the clock, labels arrived, and the memory that PyTorch allocated there comes on top.
    """
    on_gpu = device.type == 'cuda'
    clock = time.perf_counter if on_gpu else time.process_time
    times, memory, images = [], [], camera(size)
    stream = predictor.stream(images)
    for number in range(frames):
        start = clock()
        next(stream)
        times.append(1000 * (clock() - start))
        memory.append(resident() + (torch.cuda.memory_allocated(device) / 2**20 if on_gpu else 0))
        reporter(number + 1, frames, 'frames')
    return times, memory


def summary(times: list[float], memory: list[float]) -> dict:
    """Returns what a frame takes at the beginning and at the end."""
    first, last = median(times[FIRST:FIRST + WINDOW]), median(times[-WINDOW:])
    return dict(frames=len(times), first_ms=round(first, 3), last_ms=round(last, 3),
                last_over_first=round(last / first, 4), resident_mib_at_frame_10=round(memory[FIRST - 1], 1),
                resident_mib_at_end=round(memory[-1], 1), growth_mib=round(max(memory[FIRST:]) - memory[FIRST - 1], 1))


def figure_of(times: list[float], memory: list[float], notes: str) -> Figure:
    """Draws the time per frame and the memory over the number of frames."""
    figure = new_figure(3.4)
    upper, lower = figure.subplots(2, 1, sharex=True)
    starts = range(FIRST, len(times) - WINDOW + 1, WINDOW)
    middles = [start + WINDOW // 2 for start in starts]
    upper.plot(middles, [median(times[start:start + WINDOW]) for start in starts], color=RED, lw=1.2)
    upper.set(ylabel='ms per frame')
    lower.plot(range(FIRST, len(memory) + 1), memory[FIRST - 1:], color=BLUE, lw=1.2)
    lower.set(ylabel='MiB resident', xlabel='frames')
    for axes in (upper, lower):
        axes.set_ylim(0, 1.15 * axes.dataLim.y1)
        axes.grid()
    add_notes(figure, [notes])
    return figure


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    claim_folder(args.out, NAMES, args.overwrite)
    torch.set_num_threads(args.threads)
    device, console = resolve_device(args.device), open_console()
    with Reporter(console, 'frames') as reporter:
        times, memory = measure(build(args.config, device), device, args.frames, args.size, reporter)
    found = summary(times, memory)
    conditions = dict(config=Path(args.config).name, device=describe_machine(device), size=args.size, dtype='fp32',
                      versions=versions(), timer='Predictor.stream, the time of the processor on a CPU, the clock on '
                      f'a GPU; loading and labels included; medians of {WINDOW} frames, from frame {FIRST} on and last')
    notes = (f'{conditions["config"]}, random weights, frames of {args.size} x {args.size} pixels, float32, '
             f'{conditions["device"]}, through Predictor.stream; medians of {WINDOW} frames.')
    with house_style():
        files = render_files(figure_of(times, memory, notes))
    write_whole(Path(args.out) / NAMES[0], files['svg'])
    write_whole(Path(args.out) / NAMES[1], json.dumps(found | conditions, indent=2) + '\n')
    console.print(f'{found["first_ms"]} ms a frame at the beginning, {found["last_ms"]} ms after {found["frames"]} '
                  f'frames; memory grew by {found["growth_mib"]} MiB')


if __name__ == '__main__':
    run(main)
