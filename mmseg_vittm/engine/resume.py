"""Which checkpoint a run goes on from: the newest that is whole."""
import re
import time
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from ..errors import CheckpointError, one_line
from ..weights.whole_model import read_checkpoint
from .training_state import fault_of_training_state

NAMES = ('iter_{}.pth', 'epoch_{}.pth')
NEEDED = dict(optimizer='the state of the optimizer', message_hub='the log of the run')


def checkpoint_folders(runner: Runner) -> list[Path]:
    """Returns where a run's checkpoints are: its work dir, and its checkpoint hook's `out_dir` if it has one."""
    folders = [Path(runner.work_dir)]
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.out_dir is not None:
            folders += [Path(hook.out_dir) / Path(runner.work_dir).name, Path(hook.out_dir)]
    return list(dict.fromkeys(folders))


def checkpoints_in(folders: list[Path], names: tuple[str, ...] = NAMES) -> list[Path]:
    """Returns the checkpoints in folders that a run may be resumed from, the newest first, by the number in the name.

    Neither `last_checkpoint` nor modification times count: they change when a folder is copied, moved or damaged.

    Args:
        folders: The folders; they need not exist.
        names: Templates of file names, with `{}` for the number of iterations or epochs.
    """
    found = []
    for name in dict.fromkeys(names):
        pattern = re.compile(re.escape(name).replace(re.escape('{}'), r'(\d+)'))
        for folder in folders:
            for path in folder.iterdir() if folder.is_dir() else ():
                match = pattern.fullmatch(path.name)
                if match and path.is_file():
                    found.append((int(match[1]), path))
    return [path for _, path in sorted(found, reverse=True)]


def why_not_resumable(path: str | Path) -> str | None:
    """Reads a checkpoint whole, and returns why no run can be resumed from it, or None where one can."""
    try:
        checkpoint = read_checkpoint(str(path))
    except CheckpointError as error:
        return str(error)
    except OSError as error:
        return f'{path} cannot be read ({one_line(error)})'
    meta = checkpoint.get('meta')
    if not isinstance(meta, dict) or meta.get('iter') is None or meta.get('epoch') is None:
        return f'{path} holds weights only: it does not say after which iteration it was made'
    fault = fault_of_training_state(checkpoint)
    if fault is not None:
        return f'{path}: the state of its training is damaged: {fault}'
    for name, what in NEEDED.items():
        if not isinstance(checkpoint.get(name), dict):
            return f'{path} holds weights only: {what} is missing ({name!r})'
    return None


def newest_resumable(runner: Runner) -> Path | None:
    """Returns the newest checkpoint of a run that can be read whole, None where there is none.

    Each one passed over is a warning with the reason.
    """
    names = [hook.filename_tmpl for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    for path in checkpoints_in(checkpoint_folders(runner), (*names, *NAMES)):
        reason = why_not_resumable(path)
        if reason is None:
            return path
        MMLogger.get_current_instance().warning(f'Passed over on resuming: {reason}')
    return None


def begin_anew(runner: Runner) -> None:
    """Sets the checkpoints of an earlier run in a run's work dir aside, and says so; in the main process alone."""
    aside = set_aside_earlier_run(runner.work_dir) if is_main_process() else None
    if aside:
        runner.logger.warning(f'The checkpoints of an earlier run were moved to {aside}')


def set_aside_earlier_run(work_dir: str) -> Path | None:
    """Moves checkpoints of an earlier run in a work dir into a subfolder, so that a new run overwrites nothing.

    Returns:
        The subfolder, or None where there was nothing to move.
    """
    folder = Path(work_dir)
    earlier = [path for pattern in ('iter_*.pth', 'epoch_*.pth', 'best_*.pth', 'last_checkpoint', 'pictures')
               for path in folder.glob(pattern)]
    if not earlier:
        return None
    aside = folder / f'earlier_{time.strftime("%Y%m%d_%H%M%S")}'
    aside.mkdir()
    for path in earlier:
        path.rename(aside / path.name)
    return aside
