"""Workers of DataLoaders: only their training process ends them, and one that dies is named."""
import functools
import os
import re
import signal
import sys
import threading
from collections.abc import Callable

from torch.utils.data import DataLoader

from ...errors import TrainingError

_DIED = re.compile(r'DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (.*)')
_SIGNAL = re.compile(r'killed by signal: ([^.]*)\.')
SHARED_MEMORY = 'Bus error'
LESS = 'give the dataloader fewer num_workers, or a smaller batch_size'


def guard_workers(loader: DataLoader) -> DataLoader:
    """Makes the workers of a DataLoader deaf to signals that stop a run: they reach a whole group of processes."""
    if not isinstance(loader.worker_init_fn, functools.partial) or loader.worker_init_fn.func is not begin_worker:
        loader.worker_init_fn = functools.partial(begin_worker, loader.worker_init_fn, os.getpid())
    return loader


def begin_worker(initialise: Callable[[int], None] | None, training: int, number: int) -> None:
    """Begins a worker: it ends with its parent, or by SIGTERM of the training process, and goes on working until then.

    Args:
        initialise: What the DataLoader's `worker_init_fn` was before.
        training: The training process, which is not the parent where a fork server is.
        number: The worker's.
    """
    sys.excepthook = functools.partial(_pass_over_lost_connections, sys.excepthook)
    for name in ('SIGINT', 'SIGUSR1'):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, 'sigwaitinfo'):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # in the threads that begin from here on, too
        threading.Thread(target=_end_by, args=[(training, os.getppid())], daemon=True).start()
    if initialise is not None:
        initialise(number)


def _pass_over_lost_connections(report: Callable[..., None], kind: type[BaseException], *rest: object) -> None:
    """Reports an error of a worker's thread, but not that the training process, which ends, took no more from it."""
    if not issubclass(kind, (ConnectionError, EOFError)):
        report(kind, *rest)


def _end_by(processes: tuple[int, ...]) -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid not in processes:
        pass
    os._exit(0)


def death_of_worker(error: BaseException) -> TrainingError | None:
    """Returns the error that names a worker of a DataLoader that died, or None where none did.

    Args:
        error: What PyTorch raised, anywhere in the process whose worker it was.
    """
    chain, each = [], error
    while each is not None and each not in chain:
        chain.append(each)
        each = each.__cause__ or each.__context__
    deaths = [found for each in chain if isinstance(each, RuntimeError) for found in [_DIED.search(str(each))] if found]
    if not deaths:
        return None
    told = next((found for found in deaths if _SIGNAL.search(found[2])), deaths[0])
    name = _SIGNAL.search(told[2])
    if name is None:
        reason = f'ended unexpectedly, probably out of memory; {LESS}'
    elif name[1] == SHARED_MEMORY:
        reason = f'was killed ({name[1]}), probably out of shared memory; make /dev/shm larger, or {LESS}'
    elif name[1] == signal.strsignal(signal.SIGKILL):
        reason = f'was killed by the system ({name[1]}), probably out of memory; {LESS}'
    else:
        reason = f'was killed ({name[1]}), as by a crash while reading a file; num_workers=0 shows where'
    return TrainingError(f'a data worker, process {told[1].strip()}, {reason}')
