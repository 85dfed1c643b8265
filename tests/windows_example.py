"""What the tests of windows' labels share: logits of several windows."""
import torch

from mmseg_vittm.inference.windows import resampling_matrix


def example(classes: int, height: int, width: int, dtype=torch.float32, seed: int = 0):
    """Logits of 2 x 3 windows of 5 x 6 cells, and matrices to an image of the given size."""
    low = torch.randn(classes, 10, 18, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return (low, resampling_matrix(5, 64, (0, 30), 94, height), resampling_matrix(6, 64, (0, 40, 80), 144, width))
