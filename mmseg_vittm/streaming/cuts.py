"""Scene cuts: whether a frame shows another scene than the one before."""
import torch.nn.functional as F
from torch import Tensor

SIDE = 16  # cells of a thumbnail on a side


def thumbnail(images: Tensor) -> Tensor:
    """Returns images (B, 3, H, W) as grey pictures (B, SIDE * SIDE) of mean 0 and norm 1.

    Light that changes in all of a picture, and noise, leave it nearly as it is.
    """
    small = F.adaptive_avg_pool2d(images.float().mean(dim=1, keepdim=True), SIDE).flatten(1)
    return F.normalize(small - small.mean(dim=1, keepdim=True), dim=1, eps=1e-3)


def correlation(now: Tensor, before: Tensor) -> Tensor:
    """Returns the correlation (B, ), -1 to 1, of thumbnails (B, SIDE * SIDE)."""
    return (now * before).sum(dim=1)
