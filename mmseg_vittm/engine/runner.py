"""StrictRunner: mmengine's Runner, which loads exactly what fits, resumes from what is whole, and destroys nothing."""
import glob
import json
import os
import re
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import broadcast_object_list, get_world_size, is_main_process
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from ..errors import CheckpointError, one_line, shown
from ..outputs import write_whole
from ..weights.dataset_meta import check_classes
from ..weights.mmengine_loader import use_safe_reading
from ..weights.whole_model import load_model_weights, read_checkpoint, unwrapped
from .checked_data import use_checked_data
from .distillation.runs import awaits_teacher, find_teacher
from .hooks.stop_hook import StopHook
from .hooks.warm_start_hook import WarmStartHook
from .processes.data_workers import guard_workers
from .processes.named_deaths import named_deaths
from .processes.stop_signals import stop_signals
from .state.changed_settings import compare, describe, in_effect
from .state.saved_settings import SETTINGS, read_settings, settings_of
from .weighted_loss import with_weighted_losses
from .work_dir.earlier_run import CHECKPOINTS, EarlierRun, make_way
from .work_dir.lock import hold
from .work_dir.resume import (
    STOPPED,
    checkpoint_folders,
    checkpoints_in,
    earlier_checkpoints,
    names_of,
    newest_resumable,
    nothing_to_resume,
    save_folders,
    why_not_resumable,
)
from .work_dir.run_folder import RunFolder, end_where_no_log_can_be_written

AUTO = 'auto'


