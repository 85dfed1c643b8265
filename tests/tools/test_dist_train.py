"""Two processes over gloo on the CPU, started by torchrun: how the launch is tested."""
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from forked_runs import train
from tool_runs import environment, free_port, losses, run_tool, tool_command, write_config

TRAINS = re.compile(r'Iter\(train\) \[ *3/')


def processes_of(torchrun: int) -> list[Path]:
    """What torchrun started, as folders of /proc, in the order of their ranks."""
    children = Path(f'/proc/{torchrun}/task/{torchrun}/children').read_text().split()
    ranks = {}
    for child in map('/proc/{}'.format, children):
        rank = re.search(rb'\0LOCAL_RANK=(\d+)\0', Path(child, 'environ').read_bytes())
        ranks[int(rank[1])] = Path(child)
    return [ranks[rank] for rank in sorted(ranks)]


def test_two_processes_train_as_one(tmp_path):
    config = write_config(tmp_path)
    options = ('--cfg-options', 'train_cfg.max_iters=8', 'train_cfg.val_interval=8')
    train(config, tmp_path / 'one', *options)
    run_tool('dist_train.sh', config, 2, '--work-dir', tmp_path / 'two', *options, PORT=free_port())
    one, two = losses(tmp_path / 'one'), losses(tmp_path / 'two')
    assert len(one) == 8 and one[0] - one[-1] > 0.01  # it does learn
    assert two == pytest.approx(one, abs=1e-4)


@pytest.mark.parametrize('killed', [
    pytest.param(0, id='first'), pytest.param(1, id='last', marks=pytest.mark.slow)])
def test_where_one_process_is_killed_the_other_ends(tmp_path, killed):
    config = write_config(tmp_path)
    log = tmp_path / 'output.txt'
    command = tool_command('dist_train.sh', config, 2, '--work-dir', tmp_path / 'work', '--cfg-options',
                           'train_cfg.max_iters=100000', 'train_cfg.val_interval=100000')
    with open(log, 'w') as file:
        run = subprocess.Popen(command, stdout=file, stderr=file, env=environment(PORT=free_port()),
                               start_new_session=True)
    try:
        until = time.monotonic() + 120
        while not TRAINS.search(log.read_text()):
            assert time.monotonic() < until and run.poll() is None, log.read_text()[-3000:]
            time.sleep(0.1)
        processes = processes_of(run.pid)
        assert len(processes) == 2
        os.kill(int(processes[killed].name), signal.SIGKILL)
        assert run.wait(60) == 1
        assert not any(process.exists() for process in processes)
        assert re.search(rf'rank +: {killed} .*\n +exitcode +: -9 ', log.read_text()), log.read_text()[-3000:]
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
