"""StopHook: a run that a signal stops ends after its iteration, saved."""
from pathlib import Path

import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import all_reduce, barrier, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from ...errors import TrainingStopped
from ..processes.stop_signals import StopSignals
from .last_validation_hook import LastValidationHook

WITHIN_EPOCH = 'iter_{}.pth'  # what a run by epochs has no name for
PASSING = 'stopped_within_epoch'  # in the message hub: the name of such a checkpoint, until the next one


class StopHook(Hook):
    """Saves as the run's `CheckpointHook` does and ends the run, once a signal came to one of its processes.

    All processes stop after the same iteration. A validation under way is broken off, and made up for when the run is
    resumed, if it has a `LastValidationHook`. Gradients that are being accumulated are brought to their step first.

    `StrictRunner` adds it to every training run.

    Args:
        signals: What notes the signals.
    """
    priority = 'LOWEST'  # after the hook that saves

    def __init__(self, signals: StopSignals):
        self.signals = signals
        self._stopping = False

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """From here on there is something to save."""
        self.signals.deferred = True

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Stops after an iteration.

        Raises:
            TrainingStopped: A signal came.
        """
        if self._agreed() and not self._accumulates(runner):
            self._stop(runner, runner.iter + 1)

    def before_val_epoch(self, runner: Runner) -> None:
        """Finds out whether all processes validate the same number of batches: if not, they cannot stop between."""
        sampler = runner.val_dataloader.sampler
        self._in_step = get_world_size() == 1 or isinstance(sampler, DefaultSampler) and sampler.round_up

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                       outputs: list | None = None) -> None:
        """Stops within a validation.

        Raises:
            TrainingStopped: A signal came.
        """
        if not (self.signals.deferred and self._in_step and self._agreed()):
            return
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):  # the averaged weights are in the model's place
                hook.after_val_epoch(runner)
            elif isinstance(hook, LastValidationHook):
                hook.due = True
        self._stop(runner, runner.iter, 'within the validation ')

    def after_train_epoch(self, runner: Runner) -> None:
        """Removes the checkpoint of a stop within an epoch, now that there is a later one."""
        hook, name = checkpoint_hook(runner), runner.message_hub.runtime_info.get(PASSING)
        if not (isinstance(runner.train_loop, EpochBasedTrainLoop) and hook and name):
            return
        if hook.last_ckpt and Path(hook.last_ckpt).name != name:
            runner.message_hub.runtime_info.pop(PASSING)
            if is_main_process():
                hook.file_backend.remove(hook.file_backend.join_path(hook.out_dir, name))

    def _agreed(self) -> bool:
        """Returns whether to stop, as all processes do where one has to."""
        if not self._stopping:
            self._stopping = self.signals.requested is not None
            if get_world_size() > 1:
                asked = torch.tensor([float(self._stopping)])
                all_reduce(asked, 'max')
                self._stopping = bool(asked.item())
        return self._stopping

    @staticmethod
    def _accumulates(runner: Runner) -> bool:
        done = runner.iter + 1
        return done < runner.max_iters and done % getattr(runner.optim_wrapper, '_accumulative_counts', 1) != 0

    def _stop(self, runner: Runner, iteration: int, when: str = '') -> None:
        name = self.signals.requested.name if self.signals.requested else 'a signal to another process'
        told = f'{name} {when}after iteration {iteration}: '
        hook = checkpoint_hook(runner)
        if hook is None:
            raise TrainingStopped(told + 'nothing is saved, since the config has no CheckpointHook')
        save(runner, hook, iteration, again=bool(when))
        barrier()  # a process that ended now would have the others killed by what started them, while they save
        told += f'{hook.last_ckpt} is saved; go on with resume=True'
        runner.logger.info(told)
        raise TrainingStopped(told if is_main_process() else '', runner.work_dir)


def checkpoint_hook(runner: Runner) -> CheckpointHook | None:
    """Returns the hook by which a run saves its checkpoints, None where it has none."""
    return next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)


def save(runner: Runner, hook: CheckpointHook, iteration: int, again: bool = False) -> None:
    """Saves as a run's hook does, but now; not what it has saved already, unless `again`.

    Within an epoch of an `EpochBasedTrainLoop`, by the number of the iteration, beside the hook's own.
    """
    by_epoch, names, kept = hook.by_epoch, hook.filename_tmpl, hook.max_keep_ckpts
    if by_epoch:
        hook.by_epoch, hook.filename_tmpl, hook.max_keep_ckpts = False, WITHIN_EPOCH, -1
        runner.message_hub.update_info(PASSING, WITHIN_EPOCH.format(iteration))
    name = hook.filename_tmpl.format(iteration)
    try:
        if again or Path(hook.last_ckpt or '').name != name:
            runner.logger.info(f'Saving checkpoint at {iteration} iterations')
            hook._save_checkpoint_with_step(runner, iteration, meta=dict(epoch=runner.epoch, iter=iteration))
    finally:
        hook.by_epoch, hook.filename_tmpl, hook.max_keep_ckpts = by_epoch, names, kept
