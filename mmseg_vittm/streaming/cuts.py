"""Scene cuts: whether a frame shows another scene than the one before."""
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 16  # cells of a thumbnail on a side
BLANK = 0.03  # standard deviation of a thumbnail's cells, in units of normalised images, below which nothing is seen


def thumbnail(images: Tensor) -> Tensor:
    """Returns images (B, 3, H, W) as grey pictures (B, SIDE * SIDE) of mean 0 and norm 1; zeros where nothing is seen.

    Light that changes in all of a picture, and noise, leave it nearly as it is. In a frame that is blank, or noise
    alone, nothing is seen.
    """
    small = F.adaptive_avg_pool2d(images.float().mean(dim=1, keepdim=True), SIDE).flatten(1)
    small = small - small.mean(dim=1, keepdim=True)
    norm = small.norm(dim=1, keepdim=True)
    return torch.where(norm > BLANK * SIDE, small / norm, 0)


def other_scene(now: Tensor, before: Tensor, below: float | None) -> Tensor:
    """Returns which streams show another scene than they did, (B, ) bool; none where nothing is or was seen.

    Args:
        now: Thumbnails (B, SIDE * SIDE).
        before: Those of the last frames in which something was seen.
        below: Correlation, -1 to 1, below which it is another scene; None: never.
    """
    if below is None:
        return torch.zeros(len(now), dtype=torch.bool, device=now.device)
    return is_seen(now) & is_seen(before) & ((now * before).sum(dim=1) < below)


def is_seen(thumbnails: Tensor) -> Tensor:
    """Returns in which of the thumbnails (B, SIDE * SIDE) something is seen, (B, ) bool."""
    return thumbnails.any(dim=1)
