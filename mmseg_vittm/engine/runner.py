"""StrictRunner: mmengine's Runner, which loads exactly what fits and resumes from what is whole."""
import contextlib
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from ..errors import CheckpointError, InputError, TrainingError, one_line, shown
from ..weights.mmengine_loader import use_safe_reading
from ..weights.whole_model import load_model_weights, read_checkpoint
from .checked_data import use_checked_data
from .data_workers import death_of_worker, guard_workers
from .hooks.stop_hook import StopHook
from .other_processes import lost_process
from .resume import begin_anew, newest_resumable, why_not_resumable
from .stop_signals import stop_signals

AUTO = 'auto'
WHERE_TO_RESUME = ('give work_dir=DIR of the run to go on with, or leave resume=True out to begin one '
                   "(resume='auto' does either)")


@RUNNERS.register_module()
class StrictRunner(Runner):
    """mmengine's Runner, whose checkpoints must fit the model exactly (mmengine's only print what does not).

    With `resume=True` it goes on from `load_from` or else from the newest whole checkpoint in the work dir, and
    fails where there is none. With `resume='auto'` it goes on where it can, and else begins anew: a checkpoint in the
    work dir comes before `load_from`.

    A signal that asks it to stop is answered after the iteration under way, see `StopHook`. A data worker or another
    process that dies is a `TrainingError`. Its data is checked, see `CheckedDataset`. MMSegmentation's own tools take
    it by `runner_type='StrictRunner'`.

    Attributes:
        allow_partial: Load what fits of a checkpoint instead, and log what does not.
    """
    allow_partial = False

    def __init__(self, *args, **kwargs):
        use_safe_reading()
        super().__init__(*args, **kwargs)

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'StrictRunner':
        """Builds a Runner from a config, on checked data."""
        runner = super().from_cfg(cfg)
        use_checked_data(runner)
        return runner

    @staticmethod
    def build_dataloader(dataloader: DataLoader | dict, seed: int | None = None,
                         diff_rank_seed: bool = False) -> DataLoader:
        """Builds a DataLoader, whose workers are guarded; see `mmengine.runner.Runner.build_dataloader`."""
        return guard_workers(Runner.build_dataloader(dataloader, seed, diff_rank_seed))

    def train(self) -> nn.Module:
        """Trains; see `mmengine.runner.Runner.train`.

        Raises:
            TrainingStopped: A signal stopped it.
            TrainingError: A data worker or another process died.
        """
        with stop_signals() as signals, named_deaths('; what was saved before is whole: go on with resume=True'):
            self.register_hook(StopHook(signals))
            return super().train()

    def val(self) -> dict:
        """Validates; see `mmengine.runner.Runner.val` and `train`."""
        with named_deaths():
            return super().val()

    def test(self) -> dict:
        """Tests; see `mmengine.runner.Runner.test` and `train`."""
        with named_deaths():
            return super().test()

    def load_checkpoint(self, filename: str, map_location: Any = 'cpu', strict: bool = True,
                        revise_keys: list = [(r'^module\.', '')]) -> dict:  # noqa: B006  (as in mmengine)
        """Loads a checkpoint; see `mmengine.runner.Runner.load_checkpoint`.

        Raises:
            CheckpointError: It cannot be read, or weights are missing, unexpected or of another shape.
        """
        checkpoint = read_checkpoint(filename, map_location, self.allow_partial)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        load_model_weights(self.model, checkpoint['state_dict'], filename, self.allow_partial or not strict,
                           revise_keys)
        self._has_loaded = True
        self.logger.info(f'Load checkpoint from {filename}')
        return checkpoint

    def resume(self, filename: str, resume_optimizer: bool = True, resume_param_scheduler: bool = True,
               map_location: Any = 'default') -> None:
        """Resumes from a checkpoint; see `mmengine.runner.Runner.resume`.

        Raises:
            CheckpointError: As `load_checkpoint`, or the state of the training is not in it, or damaged.
        """
        try:
            super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
        except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f'{filename} cannot be resumed from: the state of the training (iteration, '
                                  f'optimiser, logs) is not in it, or damaged ({shown(one_line(error))}); give a .pth '
                                  'of tools/train.py, or start anew from its weights by load_from without '
                                  'resume=True') from error

    def load_or_resume(self) -> None:
        """Loads or resumes, once, as the class says.

        Raises:
            InputError: There is nothing to resume from.
            CheckpointError: What `load_from` names cannot be resumed from.
        """
        if self._has_loaded or not self._resume:
            return super().load_or_resume()
        answer = [None, None]
        if is_main_process():
            answer = self._choose()
        broadcast_object_list(answer)  # so that all processes go on, or end, together
        path, error = answer
        if error is not None:
            raise error
        if path is None:
            self.logger.info(f'No checkpoint to resume from in {self.work_dir}: the run begins anew')
            self._resume = False
            return super().load_or_resume()
        self.logger.info(f'Resuming from {path}')
        self.resume(path)
        self._has_loaded = True

    def _choose(self) -> list:
        """Returns the path of the checkpoint to resume from, None where the run begins anew, and an error or None."""
        if self._load_from is not None and self._resume != AUTO:
            reason = why_not_resumable(self._load_from)
            return [self._load_from, reason and CheckpointError(f'{reason}; give load_from a checkpoint that '
                                                                'training wrote, or leave resume=True out')]
        path = newest_resumable(self)
        if path is None and self._resume != AUTO:
            return [None, InputError(f'{self.work_dir} holds no whole checkpoint to go on from; {WHERE_TO_RESUME}')]
        if path is None:
            begin_anew(self)
        return [path and str(path), None]


@contextlib.contextmanager
def named_deaths(more: str = '') -> Iterator[None]:
    """Names the data worker or the other process that died, where PyTorch fails because of it.

    Args:
        more: What the message says after that.

    Raises:
        TrainingError: One did.
    """
    try:
        yield
    except Exception as error:  # PyTorch raises the death of a worker wherever the process happens to be
        death = death_of_worker(error) or lost_process(error)
        if death is None:
            raise
        raise TrainingError(f'{death}{more}') from error
