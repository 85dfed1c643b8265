"""One training at a time in a folder: a lock, which a process that dies gives back."""
import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from mmengine.dist import broadcast_object_list, is_distributed, is_main_process
from mmengine.logging import MMLogger

from ...errors import InputError, OutputError, one_line, shown
from ...outputs import make_folder, missing_folders, not_written, remove_empty

LOCK = '.lock'  # the file: locked by the system while its process lives; it says which one that is
LONGEST = 4096  # bytes of it that are read
# What file systems that know no locks answer.
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
_held: dict[str, FileLock | None] = {}  # by real path; None: the file system knows no locks

if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_held.clear)  # filelock closes what a forked process inherits


@contextlib.contextmanager
def hold(folders: Iterable[str | Path], main: bool | None = None) -> Iterator[None]:
    """Holds folders for this run while the block runs; those that this process holds already stay held after it.

    Where the block fails, folders and locks that were made for it and hold nothing else are gone again.

    The main process locks, before anything else is written there; where there is a process group, the others end with
    it if it cannot. Where a file system knows no locks, a warning says so.

    Args:
        folders: The folders; they are made.
        main: Whether this is the main process, where no process group can tell yet.

    Raises:
        InputError: Another training holds one; names its host, its process, since when, and the remedy.
        OutputError: One cannot be made or written to.
    """
    error = None
    with contextlib.ExitStack() as stack:
        if is_main_process() if main is None else main:
            try:
                for folder in folders:
                    stack.enter_context(_hold_one(Path(folder)))
            except (InputError, OutputError) as failed:
                error = failed
        if is_distributed():
            answer = [error]
            broadcast_object_list(answer)
            error = answer[0]
        if error is not None:
            raise error
        yield


def holds(folder: str | Path) -> bool:
    """Returns whether this process holds a folder, so that no other training writes there."""
    return _held.get(os.path.realpath(folder)) is not None


@contextlib.contextmanager
def _hold_one(folder: Path) -> Iterator[None]:
    key = os.path.realpath(folder)
    if key in _held:
        yield
        return
    with contextlib.ExitStack() as undo:
        undo.callback(remove_empty, missing_folders(folder))
        make_folder(folder)
        lock = _locked(folder, undo)
        _held[key] = lock
        undo.callback(_held.pop, key)
        yield
        undo.pop_all()
    del _held[key]
    if lock is not None:
        _forget(folder / LOCK, remove=False)
        lock.release()


def _locked(folder: Path, undo: contextlib.ExitStack) -> FileLock | None:
    path = folder / LOCK
    lock = FileLock(path, timeout=0, thread_local=False, fallback_to_soft=False)
    is_new = not os.path.lexists(path)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f'{folder}: {_holder(path)}; wait until it ends, stop it, or give another work_dir=DIR'
                         ) from None
    except OSError as error:
        if is_new:
            path.unlink(missing_ok=True)
        if error.errno not in NO_LOCKS:
            raise not_written(path, error) from error
        MMLogger.get_current_instance().warning(
            f'{folder}: its file system cannot lock ({one_line(error)}): nothing stops another training from writing '
            'there too')
        return None
    undo.callback(lock.release)
    undo.callback(_forget, path, is_new)
    try:
        path.write_text(json.dumps(dict(host=socket.gethostname(), process=os.getpid(),
                                        since=time.strftime('%Y-%m-%d %H:%M:%S %Z'))))
    except OSError as error:
        raise not_written(path, error) from error
    return lock


def _forget(path: Path, remove: bool) -> None:
    """Clears what a lock's file says, which counts only while it is locked, or removes the file."""
    with contextlib.suppress(OSError):  # the folder may be gone
        path.unlink() if remove else os.truncate(path, 0)


def _holder(path: Path) -> str:
    """Returns who holds a lock, by what its file says; it may be written at this moment, or by anybody."""
    says = {}
    for _ in range(5):
        try:
            with open(path, 'rb') as file:
                says = json.loads(file.read(LONGEST))
            break
        except (OSError, ValueError, RecursionError):
            time.sleep(0.1)
    if not isinstance(says, dict) or not isinstance(says.get('process'), int):
        return 'another process is training there'
    return (f'process {says["process"]} on {shown(says.get("host"))} is training there, since '
            f'{shown(says.get("since"))}')
