"""Signals: training finishes its iteration, saves, and ends with a status of its own; a resumed run is the whole one."""
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from forked_runs import assert_same_state, recorded, start, train, write_random_config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmseg_vittm.engine.stop_signals import StopSignals, stop_signals
from mmseg_vittm.errors import TrainingStopped
from mmseg_vittm.weights.whole_model import read_checkpoint

STATUS = TrainingStopped.STATUS


@HOOKS.register_module()
class Signaller(Hook):
    """Sends a process of the run signals at a moment of it, `before_train_iter` and so on, by the iterations done."""
    priority = 'VERY_HIGH'

    def __init__(self, moment: str, done: int, signals=('SIGTERM',), rank: int = 0, to_group: bool = False):
        self.done, self.signals, self.rank, self.to_group = done, signals, rank, to_group
        setattr(self, moment, self._send)

    def _send(self, runner, *_, **__):
        if runner.iter != self.done or get_rank() != self.rank:
            return
        self.done = None
        for name in self.signals:
            (os.killpg if self.to_group else os.kill)(os.getpid(), getattr(signal, name))
            time.sleep(0.05)


def own_group(rank):
    """A process group of its own, as a terminal or torchrun gives: its signals reach the data workers too."""
    os.setpgid(0, 0)


def sending(moment: str, done: int, **more) -> str:
    """Lines of a config whose run gets signals."""
    return f'custom_hooks.append({dict(type="Signaller", moment=moment, done=done, **more)!r})\n'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('stopping')


@pytest.fixture(scope='module')
def config(folder):
    return write_random_config(folder)


@pytest.fixture(scope='module')
def whole(folder, config):
    """The uninterrupted run."""
    train(config, folder / 'whole')
    return folder / 'whole'


def stopped(config: Path, work: Path, more: str, *options: str, processes: int = 1, before=None, status=STATUS):
    """A run that ended by a signal: what its first process said."""
    stopping = config.with_name(f'{work.name}.py')
    stopping.write_text(config.read_text() + more)
    run = start(stopping, work, *options, processes=processes, before=before)
    statuses = run.wait(120)
    output = run.output()
    assert statuses == [status] * processes, (statuses, [run.output(rank)[-3000:] for rank in range(processes)])
    assert 'Traceback' not in output, output[-3000:]
    return output


def last_line(output: str) -> str:
    return [line for line in output.splitlines() if line.startswith('stopped by ')][-1]


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGUSR1', 'SIGINT'])
def test_the_iteration_is_finished_and_saved(name, config, whole, tmp_path):
    work = tmp_path / f'stopped_{name}'
    said = last_line(stopped(config, work, sending('before_train_iter', 4, signals=[name])))
    assert said.startswith(f'stopped by {name} after iteration 5: {work / "iter_5.pth"} is saved; go on with --resume: ')
    assert said.endswith(f' --work-dir {work} --resume')
    assert sorted(path.name for path in work.glob('iter_*')) == ['iter_4.pth', 'iter_5.pth']  # two are kept
    assert (work / 'last_checkpoint').read_text() == 'iter_5.pth'
    train(config, work, '--resume')
    assert recorded(work) == recorded(whole)
    assert_same_state(work / 'iter_12.pth', whole / 'iter_12.pth')
    assert sorted(path.name for path in work.glob('iter_*')) == ['iter_10.pth', 'iter_12.pth']
