"""Which checkpoint a run goes on from: the newest that is whole."""
import os
import re
from pathlib import Path

from mmengine.hooks import CheckpointHook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from ...errors import CheckpointError, InputError, one_line
from ...weights.finite import count_nan
from ...weights.whole_model import read_checkpoint
from ..state.training_state import fault_of_training_state
from .earlier_run import earlier_folders

NAMES = ('iter_{}.pth', 'epoch_{}.pth')
STOPPED = 'stopped.pth'  # of a run by epochs that a signal stopped between two of its checkpoints
NEEDED = dict(optimizer='the state of the optimizer', message_hub='the log of the run')
WHERE_TO_RESUME = ('give work_dir=DIR of the run to go on with, or leave resume=True out to begin one '
                   "(resume='auto' does either)")


def checkpoint_folders(runner: Runner) -> list[Path]:
    """Returns where a run's checkpoints are: its work dir, and its checkpoint hook's `out_dir` if it has one."""
    folders = [Path(runner.work_dir)]
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.out_dir is not None:
            folders += [Path(hook.out_dir) / Path(runner.work_dir).name, Path(hook.out_dir)]
    return list(dict.fromkeys(folders))


def save_folders(runner: Runner) -> list[Path]:
    """Returns the local folders besides its work dir that a run's checkpoint hooks are about to save into."""
    return [Path(hook.out_dir) / Path(runner.work_dir).name for hook in runner.hooks
            if isinstance(hook, CheckpointHook) and hook.out_dir is not None and '://' not in str(hook.out_dir)
            and os.path.abspath(hook.out_dir) != runner.work_dir]


def names_of(runner: Runner) -> list[str]:
    """Returns the templates of the names that a run's checkpoint hooks give."""
    return [hook.filename_tmpl for hook in runner.hooks if isinstance(hook, CheckpointHook)]


def checkpoints_in(folders: list[Path], names: tuple[str, ...] = NAMES) -> list[Path]:
    """Returns the checkpoints in folders that a run may be resumed from, the newest first, by the number in the name.

    Neither `last_checkpoint` nor modification times count: they change when a folder is copied, moved or damaged.

    Args:
        folders: The folders; they need not exist.
        names: Templates of file names, with `{}` for the number of iterations or epochs, or without.
    """
    found = []
    for name in dict.fromkeys(names):
        pattern = re.compile(re.sub(r'\\{.*?\\}', r'(\\d+)', re.escape(name)))  # `{}`, `{:06d}`
        for folder in folders:
            for path in folder.iterdir() if folder.is_dir() else ():
                match = pattern.fullmatch(path.name)
                if match and path.is_file():
                    found.append((int(match[1]) if match.groups() else 0, path))
    return [path for _, path in sorted(found, reverse=True)]


def why_not_resumable(path: str | Path) -> str | None:
    """Reads a checkpoint whole, and returns why no run can be resumed from it, or None where one can."""
    return _examined(path)[0]


def _examined(path: str | Path) -> tuple[str | None, int]:
    """Returns why no run can be resumed from a checkpoint, or None, and how many iterations were done."""
    try:
        checkpoint = read_checkpoint(str(path))
    except CheckpointError as error:
        return str(error), 0
    except OSError as error:
        return f'{path} cannot be read ({one_line(error)})', 0
    meta = checkpoint.get('meta')
    if not isinstance(meta, dict) or meta.get('iter') is None or meta.get('epoch') is None:
        return f'{path} holds weights only: it does not say after which iteration it was made', 0
    fault = fault_of_training_state(checkpoint)
    if fault is not None:
        return f'{path}: the state of its training is damaged: {fault}', 0
    for name, what in NEEDED.items():
        if not isinstance(checkpoint.get(name), dict):
            return f'{path} holds weights only: {what} is missing ({name!r})', 0
    damaged = count_nan(checkpoint['optimizer'])
    if damaged:
        return f'{path}: {damaged} tensors of the state of the optimizer hold NaN: training had diverged by then', 0
    return None, meta['iter']


def newest_resumable(runner: Runner) -> Path | None:
    """Returns the newest checkpoint of a run that can be read whole, None where there is none.

    Of each kind of name that with the largest number; of those, that after the most iterations. Each one passed over is
    a warning with the reason.
    """
    newest, most = None, -1
    for name in dict.fromkeys((*names_of(runner), *NAMES, STOPPED)):
        for path in checkpoints_in(checkpoint_folders(runner), (name, )):
            reason, done = _examined(path)
            if reason is None:
                newest, most = (path, done) if done >= most else (newest, most)
                break
            MMLogger.get_current_instance().warning(f'Passed over on resuming: {reason}')
    return newest


def nothing_to_resume(work_dir: str | Path, folders: list[Path]) -> InputError:
    """Returns the error that says that a work dir has no whole checkpoint, and where those of earlier runs are.

    Args:
        work_dir: The work dir.
        folders: Where the run's checkpoints are looked for.
    """
    said = earlier_checkpoints(folders)
    return InputError(f'{work_dir} holds no whole checkpoint to go on from; {said and said + "; or "}'
                      f'{WHERE_TO_RESUME}')


def earlier_checkpoints(folders: list[Path]) -> str:
    """Returns a sentence on the checkpoints of earlier runs that were moved to subfolders, and how to use them.

    It is empty where there are none.
    """
    found = [(folder, checkpoints) for folder in earlier_folders(folders)
             if (checkpoints := checkpoints_in([folder], (*NAMES, STOPPED)))]
    if not found:
        return ''
    named = ', '.join(f'{folder} (newest: {checkpoints[0].name})' for folder, checkpoints in found[:3])
    more = f' and {len(found) - 3} more' if len(found) > 3 else ''
    return (f'those of earlier runs are in {named}{more}: to go on from one, give the setting '
            f'load_from={found[0][1][0]} with resume=True')
