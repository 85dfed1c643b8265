"""StopHook: a run that a signal stops ends after its iteration, saved."""
from pathlib import Path

import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import all_reduce, barrier, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from ...errors import TrainingStopped
from ..processes.stop_signals import StopSignals
from ..work_dir.atomic_files import write_atomically
from ..work_dir.resume import STOPPED
from .last_validation_hook import LastValidationHook


class StopHook(Hook):
    """Saves as the run's `CheckpointHook` does and ends the run, once a signal came to one of its processes.

    All processes stop after the same iteration. A validation under way or due is made up for when the run is resumed,
    by a `LastValidationHook`. Gradients that are being accumulated are brought to their step first. A run by epochs
    that stops between two checkpoints of its hook saves `stopped.pth`, which goes when the hook saves the next one.

    `StrictRunner` adds it to every training run.

    Args:
        signals: What notes the signals.
    """
    priority = 'LOWEST'  # after the hook that saves

    def __init__(self, signals: StopSignals):
        self.signals = signals
        self._stopping = False
        self._in_step = False

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """From here on there is something to save."""
        self.signals.deferred = True

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Stops after an iteration; after the last one of an epoch, when the epoch is done.

        Raises:
            TrainingStopped: A signal came.
        """
        loop, done = runner.train_loop, runner.iter + 1
        if not self._agreed() or self._accumulates(runner):
            return
        if not isinstance(loop, EpochBasedTrainLoop):
            self._stop(runner, done, due=is_due(runner, done, runner.max_iters))
        elif done % len(loop.dataloader):
            self._stop(runner, done)

    def after_train_epoch(self, runner: Runner) -> None:
        """Stops after an epoch; removes the checkpoint of an earlier stop where there is a later one now.

        Raises:
            TrainingStopped: A signal came.
        """
        hook = checkpoint_hook(runner)
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            return
        saved = hook is not None and Path(hook.last_ckpt or '').name == hook.filename_tmpl.format(runner.epoch + 1)
        if saved and is_main_process():
            stopped = hook.file_backend.join_path(hook.out_dir, STOPPED)
            if hook.file_backend.exists(stopped):
                hook.file_backend.remove(stopped)
        if self._stopping:
            self._stop(runner, runner.iter, due=is_due(runner, runner.epoch + 1, runner.max_epochs),
                       epoch=runner.epoch + 1, saved=saved)

    def before_val_epoch(self, runner: Runner) -> None:
        """Finds out whether all processes validate the same number of batches: if not, they cannot stop between."""
        sampler = getattr(runner.val_dataloader, 'sampler', None)
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
        self._stop(runner, runner.iter, 'within the validation ', due=True)

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

    def _stop(self, runner: Runner, iteration: int, when: str = '', due: bool = False, epoch: int | None = None,
              saved: bool = False) -> None:
        """Saves, and ends the run.

        Args:
            runner: The run.
            iteration: How many are done.
            when: What to say of the moment.
            due: Whether a validation is.
            epoch: How many are done, where the runner has not counted the last one yet.
            saved: Whether the run's hook has saved this iteration already.
        """
        name = self.signals.requested.name if self.signals.requested else 'a signal to another process'
        told = f'{name} {when}after iteration {iteration}: '
        hook = checkpoint_hook(runner)
        if hook is None:
            raise TrainingStopped(told + 'nothing is saved, since the config has no CheckpointHook')
        for last in runner.hooks:
            if isinstance(last, LastValidationHook):
                last.due = due
        if due or not saved:
            save(runner, hook, iteration, runner.epoch if epoch is None else epoch, again=due)
        barrier()  # a process that ended now would have the others killed by what started them, while they save
        told += f'{hook.last_ckpt} is saved; go on with {runner.how_to_go_on}'
        runner.logger.info(told)
        raise TrainingStopped(told if is_main_process() else '', runner.work_dir, runner.how_to_go_on)


def checkpoint_hook(runner: Runner) -> CheckpointHook | None:
    """Returns the hook by which a run saves its checkpoints, None where it has none."""
    return next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)


def is_due(runner: Runner, done: int, last: int) -> bool:
    """Returns whether a run validates now that it has done so many iterations, or epochs, of so many."""
    loop = runner.train_loop
    return runner.val_loop is not None and done >= loop.val_begin and (done % loop.val_interval == 0 or done == last)


def save(runner: Runner, hook: CheckpointHook, iteration: int, epoch: int, again: bool = False) -> None:
    """Saves as a run's hook does, but now; not what it has saved already, unless `again`. By epochs, as `STOPPED`."""
    meta = dict(epoch=epoch, iter=iteration)
    name = STOPPED if hook.by_epoch else hook.filename_tmpl.format(iteration)
    if not again and Path(hook.last_ckpt or '').name == name != STOPPED:
        return
    runner.logger.info(f'Saving checkpoint at {iteration} iterations')
    if not hook.by_epoch:
        hook._save_checkpoint_with_step(runner, iteration, meta)
        return
    runner.call_hook('prepare_checkpoint')
    hook.last_ckpt = hook.file_backend.join_path(hook.out_dir, STOPPED)
    runner.save_checkpoint(hook.out_dir, STOPPED, hook.file_client_args, save_optimizer=hook.save_optimizer,
                           save_param_scheduler=hook.save_param_scheduler, meta=meta, by_epoch=False,
                           backend_args=hook.backend_args, **hook.args)
    if is_main_process():
        write_atomically(Path(runner.work_dir) / 'last_checkpoint', str(hook.last_ckpt).encode())
