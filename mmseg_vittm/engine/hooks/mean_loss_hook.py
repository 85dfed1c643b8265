"""MeanLossHook: the logged losses are those of all processes, not of the first alone."""
import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class MeanLossHook(Hook):
    """Replaces each value that an iteration logs by its mean over the processes, before anything reads it.

    With the same batch in all, one process and several then log the same losses.
    """
    priority = 'HIGHEST'

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Averages the tensors of `outputs` in place."""
        if not outputs or get_world_size() == 1:
            return
        names = [name for name, value in outputs.items() if isinstance(value, torch.Tensor) and value.numel() == 1]
        values = torch.stack([outputs[name].detach().reshape(()).float() for name in names])
        all_reduce(values, 'mean')
        outputs.update(zip(names, values, strict=True))
