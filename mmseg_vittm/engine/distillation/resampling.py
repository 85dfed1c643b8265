"""Maps of one model on the grid of another: both may have padded the same image to another size."""
from functools import lru_cache

import torch
from torch import Tensor

Size = tuple[int, int]


def resample(given: Tensor, pixels: Size, grid: Size, out_pixels: Size) -> Tensor:
    """Returns a map on another grid, bilinear; where cells become larger, each takes the mean of what it covers.

    Between inputs of one size that is `F.interpolate(given, grid, mode='bilinear', antialias=True)`.

    Args:
        given: (B, C, h, w).
        pixels: Height and width of the input that it is of.
        grid: The other grid, (h', w').
        out_pixels: Height and width of the input that the other grid is of; both begin at the upper left.

    Returns:
        (B, C, h', w') in float32.
    """
    rows, cols = (axis_matrix(cells, side, out, out_side, given.device) for cells, side, out, out_side in zip(
        given.shape[2:], pixels, grid, out_pixels, strict=True))
    with torch.autocast(given.device.type, enabled=False):
        return rows @ given.float() @ cols.T


@lru_cache(maxsize=64)
def axis_matrix(cells: int, pixels: int, out_cells: int, out_pixels: int, device: torch.device) -> Tensor:
    """Returns the matrix (out_cells, cells) of `resample` along one axis; its rows sum to 1."""
    with torch.inference_mode(False):
        size, out_size = pixels / cells, out_pixels / out_cells
        centre = (torch.arange(out_cells, dtype=torch.float64) + 0.5) * out_size / size - 0.5  # in cells
        distance = centre.clamp(-0.5, cells - 0.5)[:, None] - torch.arange(cells)
        weights = (1 - distance.abs() / max(1.0, out_size / size)).clamp(min=0)
        return (weights / weights.sum(dim=1, keepdim=True)).float().to(device)
