"""Sliding windows along one axis of an image, as one small matrix.

What MMSegmentation does to the logits of overlapping windows is linear and separable until the argmax. Along one axis
it upsamples a window's cells to the crop (U), places the crop in the image (S), divides by the number of windows that
cover a pixel (D), removes padding and undoes a flip, and resizes to the original size (R). With all windows' cells in
a row, the axis is one matrix of original pixels by cells, Y = R D [S_1 U, S_2 U, ...], and an image's logits are
Y L X^T.
"""
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


def window_starts(length: int, crop: int, stride: int) -> tuple[int, ...]:
    """Returns where windows begin along an axis: every `stride` pixels, the last one moved back into the image.

    Args:
        length: The image's side in pixels.
        crop: The windows' side; an image that is smaller is one window of its own size.
        stride: Pixels from one window to the next.
    """
    count = max(length - crop + stride - 1, 0) // stride + 1
    return tuple(max(min(i * stride + crop, length) - crop, 0) for i in range(count))


@lru_cache(maxsize=128)
def resampling_matrix(cells: int, crop: int, starts: tuple[int, ...], length: int, out: int, before: int = 0,
                  after: int = 0, flip: bool = False, align_corners: bool = False,
                  device: torch.device | None = None) -> Tensor:
    """Returns the matrix from the cells of all windows to the original image's pixels, along one axis.

    Args:
        cells: Cells of low-resolution logits per window.
        crop: Pixels per window.
        starts: First pixel of each window; together they must cover the axis.
        length: Pixels of the network's input.
        out: Pixels of the original image.
        before: Pixels of padding before the image, in the input.
        after: Pixels of padding after it.
        flip: The input is flipped along this axis.
        align_corners: As in `torch.nn.functional.interpolate`.
        device: Where the matrix goes; None is the CPU.

    Returns:
        (out, windows * cells), float32: the weights that bilinear interpolation itself uses. The same arguments give
        the same tensor, which is not to be written to.
    """
    with torch.inference_mode(False), torch.no_grad():
        upsample = F.interpolate(torch.eye(cells)[None], crop, mode='linear', align_corners=align_corners)[0]
        pixels, count = torch.zeros(len(starts) * cells, length), torch.zeros(length)
        for window, start in enumerate(starts):
            pixels[window * cells:(window + 1) * cells, start:start + crop] = upsample
            count[start:start + crop] += 1
        pixels = (pixels / count)[:, before:length - after]
        if flip:
            pixels = pixels.flip(1)
        if pixels.shape[1] != out:
            pixels = F.interpolate(pixels[None], out, mode='linear', align_corners=align_corners)[0]
        return pixels.T.contiguous().to(device)


def windows_over(starts: tuple[int, ...], crop: int, first: int, last: int) -> range:
    """Returns which windows, of `window_starts`, hold one of the pixels from `first` to before `last`."""
    touching = [number for number, start in enumerate(starts) if start < last and start + crop > first]
    return range(touching[0], touching[-1] + 1)


def local_matrix(cells: int, crop: int, starts: tuple[int, ...], first: int, last: int,
                 align_corners: bool = False, device: torch.device | None = None) -> Tensor:
    """Returns the part of `resampling_matrix` for some pixels of an axis that is not resized, from their windows alone.

    Its size does not depend on the axis's length, and it is not kept.

    Args:
        cells: Cells of low-resolution logits per window.
        crop: Pixels per window.
        starts: First pixel of every window over these pixels, `windows_over`, and of no other.
        first: The first of the pixels.
        last: The one after the last.
        align_corners: As in `torch.nn.functional.interpolate`.
        device: Where the matrix goes; None is the CPU.

    Returns:
        (last - first, windows * cells), float32: these rows and columns of the whole axis's matrix, bit for bit.
    """
    base, length = starts[0], starts[-1] + crop - starts[0]
    near = resampling_matrix.__wrapped__(cells, crop, tuple(start - base for start in starts), length, length,
                                         align_corners=align_corners)
    return near[first - base:last - base].to(device)
