"""AtomicCheckpointHook: at every moment of a run its newest checkpoint is on the disk, whole."""
import os
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ...outputs import sync
from ..work_dir.atomic_files import remove_temporaries, write_atomically
from ..work_dir.lock import holds

KEPT = 'keep_ckpt_ids'  # mmengine's name in the message hub


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's `CheckpointHook`, with its arguments and file names, for training that may be killed.

    Files on local disks are written atomically, an outdated checkpoint is deleted only after the new one is
    durable, and `last_checkpoint` holds a path relative to its folder. Before a checkpoint is made, every process
    calls the hooks' `prepare_checkpoint(runner)`, if they have one: what is gathered from all is gathered there.
    """

    def before_train(self, runner: Runner) -> None:
        """Chooses the atomic backend, and removes what a killed run left half written.

        That needs a folder which this run holds: elsewhere another may be writing it.
        """
        self._local = (self.file_client_args is None and self.backend_args in (None, dict(backend='AtomicBackend'))
                       and '://' not in str(self.out_dir or runner.work_dir))
        if self._local:
            self.backend_args = dict(backend='AtomicBackend')
        super().before_train(runner)
        if self._local and is_main_process():
            for folder in filter(holds, (self.out_dir, runner.work_dir)):
                remove_temporaries(folder, [self.filename_tmpl])
        if self.save_best and self._local:  # of a work dir that was moved since
            self._set_best({key: path and os.path.join(self.out_dir, os.path.basename(path))
                            for key, path in self._best().items()})

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        kept = [number for number in runner.message_hub.runtime_info.get(KEPT, []) if number != step] + [step]
        if self.max_keep_ckpts > 0:
            # The outdated ones are in the list that is saved: where a kill prevents their deletion, resuming does it.
            runner.message_hub.update_info(KEPT, kept)
        runner.call_hook('prepare_checkpoint')
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir, name, self.file_client_args, save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler, meta=meta, by_epoch=self.by_epoch,
            backend_args=self.backend_args, **self.args)
        if is_main_process():
            path = os.path.relpath(self.last_ckpt, runner.work_dir) if self._local else self.last_ckpt
            write_atomically(Path(runner.work_dir) / 'last_checkpoint', str(path).encode())
        if self.max_keep_ckpts > 0:
            outdated, kept = kept[:-self.max_keep_ckpts], kept[-self.max_keep_ckpts:]
            runner.message_hub.update_info(KEPT, kept)
            for number in outdated:
                self._remove(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(number)))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        if not self.save_best:
            return
        earlier = self._best()
        self._set_best(dict.fromkeys(earlier))  # what mmengine does not know of it does not delete before it saves
        super()._save_best_checkpoint(runner, metrics)
        latest = self._best()
        self._set_best({key: path or earlier.get(key) for key, path in latest.items()})
        for key, path in latest.items():
            if path and earlier.get(key) and path != earlier[key]:
                self._remove(earlier[key])

    def _best(self) -> dict[str, str | None]:
        if len(self.key_indicators) == 1:
            return {'': self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _set_best(self, paths: dict[str, str | None]) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths['']
        else:
            self.best_ckpt_path_dict.update(paths)

    def _remove(self, path: str) -> None:
        if not is_main_process():
            return
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):  # DeepSpeed's
            self.file_backend.rmtree(path)
        if self._local:
            sync(Path(path).parent)
