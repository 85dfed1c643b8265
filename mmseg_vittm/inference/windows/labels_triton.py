"""`window_labels` on a GPU: one kernel from low-resolution logits to labels.

A pixel's logits are weighted sums of a few cells (its taps) along each axis, since bilinear interpolation is local. A
program labels a block of pixels of one row: class by class it adds up their taps and keeps the largest logit. The
low-resolution logits are a few megabytes, which a GPU's cache holds; nothing but labels is written.
"""
import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 128  # pixels per program


@triton.jit
def _label_kernel(low, row_cells, row_weights, col_cells, col_weights, labels, classes, cells_high, cells_wide, width,
                  ROW_TAPS: tl.constexpr, COL_TAPS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < width
    taps = columns[:, None] * COL_TAPS + tl.arange(0, COL_TAPS)[None, :]  # (BLOCK, COL_TAPS)
    cells = tl.load(col_cells + taps, mask=inside[:, None], other=0)
    weights = tl.load(col_weights + taps, mask=inside[:, None], other=0.0)
    best = tl.full((BLOCK, ), float('-inf'), tl.float32)
    label = tl.zeros((BLOCK, ), tl.int32)
    for number in range(classes):
        line = tl.zeros((BLOCK, COL_TAPS), tl.float32)
        for i in tl.static_range(ROW_TAPS):
            start = (number * cells_high + tl.load(row_cells + row * ROW_TAPS + i)) * cells_wide
            line += tl.load(row_weights + row * ROW_TAPS + i) * tl.load(low + start + cells).to(tl.float32)
        logit = tl.sum(line * weights, axis=1)
        better = (logit > best) | ((logit != logit) & (best == best))  # NaN wins, as in argmax
        best = tl.where(better, logit, best)
        label = tl.where(better, number, label)
    tl.store(labels + row * width + columns, label.to(tl.int64), mask=inside)


def axis_taps(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Returns which cells each pixel of an axis uses, and their weights; kept with it.

    Args:
        matrix: (pixels, cells), of `axis.resampling_matrix`.

    Returns:
        Cells (pixels, taps), int32, and weights (pixels, taps), float32; as many taps as the most that a pixel uses,
        rounded up to a power of two, unused ones with weight 0.
    """
    taps = getattr(matrix, '_taps', None)
    if taps is None:
        most = max(1, int((matrix != 0).sum(dim=1).max()))
        count = triton.next_power_of_2(most)
        cells = matrix.abs().topk(min(count, matrix.shape[1])).indices
        cells = torch.nn.functional.pad(cells, (0, count - cells.shape[1]))
        weights = matrix.gather(1, cells)
        weights[:, most:] = 0
        taps = matrix._taps = cells.int().contiguous(), weights.contiguous()
    return taps


def window_labels(low: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Returns the labels (H, W), int64, of `labels.window_labels`, on a GPU.

    Args:
        low: (C, Ky, Kx), of any floating type; sums are in float32.
        rows: (H, Ky).
        cols: (W, Kx).
    """
    low = low.contiguous()
    labels = torch.empty(rows.shape[0], cols.shape[0], dtype=torch.int64, device=low.device)
    row_cells, row_weights = axis_taps(rows)
    col_cells, col_weights = axis_taps(cols)
    grid = rows.shape[0], triton.cdiv(cols.shape[0], BLOCK)
    _label_kernel[grid](low, row_cells, row_weights, col_cells, col_weights, labels, *low.shape, cols.shape[0],
                        ROW_TAPS=row_cells.shape[1], COL_TAPS=col_cells.shape[1], BLOCK=BLOCK)
    return labels
