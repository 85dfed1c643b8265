"""A data worker that the system kills: one line, with the process and the remedy."""
import multiprocessing
import os
import signal

import pytest
from forked_runs import start, train, write_random_config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

WORKERS = ('--cfg-options', 'train_dataloader.num_workers=2', 'val_dataloader.num_workers=1')


@HOOKS.register_module()
class WorkerKiller(Hook):
    """Kills a data worker of a process of the run at a moment of it."""

    def __init__(self, moment: str, number: str = 'SIGKILL', rank: int = 0):
        self.number, self.rank = getattr(signal, number), rank
        setattr(self, moment, self._kill)

    def _kill(self, runner, batch_idx, *_, **__):
        if batch_idx == 1 and get_rank() == self.rank:
            os.kill(multiprocessing.active_children()[-1].pid, self.number)


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('workers')
    config = write_random_config(folder)
    train(config, folder / 'whole', '--cfg-options', 'train_cfg.max_iters=1')  # draws the data
    return config


def error_of(config, work, processes=1, **killer) -> list[str]:
    """The line that each process ends with."""
    path = config.with_name(f'{work.name}.py')
    path.write_text(config.read_text() + f'custom_hooks.append({dict(type="WorkerKiller", **killer)!r})\n')
    run = start(path, work, *WORKERS, processes=processes)
    assert run.wait(100) == [2] * processes, [run.output(rank)[-9000:] for rank in range(processes)]
    outputs = [run.output(rank) for rank in range(processes)]
    assert not any('Traceback' in output for output in outputs), outputs
    lines = [[line for line in output.splitlines() if line.startswith('error: ')] for output in outputs]
    assert all(len(each) == 1 for each in lines), lines
    return [each for each, in lines]


@pytest.mark.parametrize('moment', ['before_train_iter', pytest.param('before_val_iter', marks=pytest.mark.slow)])
def test_a_worker_killed_for_memory(config, tmp_path, moment):
    said, = error_of(config, tmp_path / 'work', moment=moment)
    assert 'a data worker, process ' in said and 'killed by the system (Killed), probably out of memory' in said
    assert 'num_workers' in said and 'batch_size' in said


@pytest.mark.slow
def test_of_one_of_two_processes(config, tmp_path):
    first, second = error_of(config, tmp_path / 'work', processes=2, moment='before_train_iter', rank=1)
    assert 'probably out of memory' in second
    assert 'process 0: another process of this run has ended' in first


FORK_SERVER = """
from torch.utils.data import DataLoader
from mmseg_vittm.engine.processes.data_workers import guard_workers

if __name__ == '__main__':
    batches = guard_workers(DataLoader(range(1000), num_workers=1, multiprocessing_context={context!r}))
    iterator = iter(batches)
    next(iterator)
    worker = iterator._workers[0]
    worker.terminate()  # as multiprocessing does at the end of the process
    worker.join(20)
    print('ended' if worker.exitcode is not None else 'still there')
    worker.kill()
"""


@pytest.mark.slow
@pytest.mark.parametrize('context', ['fork', 'forkserver', 'spawn'])
def test_workers_end_by_their_training_process(tmp_path, run_python, context):
    (tmp_path / 'script.py').write_text(FORK_SERVER.format(context=context))
    done = run_python("import runpy, sys\nsys.argv = ['script.py']\nrunpy.run_path('script.py', run_name='__main__')")
    assert 'ended' in done.stdout, done.stdout + done.stderr[-2000:]
