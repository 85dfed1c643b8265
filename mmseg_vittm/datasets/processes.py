"""Work on many items in processes, where one that dies costs its item and says which it was."""
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple


class Died(NamedTuple):
    """What is there instead of a result where a process ended while it worked on the item."""
    reason: str


def _work(task: Callable[[int], Any], pipe: Connection, parent: int) -> None:
    """Answers item numbers with results until the pipe closes or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    try:
        while True:
            while not pipe.poll(5):
                if os.getppid() != parent:
                    return
            pipe.send(task(pipe.recv()))
    except (EOFError, OSError):
        return


class _Worker:
    """A process, its end of the pipe and the item it works on."""

    def __init__(self, task: Callable[[int], Any]):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=_work, args=(task, theirs, os.getpid()), daemon=True)
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # none between the start and the process's own line
        try:
            self.process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        theirs.close()
        self.item: int | None = None

    def give(self, item: int) -> None:
        """Hands the process its next item."""
        self.item = item
        self.pipe.send(item)

    def stop(self) -> None:
        """Ends the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _reason(code: int | None) -> str:
    if code is not None and code < 0:
        return f'signal {-code}, {signal.Signals(-code).name}'
    return f'exit status {code}'


def run_in_processes(task: Callable[[int], Any], count: int, workers: int) -> Iterator[tuple[int, Any]]:
    """Yields (i, task(i)) for i in range(count), in the order in which they finish.

    Args:
        task: The work; a module's function or an instance with `__call__`, since processes may have to pickle it.
        count: Number of items.
        workers: Number of processes.

    Yields:
        The item's number and its result, or `Died` where its process ended on it (a crash, or killed for memory).
    """
    team: list[_Worker] = []
    items = iter(range(count))
    try:
        for _ in range(min(workers, count)):
            team.append(_Worker(task))
            team[-1].give(next(items))
        while team:
            for ready in wait([worker.pipe for worker in team]):
                worker = next(one for one in team if one.pipe is ready)
                done = worker.item
                try:
                    result = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join()
                    result = Died(_reason(worker.process.exitcode))
                    worker.stop()
                    team[team.index(worker)] = worker = _Worker(task)
                following = next(items, None)
                if following is None:
                    worker.stop()
                    team.remove(worker)
                else:
                    worker.give(following)
                yield done, result
    finally:
        for worker in team:
            worker.stop()
