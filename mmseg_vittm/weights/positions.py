"""Position embeddings of weight files on the grid of a model."""
from pathlib import Path

from timm.layers import resample_abs_pos_embed
from torch import Tensor

from ..errors import CheckpointError
from ..vittm import streams
from ..vittm.streams import Grid, lay_out_positions, resample_positions
from .report import LoadReport
from .strict import Fit


def square_grid(path: Path, name: str, num_tokens: int) -> Grid:
    """Returns the square grid of so many positions; an error names the file and the weight."""
    try:
        return streams.square_grid(num_tokens)
    except ValueError as error:
        raise CheckpointError(f'{path}: {name} {error}') from error


def fit_positions(name: str, tensor: Tensor, target: Tensor, report: LoadReport) -> Tensor:
    """Resamples a position embedding to the shape of this model's (1, H, W, C), bicubic and antialiased.

    Flat ones (1, N, C), the authors', are read on this model's grid where their number fits it, else on a square one.
    """
    if target.ndim == 4:
        grid = tuple(target.shape[1:3])
        if tensor.ndim == 3:
            try:
                tensor = lay_out_positions(tensor, grid)
            except ValueError as error:
                raise CheckpointError(f'{report.path}: {name} {error}') from error
        if tensor.ndim == 4 and tuple(tensor.shape[1:3]) != grid:
            report.resampled.append(f'{name} {tensor.shape[1]}x{tensor.shape[2]} -> {grid[0]}x{grid[1]}')
            tensor = resample_positions(tensor, grid)
    return tensor


def fit_vit_positions(grid: Grid, num_prefix_tokens: int, always_square: bool) -> Fit:
    """Returns `fit_positions` for timm's (1, prefix + N, C), whose target grid its shape does not tell.

    Args:
        grid: The model's grid (H, W).
        num_prefix_tokens: Positions before those of the grid.
        always_square: Whether the file's grid is square even where its number of positions is this model's.
    """
    def fit(name: str, tensor: Tensor, target: Tensor, report: LoadReport) -> Tensor:
        fits = tensor.shape[1] == target.shape[1] and not (always_square and grid[0] != grid[1])
        if tensor.ndim == 3 and not fits:
            old = square_grid(report.path, name, tensor.shape[1] - num_prefix_tokens)
            report.resampled.append(f'{name} {old[0]}x{old[1]} -> {grid[0]}x{grid[1]}')
            tensor = resample_abs_pos_embed(tensor, list(grid), list(old), num_prefix_tokens)
        return tensor
    return fit
