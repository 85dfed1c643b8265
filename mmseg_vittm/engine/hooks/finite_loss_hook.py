"""FiniteLossHook: training stops at the first loss that is no number."""
import math

import torch
from mmengine.dist import all_gather_object, all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ...errors import TrainingError


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops every process at a NaN or infinite loss, and before weights that are not finite would be saved.

    Nothing is saved after it, so the newest checkpoint is a good one. An overflow of scaled gradients in mixed
    precision, which the loss scale answers by leaving out the step, is no reason to stop.
    """
    priority = 'HIGHEST'  # mmengine reads the losses right after: this costs no synchronisation of its own

    def __init__(self):
        self._names: list[str] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Checks the loss.

        Raises:
            TrainingError: It is not finite in some process; names the iteration, the learning rate and the files of
                the batches that it comes from.
        """
        self._names = file_names(data_batch)
        losses = {name: value for name, value in (outputs or {}).items() if 'loss' in name}
        if 'loss' not in losses:
            return
        loss = losses['loss'].detach().float()
        bad = torch.logical_not(torch.isfinite(loss)).float().reshape(1)
        if get_world_size() > 1:
            all_reduce(bad, 'sum')
        if not bad.item():
            return
        mine = None if math.isfinite(loss.item()) else self._names
        processes = [(rank, names) for rank, names in enumerate(all_gather_object(mine)) if names is not None]
        where = [', '.join(names) + f' (process {rank})' * (get_world_size() > 1) for rank, names in processes]
        terms = ', '.join(f'{name} {float(value):.4g}' for name, value in losses.items()) if mine is not None else ''
        raise TrainingError(
            f'the loss is {loss.item():.4g} at iteration {runner.iter + 1}, {learning_rates(runner)}'
            + f' ({terms})' * bool(terms) + f'; files of the batch: {"; ".join(where)}. The newest checkpoint was '
            'saved before: look at these files, or go on with resume=True and a smaller learning rate')

    def prepare_checkpoint(self, runner: Runner) -> None:
        """Checks the weights in every process; `AtomicCheckpointHook` calls it.

        Raises:
            TrainingError: Some are not finite: the next loss would not be either.
        """
        bad = [name for name, weight in runner.model.named_parameters() if not weight.isfinite().all()]
        if bad:
            iteration = runner.message_hub.get_info('iter') + 1
            raise TrainingError(
                f'{len(bad)} parameters, {bad[0]} first, are not finite after iteration {iteration}, '
                f'{learning_rates(runner)}; files of the batch: {", ".join(self._names)}. They are not saved, the '
                'newest checkpoint is a good one: look at the files, or go on with resume=True and a smaller learning '
                'rate')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Checks the weights where another hook saves; see `prepare_checkpoint`."""
        self.prepare_checkpoint(runner)


def file_names(data_batch: dict | None) -> list[str]:
    """Returns the images' paths of a batch, as far as it knows them."""
    samples = data_batch.get('data_samples', []) if isinstance(data_batch, dict) else []
    if not samples and isinstance(data_batch, dict):  # of classifiers
        return list(map(str, data_batch.get('img_path', [])))
    return [str(getattr(sample, 'img_path', 'unknown')) for sample in samples]


def learning_rates(runner: Runner) -> str:
    """Returns the learning rates of the first group of weights, in words."""
    return ', '.join(f'{name} {values[0]:.4g}' for name, values in runner.optim_wrapper.get_lr().items())
