"""Work on many items in processes, where one that dies costs its item and says which it was."""
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for
from typing import Any, NamedTuple

from ..errors import InputError, one_line


class Died(NamedTuple):
    """What is there instead of a result where a process ended while it worked on the item."""
    reason: str


def run_in_processes(task: Callable[[int], Any], count: int, workers: int) -> Iterator[tuple[int, Any]]:
    """Yields (i, task(i)) for i in range(count), in the order in which they finish.

    A pool of processes says that one of them died, not on what: the items under way are done again, one at a time.

    Args:
        task: The work; a module's function or an instance with `__call__`, since processes may have to pickle it.
        count: Number of items.
        workers: Number of processes.

    Yields:
        The item's number and its result, or `Died` where its process ended on it (a crash, or killed for memory).
    """
    left = deque(range(count))
    while left:
        suspects, _ = yield from _run(task, left, workers, ahead=2 * workers)
        while suspects:
            culprits, reason = yield from _run(task, suspects, workers=1, ahead=1)
            for number in culprits:
                yield number, Died(reason)


def _run(task: Callable, left: deque[int], workers: int, ahead: int) -> Generator[tuple[int, Any], None, tuple]:
    """Yields results of the items in `left`, which it takes out; returns those lost with a process, and its end."""
    pool = ProcessPoolExecutor(min(workers, len(left)), initializer=_start, initargs=(task, ))
    running, team, any_done = {}, {}, False
    try:
        with _interrupts_held():
            pool.submit(os.getpid).result()
            team = pool._processes  # spawned ones come with the items; the pool forgets them when it is shut down
        while left or running:
            while left and len(running) < ahead:
                future = pool.submit(_work, left[0])
                running[future] = left.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                result = future.result()
                any_done = True
                yield running.pop(future), result
    except BrokenProcessPool as error:
        if not running and not any_done:  # it is no item's fault, and would go on for ever
            raise InputError(f'processes that are to check files end as they start ({one_line(error)}); make room in '
                             'memory, or give fewer workers') from error
    finally:
        if running:  # broken, or the caller takes no more results
            for process in team.values():
                process.kill()
        ended = list(team.values())
        pool.shutdown()
    return deque(running.values()), _reason(next((one.exitcode for one in ended if one.exitcode), 0))


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Puts Ctrl-C off until the end of the block, whose processes must not die of it before they ignore it."""
    held = []
    if threading.current_thread() is not threading.main_thread():  # which gets all signals
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: held.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        signal.raise_signal(signal.SIGINT)


def _start(task: Callable[[int], Any]) -> None:
    """Makes a process ready: it ignores Ctrl-C, and ends with its parent, however that ends."""
    global _task
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _task = task
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    wait_for([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _work(number: int) -> Any:
    return _task(number)


def _reason(code: int | None) -> str:
    if code is not None and code < 0:
        return f'signal {-code}, {signal.Signals(-code).name}'
    return f'exit status {code}'
