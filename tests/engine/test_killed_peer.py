"""A run of two processes one of which dies: the other ends too."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forked_runs import start, write_random_config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from tiny_models import ROOT

from mmseg_vittm.engine import peer_watch


@HOOKS.register_module()
class Hang(Hook):
    """Keeps a process busy with something that is no collective."""

    def __init__(self, rank):
        self.rank = rank

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if get_rank() == self.rank and runner.iter + 1 == 3:
            time.sleep(1000)


def hurry(rank: int) -> None:
    peer_watch.GRACE = 2


def wait_for(path: Path, lines: int) -> None:
    until = time.monotonic() + 120
    while not path.is_file() or len(path.read_text().splitlines()) < lines:
        assert time.monotonic() < until, f'{path} has no {lines} lines'
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize('killed', [0, 1])
@pytest.mark.parametrize('workers', [0, 2])
def test_the_other_ends(tmp_path, killed, workers):
    config = write_random_config(tmp_path, f'train_cfg.update(max_iters=100000, val_interval=100000)\n'
                                 f'train_dataloader.update(num_workers={workers})\n')
    run = start(config, tmp_path / 'work', processes=2)
    wait_for(tmp_path / 'work' / f'losses_{killed}.txt', 3)
    os.kill(run.processes[killed].pid, signal.SIGKILL)
    began = time.monotonic()
    statuses = run.wait(60)
    assert time.monotonic() - began < 60
    assert statuses[killed] == -signal.SIGKILL and statuses[1 - killed] not in (0, None, -signal.SIGKILL)


@pytest.mark.parametrize('killed', [0, 1])
def test_the_other_ends_wherever_it_is(tmp_path, killed):
    config = write_random_config(tmp_path, f"custom_hooks.append(dict(type='Hang', rank={1 - killed}))\n")
    run = start(config, tmp_path / 'work', processes=2, before=hurry)
    wait_for(tmp_path / 'work' / f'losses_{killed}.txt', 3)
    time.sleep(0.5)
    os.kill(run.processes[killed].pid, signal.SIGKILL)
    assert run.wait(60)[1 - killed] == 1
    assert f'Process {killed} of 2 has died' in run.output(1 - killed)


@pytest.mark.slow
def test_under_torchrun(tmp_path):
    config = write_random_config(tmp_path, 'train_cfg.update(max_iters=100000, val_interval=100000)\n'
                                 'custom_hooks.clear()\n')
    log = tmp_path / 'output.txt'
    environment = os.environ | {'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}', 'PORT': '29617',
                                'PYTHONPATH': os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))}
    with open(log, 'w') as file:
        run = subprocess.Popen(['bash', str(ROOT / 'tools' / 'dist_train.sh'), str(config), '2', '--work-dir',
                                str(tmp_path / 'work')], stdout=file, stderr=file, env=environment)
    try:
        until = time.monotonic() + 120
        while 'Iter(train) [     3/' not in log.read_text():
            assert time.monotonic() < until and run.poll() is None, log.read_text()[-3000:]
            time.sleep(0.2)
        children = Path(f'/proc/{run.pid}/task/{run.pid}/children').read_text().split()
        os.kill(int(children[-1]), signal.SIGKILL)
        assert run.wait(60) != 0
        assert not any(Path(f'/proc/{child}').exists() for child in children)
    finally:
        run.kill()
        run.wait()
