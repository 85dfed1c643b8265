"""Cross entropy with weights of classes that goes on where pixels are void, on both stacks."""
import copy
from typing import Any

from mmseg.models.losses import CrossEntropyLoss
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class WeightedCrossEntropyLoss(CrossEntropyLoss):
    """MMSegmentation's `CrossEntropyLoss` whose `class_weight` and void pixels go together.

    With weights of classes the mean is by weights: the sum of all pixels' weighted losses over the sum of their
    weights; void pixels are in neither, as in PyTorch's own. MMSegmentation's raises IndexError there: upstream at any
    void pixel, the forks with `avg_non_ignore=True`. `StrictRunner` takes this one in its place.

    Its arguments are MMSegmentation's.
    """

    def forward(self, cls_score: Tensor, label: Tensor, weight: Tensor | None = None,
                avg_factor: float | Tensor | None = None, reduction_override: str | None = None,
                ignore_index: int = -100, **kwargs) -> Tensor:
        """Returns the loss.

        Args:
            cls_score: (B, K, H, W) logits.
            label: (B, H, W) classes.
            weight: (B, H, W) weights of pixels.
            avg_factor: What the sum is divided by; None is the sum of the labelled pixels' class weights.
            reduction_override: `'none'`, `'mean'` or `'sum'`, in place of the loss's own.
            ignore_index: The label of void.
            **kwargs: Go to MMSegmentation's loss.
        """
        if (avg_factor is None and self.class_weight is not None and (reduction_override or self.reduction) == 'mean'
                and not (self.use_sigmoid or self.use_mask)):
            avg_factor = cls_score.new_tensor(self.class_weight)[label[label != ignore_index]].sum()
        return super().forward(cls_score, label, weight, avg_factor, reduction_override, ignore_index=ignore_index,
                               **kwargs)


def with_weighted_losses(node: Any) -> Any:
    """Returns a model's config with `WeightedCrossEntropyLoss` wherever it has a cross entropy with weights of classes.

    The config stays as it is.
    """
    if isinstance(node, dict):
        node = copy.copy(node)
        for key, value in node.items():
            node[key] = with_weighted_losses(value)
        if (node.get('type') in ('CrossEntropyLoss', 'mmseg.CrossEntropyLoss', CrossEntropyLoss)
                and node.get('class_weight') is not None):
            node['type'] = WeightedCrossEntropyLoss
        return node
    return [with_weighted_losses(one) for one in node] if isinstance(node, (list, tuple)) else node
