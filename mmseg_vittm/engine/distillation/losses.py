"""What a student loses where it differs from its teacher."""
import torch
import torch.nn.functional as F
from torch import Tensor


def logit_loss(student: Tensor, teacher: Tensor, temperature: float, weights: Tensor) -> Tensor:
    """Returns T^2 KL(teacher || student) of class probabilities softened by the temperature T, the mean over cells.

    As in Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015), section 2: T^2 keeps the
    gradients' size whatever the temperature.

    Args:
        student: Logits (B, C, h, w).
        teacher: Logits (B, C, h, w).
        temperature: T.
        weights: How much each cell counts, (B, h, w), 0 to 1.

    Returns:
        A number in nats; 0 where no cell counts.
    """
    ours, theirs = (F.log_softmax(logits.float() / temperature, dim=1) for logits in (student, teacher))
    divergence = F.kl_div(ours, theirs, reduction='none', log_target=True).sum(dim=1)  # (B, h, w)
    return temperature**2 * weighted_mean(divergence, weights)


def feature_loss(student: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
    """Returns the mean squared difference of a student's projected map from the teacher's, standardised per cell.

    The teacher's channels are brought to mean 0 and variance 1 in each cell, whatever their size: a projection to
    zeros loses 1.

    Args:
        student: Projected map (B, C, h, w).
        teacher: Map (B, C, h, w).
        weights: How much each cell counts, (B, h, w), 0 to 1.
    """
    target = F.layer_norm(teacher.float().movedim(1, -1), teacher.shape[1:2])  # (B, h, w, C)
    return weighted_mean((student.float().movedim(1, -1) - target).square().mean(dim=-1), weights)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Returns the mean of values under weights of the same shape; 0 where all weights are."""
    return (values * weights).sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)


def as_classes(logits: Tensor) -> Tensor:
    """Returns the logits (B, 2, h, w) of a class and the rest where a head of one channel gives them by a sigmoid."""
    return torch.cat([torch.zeros_like(logits), logits], dim=1) if logits.shape[1] == 1 else logits
