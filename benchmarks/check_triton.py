"""Whether the Triton kernel for labels is right on this GPU, and faster than tiles: python benchmarks/check_triton.py

Where it is both, record the output beside the GPU's other results and set `TRITON_DEFAULT` to True in
mmseg_vittm/inference/windows/checked_kernel.py; where it is no gain, remove the kernel.
"""
import argparse
import itertools
import sys
import time
from statistics import median

import torch
from torch import Tensor

from mmseg_vittm.inference.windows import resampling_matrix, window_starts
from mmseg_vittm.inference.windows.checked_kernel import count_wrong
from mmseg_vittm.inference.windows.labels import tiled_labels, window_logits

CROP, STRIDE, CELLS = 504, 480, 18  # ViTTM-B(64, 64) on ADE20K
SIZES = (1, 1), (37, 701), (375, 500), (512, 683), (683, 512), (1001, 333), (1080, 1920)
CLASSES = 2, 19, 150
DTYPES = torch.float32, torch.bfloat16, torch.float16


def example(classes: int, size: tuple[int, int], dtype: torch.dtype, device: str,
            levels: int = 0) -> tuple[Tensor, ...]:
    """Returns logits of an image's windows, of as many levels where ties are wanted, and its two matrices."""
    sides = [max(1, round(side * CROP / min(size))) for side in size]  # as the test pipeline resizes it
    starts = [window_starts(side, CROP, STRIDE) for side in sides]
    low = torch.randn(classes, *(len(axis) * CELLS for axis in starts), generator=torch.Generator().manual_seed(0))
    low = (low * levels).round() / levels if levels else low
    matrices = (resampling_matrix(CELLS, min(side, CROP), axis, side, out)
                for side, axis, out in zip(sides, starts, size, strict=True))
    return tuple(tensor.to(device) for tensor in (low.to(dtype), *matrices))


def check(kernel, device: str, sizes: tuple) -> int:
    """Prints how many labels of the kernel are wrong, by size, classes and type; returns how many in all."""
    total = 0
    for classes, size, dtype, levels in itertools.product(CLASSES, sizes, DTYPES, (0, 1)):
        arguments = example(classes, size, dtype, device, levels)
        wrong = count_wrong(kernel(*arguments), window_logits(*arguments).argmax(0), *arguments)
        total += wrong
        if wrong:
            print(f'WRONG: {wrong} labels of {size[0]} x {size[1]}, {classes} classes, {dtype}, ties: {bool(levels)}')
    ties = torch.zeros(150, CELLS, CELLS, device=device)
    first = kernel(ties, *example(150, (64, 64), torch.float32, device)[1:])
    if first.any():
        print('WRONG: of equal logits the first class does not win')
    return total + int(first.count_nonzero())


def compare(kernel, size: tuple[int, int], dtype: torch.dtype, rounds: int = 50) -> tuple[float, float]:
    """Returns the median milliseconds of the kernel and of tiles, 150 classes, called in turns."""
    arguments, times = example(150, size, dtype, 'cuda'), ([], [])
    for turn in range(rounds + 5):  # the first five warm up
        for call, found in zip((kernel, tiled_labels), times, strict=True):
            torch.cuda.synchronize()
            start = time.perf_counter()
            call(*arguments)
            torch.cuda.synchronize()
            if turn >= 5:
                found.append(1000 * (time.perf_counter() - start))
    return median(times[0]), median(times[1])


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description='Checks the Triton kernel for labels on a GPU, and how fast it is.')
    parser.add_argument('--device', choices=['cuda', 'cpu'], default='cuda',
                        help="cpu, with TRITON_INTERPRET=1, checks the kernel's code on two small sizes (minutes)")
    device = parser.parse_args().device
    if device == 'cuda' and not torch.cuda.is_available():
        sys.exit('error: PyTorch sees no GPU here; --device cpu with TRITON_INTERPRET=1 checks the code alone')
    try:
        from mmseg_vittm.inference.windows.labels_triton import window_labels as kernel
    except ImportError as error:
        sys.exit(f'error: Triton is missing ({error}); PyTorch for Nvidia GPUs on Linux brings it')
    wrong = check(kernel, device, SIZES if device == 'cuda' else ((1, 1), (3, 131)))
    print(f'labels: {wrong} wrong' if wrong else 'labels: all right')
    if device == 'cpu':
        sys.exit(bool(wrong))
    torch.backends.cuda.matmul.allow_tf32 = False
    print(f'{torch.cuda.get_device_name()}, torch {torch.__version__}, 150 classes, medians of 50 calls in turns')
    gains = []
    for size, dtype in itertools.product(((512, 683), (1080, 1920)), (torch.float32, torch.bfloat16)):
        ours, tiles = compare(kernel, size, dtype)
        gains.append(tiles / ours)
        print(f'{size[0]} x {size[1]}, {dtype}: kernel {ours:.3f} ms, tiles {tiles:.3f} ms, {tiles / ours:.2f} x')
    if wrong or min(gains) < 1:
        print('Leave it off: TRITON_DEFAULT = False in mmseg_vittm/inference/windows/checked_kernel.py')
    else:
        print('Switch it on: TRITON_DEFAULT = True in mmseg_vittm/inference/windows/checked_kernel.py')
    sys.exit(bool(wrong))


if __name__ == '__main__':
    main()
