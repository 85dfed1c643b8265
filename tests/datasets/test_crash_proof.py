"""Work in processes: one that dies costs its item, and none outlives its parent."""
import multiprocessing
import os
import signal

import pytest

from mmseg_vittm.datasets.crash_proof import Died, run_in_processes


class Crash:
    """A task that kills its process on some items."""

    def __call__(self, number):
        if number in (2, 5):
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number


@pytest.mark.parametrize('workers', [1, 3])
def test_a_crash_names_its_item(workers):
    done = dict(run_in_processes(Crash(), 7, workers))
    assert sorted(done) == list(range(7))
    assert {number: result for number, result in done.items() if isinstance(result, Died)} == dict.fromkeys(
        (2, 5), Died('signal 9, SIGKILL'))
    assert done[6] == 36


def test_a_caller_may_stop_early():
    results = run_in_processes(Crash(), 1000, 2)
    next(results)
    results.close()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize('method', ['fork', 'forkserver', 'spawn'])
def test_every_way_to_start_processes(method, run_python):
    """Linux forks; macOS, Windows and newer Pythons do not."""
    done = run_python(f"""
import functools, multiprocessing
from mmseg_vittm.datasets.crash_proof import run_in_processes
if __name__ == '__main__':
    multiprocessing.set_start_method({method!r})
    print(sorted(run_in_processes(functools.partial(pow, 2), 12, 3)) == [(n, 2 ** n) for n in range(12)])
    results = run_in_processes(functools.partial(pow, 2), 1000, 2)
    next(results)
    results.close()
    print(multiprocessing.active_children())
""")
    assert done.stdout.split() == ['True', '[]'], done.stderr[-2000:]


KILLED = """
import os, signal, time
from mmseg_vittm.datasets.crash_proof import run_in_processes

def task(number):
    time.sleep(0.01)
    return os.getpid()

for number, pid in run_in_processes(task, 10**6, 3):
    print(pid, flush=True)
    if number > 20:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_outlives_its_parent(run_python):
    done = run_python(KILLED)  # comes back when all that hold its pipes have ended
    assert done.returncode == -signal.SIGKILL and len(set(done.stdout.split())) == 3
