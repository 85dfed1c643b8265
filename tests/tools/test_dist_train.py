"""Two processes over gloo on the CPU, started by torchrun: how the launch is tested."""
import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from forked_runs import train
from tool_runs import environment, free_port, in_the_foreground, losses, run_tool, tool_command, write_config

TRAINS = re.compile(r'Iter\(train\) \[ *3/')


def children(process: int) -> list[int]:
    """The processes that one started."""
    return [int(child) for threads in Path(f'/proc/{process}/task').glob('*/children')
            for child in threads.read_text().split()]


def processes_of(torchrun: int) -> list[Path]:
    """What torchrun started, as folders of /proc, in the order of their ranks."""
    ranks = {}
    for child in map(str, children(torchrun)):
        rank = re.search(rb'\0LOCAL_RANK=(\d+)\0', Path('/proc', child, 'environ').read_bytes())
        ranks[int(rank[1])] = Path('/proc', child)
    return [ranks[rank] for rank in sorted(ranks)]


def abort(torchrun: int) -> None:
    """Makes what torchrun started, and what that started, say where it is, and end; needs `PYTHONFAULTHANDLER`."""
    processes = children(torchrun)
    for process in processes + [worker for parent in processes for worker in children(parent)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGABRT)
    time.sleep(2)


def test_two_processes_train_as_one(tmp_path):
    config = write_config(tmp_path)
    options = ('--cfg-options', 'train_cfg.max_iters=8', 'train_cfg.val_interval=8')
    train(config, tmp_path / 'one', *options)
    run_tool('dist_train.sh', config, 2, '--work-dir', tmp_path / 'two', *options, PORT=free_port())
    one, two = losses(tmp_path / 'one'), losses(tmp_path / 'two')
    assert len(one) == 8 and one[0] - one[-1] > 0.01  # it does learn
    assert two == pytest.approx(one, abs=1e-4)


@contextlib.contextmanager
def training(folder: Path, *options: object):
    """A run of two processes without end, in its fourth iteration or a later one; and how to read what it said."""
    config = write_config(folder)
    log = folder / 'output.txt'
    command = tool_command('dist_train.sh', config, 2, '--work-dir', folder / 'work', '--cfg-options',
                           'train_cfg.max_iters=100000', 'train_cfg.val_interval=100000',
                           'default_hooks.checkpoint.interval=100000', *options)
    with open(log, 'w') as file:
        run = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True,
                               preexec_fn=in_the_foreground, env=environment(PORT=free_port(), PYTHONFAULTHANDLER=1))
    processes = []
    try:
        until = time.monotonic() + 120
        while not TRAINS.search(log.read_text()):
            if time.monotonic() > until:
                abort(run.pid)
            assert time.monotonic() < until and run.poll() is None, log.read_text()[-40000:]
            time.sleep(0.1)
        processes = processes_of(run.pid)
        assert len(processes) == 2
        yield run, processes, log.read_text
        assert not any(process.exists() for process in processes)
        assert 'Traceback' not in log.read_text(), log.read_text()[-3000:]
    finally:
        for process in [run.pid, *(int(process.name) for process in processes)]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        run.wait()


@pytest.mark.parametrize('killed', [
    pytest.param(0, id='first'), pytest.param(1, id='last', marks=pytest.mark.slow)])
def test_where_one_process_is_killed_the_other_ends(tmp_path, killed):
    with training(tmp_path) as (run, processes, said):
        os.kill(int(processes[killed].name), signal.SIGKILL)
        assert run.wait(60) == 2
        last = said().splitlines()[-1]
        assert last.startswith(f'error: killed: process {killed} by SIGKILL, probably out of memory; '), said()[-3000:]


@pytest.mark.parametrize('name', [
    'SIGTERM', *(pytest.param(name, marks=pytest.mark.slow) for name in ('SIGUSR1', 'SIGINT'))])
def test_a_signal_saves_once_and_says_how_to_go_on(tmp_path, name):
    with training(tmp_path, 'train_dataloader.num_workers=1') as (run, _, said):
        os.killpg(run.pid, getattr(signal, name)) if name == 'SIGINT' else run.send_signal(getattr(signal, name))
        assert run.wait(60) == 75
        saved, = (tmp_path / 'work').glob('iter_*.pth')
        last, = (line for line in said().splitlines() if line.startswith('stopped by '))
        assert last.startswith(f'stopped by {name} after iteration {saved.stem[5:]}: {saved} is saved; ')
        assert 'dist_train.sh' in last and last.endswith(' --resume')


@pytest.mark.slow
def test_where_one_process_hangs_the_job_ends_within_the_time_out(tmp_path):
    with training(tmp_path, 'env_cfg.dist_cfg.timeout=5') as (run, processes, said):
        os.kill(int(processes[1].name), signal.SIGSTOP)
        assert run.wait(60) == 2
        line, = (line for line in said().splitlines() if line.startswith('error: '))
        assert line.startswith('error: process 0: ') and 'env_cfg.dist_cfg.timeout' in line


@pytest.mark.slow
def test_a_second_interrupt_ends_them_even_where_one_hangs(tmp_path):
    with training(tmp_path) as (run, processes, _):
        os.kill(int(processes[1].name), signal.SIGSTOP)
        run.send_signal(signal.SIGINT)
        time.sleep(2)
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == 130
