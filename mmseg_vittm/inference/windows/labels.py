"""From the low-resolution logits of sliding windows to labels, without logits in the image's size.

`rows` and `cols` are matrices of `axis.resampling_matrix`. `window_logits` is the readable reference;
`window_labels` is its argmax over classes, a stripe of rows at a time.
"""
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

from .checked_kernel import CheckedKernel, triton_is_on

# Logits that exist at once: on a CPU 4 MiB, which stay in its cache between the matmul and the argmax.
TILE = {'cpu': 2**20, 'cuda': 2**26}
TILE_ROWS = 16


def window_logits(low: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Returns the logits of every pixel, rows L cols^T.

    Args:
        low: Low-resolution logits L (C, Ky, Kx) of all windows, each axis with the cells of its windows in a row.
        rows: (H, Ky).
        cols: (W, Kx).

    Returns:
        (C, H, W) in float32.
    """
    with torch.autocast(low.device.type, enabled=False):
        return rows @ (low.float() @ cols.T)


def window_labels(low: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Returns the class of the largest logit of every pixel: `window_logits(low, rows, cols).argmax(0)`.

    By `tiled_labels`; on a GPU by a Triton kernel, `labels_triton`, where `checked_kernel.use_triton` has switched it
    on. Of equal logits the first class wins.

    Args:
        low: (C, Ky, Kx).
        rows: (H, Ky).
        cols: (W, Kx).

    Returns:
        (H, W), int64.
    """
    kernel = _triton_kernel() if low.is_cuda and triton_is_on() else None
    return tiled_labels(low, rows, cols) if kernel is None else kernel(low, rows, cols)


def tiled_labels(low: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Returns what `window_labels` does, with logits of one tile at a time.

    A block of columns is expanded for all cells of the other axis, then a few rows of it, both from those cells alone
    that reach the tile.
    """
    labels = torch.empty(rows.shape[0], cols.shape[0], dtype=torch.int64, device=low.device)
    for place, logits in _tiles(low, rows, cols):
        labels[place] = argmax_last(logits)
    return labels


def tiled_confidence(low: Tensor, rows: Tensor, cols: Tensor) -> tuple[Tensor, Tensor]:
    """Returns what `tiled_labels` does, and how probable each label is: `window_logits(...).softmax(0).amax(0)`.

    Returns:
        Labels (H, W), int64, and probabilities (H, W), float32.
    """
    labels = torch.empty(rows.shape[0], cols.shape[0], dtype=torch.int64, device=low.device)
    confidence = torch.empty(labels.shape, device=low.device)
    for place, logits in _tiles(low, rows, cols):
        labels[place] = argmax_last(logits)
        confidence[place] = (logits.amax(-1) - logits.logsumexp(-1)).exp()
    return labels, confidence


def _tiles(low: Tensor, rows: Tensor, cols: Tensor) -> Iterator[tuple[tuple[slice, slice], Tensor]]:
    """Yields where a tile is in the image, and its logits (h, w, C)."""
    classes, width = low.shape[0], cols.shape[0]
    cells = low.float().permute(1, 2, 0).contiguous()  # (Ky, Kx, C): the argmax is over contiguous numbers
    step = max(32, TILE.get(low.device.type, TILE['cuda']) // (TILE_ROWS * classes))
    stripes = [(top, *_reached(rows[top:top + TILE_ROWS])) for top in range(0, len(rows), TILE_ROWS)]
    with torch.autocast(low.device.type, enabled=False):
        for left in range(0, width, step):
            reach, weights = _reached(cols[left:left + step])
            expanded = (weights @ cells[:, reach]).flatten(1)  # (Ky, columns * C)
            for top, reach, weights in stripes:
                place = slice(top, top + TILE_ROWS), slice(left, left + step)
                yield place, (weights @ expanded[reach]).unflatten(1, (-1, classes))


@cache
def _triton_kernel() -> CheckedKernel | None:
    """Returns the process's kernel, or None where there is no Triton (PyTorch's CPU and Windows builds)."""
    try:
        from . import labels_triton
    except Exception:  # beside ImportError, what a Triton says that does not suit its PyTorch or driver
        return None
    return CheckedKernel(labels_triton.window_labels, tiled_labels)


def _reached(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the cells that some rows of a matrix use, and these columns of it."""
    reach = weights.any(dim=0).nonzero()[:, 0]
    return reach, weights[:, reach]


def argmax_last(values: Tensor) -> Tensor:
    """Returns the index of the first maximum over the last axis; NumPy's is the vectorised one on a CPU."""
    if values.device.type == 'cpu':
        return torch.from_numpy(values.numpy().argmax(-1))
    return values.argmax(-1)