@RUNNERS.register_module()
class StrictRunner(Runner):
    """mmengine's Runner, whose checkpoints must fit the model exactly (mmengine's only print what does not).

    With `resume=True` it goes on from `load_from` or else from the newest whole checkpoint in the work dir, and
    fails where there is none. With `resume='auto'` it goes on where it can, and else begins anew: a checkpoint in the
    work dir comes before `load_from`. A setting that differs from the resumed run's is a warning, which says which of
    both counts; one under which nothing can be resumed is an error.

    It holds its work dir while it trains, so that no other training writes there. What an earlier run saved there makes
    way when it saves its own, see `EarlierRun`.

    A warm start is finished on its training's images, see `WarmStartHook`.

    A signal that asks it to stop is answered after the iteration under way, see `StopHook`. A data worker or another
    process that dies is a `TrainingError`. Its data is checked, see `CheckedDataset`. Where its config has a section
    `distillation`, the model has a teacher while it trains. MMSegmentation's own tools take it by
    `runner_type='StrictRunner'`.

    Attributes:
        allow_partial: Load what fits of a checkpoint instead, and log what does not.
        earlier_run: See `EarlierRun`.
    """
    allow_partial = False

    def __init__(self, *args, **kwargs):
        use_safe_reading()
        self.earlier_run = EarlierRun()
        self._resuming = False
        self._saved = False
        self._folder = RunFolder(kwargs.get('work_dir'))
        with self._folder.kept_if_begun():
            super().__init__(*args, **kwargs)
        self._settings: dict | None = settings_of(self.cfg, get_world_size()) or None

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'StrictRunner':
        """Builds a Runner from a config, on checked data."""
        runner = super().from_cfg(cfg)
        use_checked_data(runner)
        return runner

    def setup_env(self, env_cfg: dict) -> None:
        """Sets the environment up as mmengine does; the run's folder in the work dir is its own."""
        super().setup_env(env_cfg)
        self._timestamp = self._folder.make(self._work_dir, self._timestamp)

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Builds the model, see `mmengine.runner.Runner.build_model`; a loss with weights of classes bears void."""
        return super().build_model(with_weighted_losses(model))

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wraps the model for several processes; one that awaits a teacher only once it trains, with its teacher."""
        if awaits_teacher(self, model):
            return model.to(get_device())
        return super().wrap_model(model_wrapper_cfg, model)

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Builds the logger; where its file cannot be written, as on a full disk, the run ends and says so."""
        logger = super().build_logger(*args, **kwargs)
        end_where_no_log_can_be_written(logger)
        return logger

    @staticmethod
    def build_dataloader(dataloader: DataLoader | dict, seed: int | None = None,
                         diff_rank_seed: bool = False) -> DataLoader:
        """Builds a DataLoader, whose workers are guarded; see `mmengine.runner.Runner.build_dataloader`."""
        return guard_workers(Runner.build_dataloader(dataloader, seed, diff_rank_seed))

    def train(self) -> nn.Module:
        """Trains; see `mmengine.runner.Runner.train`.

        Raises:
            InputError: Another training is under way in the work dir.
            OutputError: The work dir or the log cannot be written to.
            TrainingStopped: A signal stopped it.
            TrainingError: A data worker or another process died.
        """
        with (stop_signals() as signals, hold([self.work_dir, *save_folders(self)]), self._folder.kept_if_begun(),
              named_deaths(f'; what was saved before is whole: go on with {self.how_to_go_on}')):
            self.register_hook(StopHook(signals))
            if find_teacher(self):
                self._settings = settings_of(self.cfg, get_world_size())
            if not any(isinstance(hook, WarmStartHook) for hook in self.hooks):
                self.register_hook(WarmStartHook())
            model = super().train()
            if not self._saved:
                self._dump_config()
            return model

    @property
    def how_to_go_on(self) -> str:
        """The argument by which a run like this one goes on from what it has saved in its work dir."""
        return 'resume=True' if self._load_from is None else "resume='auto'"  # which puts the work dir before load_from

    def val(self) -> dict:
        """Validates; see `mmengine.runner.Runner.val` and `train`."""
        with self._folder.kept_if_begun(), named_deaths():
            return super().val()

    def test(self) -> dict:
        """Tests; see `mmengine.runner.Runner.test` and `train`."""
        with self._folder.kept_if_begun(), named_deaths():
            return super().test()

    def call_hook(self, fn_name: str, **kwargs) -> None:
        """Calls a hook point of all hooks; see `mmengine.runner.Runner.call_hook`."""
        super().call_hook(fn_name, **kwargs)
        self._folder.begun |= fn_name in ('after_train_iter', 'after_val_iter', 'after_test_iter')

    def save_checkpoint(self, out_dir: str, filename: str, file_client_args: dict | None = None,
                        save_optimizer: bool = True, save_param_scheduler: bool = True, meta: dict | None = None,
                        by_epoch: bool = True, backend_args: dict | None = None) -> None:
        """Saves a checkpoint with the settings of the run; before the first one an earlier run's make way.

        See `mmengine.runner.Runner.save_checkpoint`.
        """
        if is_main_process():
            patterns = (*CHECKPOINTS, *(re.sub(r'{[^}]*}', '*', glob.escape(name)) for name in names_of(self)))
            for folder in dict.fromkeys([self.work_dir, str(out_dir)]):
                make_way(self, folder, patterns, more=[self._config_path.name])
            if not self._saved:
                self._dump_config()
        self._saved = True
        meta = {**(meta or {}), SETTINGS: json.dumps(self._settings)}  # null where they are not known
        super().save_checkpoint(out_dir, filename, file_client_args, save_optimizer, save_param_scheduler, meta,
                                by_epoch, backend_args)

    def dump_config(self) -> None:
        """Leaves the config in the work dir, which is that of the checkpoints there, until the first is saved.

        mmengine calls it when a run is built, for a test too. The run's own folder has its config from the beginning.
        """

    def load_checkpoint(self, filename: str, map_location: Any = 'cpu', strict: bool = True,
                        revise_keys: list = [(r'^module\.', '')]) -> dict:  # noqa: B006  (as in mmengine)
        """Loads a checkpoint; see `mmengine.runner.Runner.load_checkpoint`.

        Raises:
            CheckpointError: It cannot be read, or weights are missing, unexpected or of another shape.
        """
        checkpoint = read_checkpoint(filename, map_location, self.allow_partial)
        if self._resuming:
            self._compare_settings(checkpoint, filename)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        load_model_weights(self.model, checkpoint['state_dict'], filename, self.allow_partial or not strict,
                           revise_keys)
        if strict and not self.allow_partial:
            check_classes(checkpoint['meta'].get('dataset_meta'), unwrapped(self.model), filename)
        self._has_loaded = True
        self.logger.info(f'Load checkpoint from {filename}')
        return checkpoint

    def resume(self, filename: str, resume_optimizer: bool = True, resume_param_scheduler: bool = True,
               map_location: Any = 'default') -> None:
        """Resumes from a checkpoint; see `mmengine.runner.Runner.resume`.

        Raises:
            CheckpointError: As `load_checkpoint`, or the state of the training is not in it, or damaged; or this run
                has settings under which it cannot go on.
        """
        self._resuming = True
        try:
            super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
        except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f'{filename} cannot be resumed from: the state of the training (iteration, '
                                  f'optimiser, logs) is not in it, or damaged ({shown(one_line(error))}); give a .pth '
                                  'of tools/train.py, or start anew from its weights by load_from without '
                                  'resume=True') from error
        finally:
            self._resuming = False
        here = {os.path.realpath(folder) for folder in checkpoint_folders(self)}
        stays = os.path.realpath(Path(filename).parent) in here
        self.earlier_run = EarlierRun(stays, self._newer_than(filename) if filename == self._load_from else ())
        if not self.earlier_run.stays:
            # What is kept and outdated of the resumed run lies elsewhere; here the same names are another run's.
            self.message_hub.update_info('keep_ckpt_ids', [])

    def load_or_resume(self) -> None:
        """Loads or resumes, once, as the class says.

        Raises:
            InputError: There is nothing to resume from.
            CheckpointError: What `load_from` names cannot be resumed from.
        """
        if self._has_loaded:
            return
        if self._resume:
            answer = [None, None]
            if is_main_process():
                answer = self._choose()
            broadcast_object_list(answer)  # so that all processes go on, or end, together
            path, error = answer
            if error is not None:
                raise error
            if path is not None:
                self.logger.info(f'Resuming from {path}')
                self.resume(path)
                self._has_loaded = True
                return
            self.logger.info(f'No checkpoint to resume from in {self.work_dir}: the run begins anew')
            self._resume = False
        self._tell_of_earlier_runs()
        super().load_or_resume()

    def _choose(self) -> list:
        """Returns the path of the checkpoint to resume from, None where the run begins anew, and an error or None."""
        if self._load_from is not None and self._resume != AUTO:
            reason = why_not_resumable(self._load_from)
            return [self._load_from, reason and CheckpointError(f'{reason}; give load_from a checkpoint that '
                                                                'training wrote, or leave resume=True out, or give '
                                                                "resume='auto' to go on from the work dir")]
        path = newest_resumable(self)
        if path is None and self._resume != AUTO:
            return [None, nothing_to_resume(self.work_dir, checkpoint_folders(self))]
        if path is None and (said := earlier_checkpoints(checkpoint_folders(self))):
            self.logger.warning(f'{self.work_dir} holds no whole checkpoint to go on from; {said}')
        return [path and str(path), None]

    def _newer_than(self, filename: str) -> list[Path]:
        found = checkpoints_in(checkpoint_folders(self), names_of(self))
        paths = [os.path.realpath(path) for path in found]
        if os.path.realpath(filename) not in paths:
            return []
        stopped = checkpoints_in(checkpoint_folders(self), (STOPPED, ))
        return stopped + found[:paths.index(os.path.realpath(filename))]

    def _tell_of_earlier_runs(self) -> None:
        found = checkpoints_in(checkpoint_folders(self), names_of(self)) if is_main_process() else ()
        if found:
            self.logger.warning(f'The checkpoints of an earlier run, the newest of them {found[0]}, stay until this '
                                'run saves its first, and are moved to a subfolder then; until then resume=True goes '
                                'on from them')

    def _compare_settings(self, checkpoint: dict, filename: str) -> None:
        old, new = read_settings(checkpoint), self._settings
        if new is None:
            return
        if old is None:
            self.logger.warning(f'{filename} does not say under which settings it was trained: what differs from this '
                                'run cannot be told')
            self._settings = None  # nor by its own checkpoints: some settings are the other run's
            return
        found = compare(old, new, filename)
        for line in describe(found):
            self.logger.warning(line)
        self._settings = in_effect(new, found)

    @property
    def _config_path(self) -> Path:
        name = Path(self.cfg.filename).name if self.cfg.filename else f'{self.timestamp}.py'
        return Path(self.work_dir) / name

    def _dump_config(self) -> None:
        if is_main_process():
            write_whole(self._config_path, self.cfg.pretty_text)
