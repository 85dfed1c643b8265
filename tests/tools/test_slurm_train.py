"""Training under Slurm: what the script asks `srun` for."""
import os
from pathlib import Path

import pytest
from tiny_models import ROOT
from tool_runs import environment, run_tool

from mmseg_vittm.errors import TrainingStopped


def asked(folder: Path, *arguments: str, **variables: object) -> list[str]:
    """The words that `tools/slurm_train.sh` gives to `srun`."""
    srun = folder / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    path = os.pathsep.join([str(folder), environment()['PATH']])
    return run_tool('slurm_train.sh', *arguments, PATH=path, **variables).stdout.splitlines()


def test_where_one_process_dies_slurm_ends_the_others(tmp_path):
    assert '--kill-on-bad-exit=1' in asked(tmp_path, 'gpu', 'vittm', 'my config.py')


def test_the_processes_it_asks_for(tmp_path):
    words = asked(tmp_path, 'gpu', 'vittm', 'my config.py', '--amp', GPUS=16, GPUS_PER_NODE=4, SRUN_ARGS='--mem 9G')
    assert {'--ntasks=16', '--ntasks-per-node=4', '--gres=gpu:4', '--job-name=vittm', '--cpus-per-task=5'} <= set(words)
    assert words[words.index('-p') + 1] == 'gpu' and words[words.index('--mem') + 1] == '9G'
    tool = str(ROOT / 'tools' / 'train.py')
    assert words[words.index('python'):] == ['python', '-u', tool, 'my config.py', '--launcher', 'slurm', '--amp']
    assert '--ntasks-per-node=2' in asked(tmp_path, 'gpu', 'vittm', 'config.py', GPUS=2)


def run_in_job(folder: Path, status: int, *arguments: str, more: str = '', **variables: object):
    """Runs the script in a batch job, whose `srun` ends with a status; what `srun` and `scontrol` were asked for."""
    for name, script in (('srun', f'printf "%s\\n" "$@" >> {folder}/srun.txt; {more} exit {status}'),
                         ('scontrol', f'echo "$@" >> {folder}/scontrol.txt')):
        (folder / name).write_text(f'#!/bin/sh\n{script}\n')
        (folder / name).chmod(0o755)
    path = os.pathsep.join([str(folder), environment()['PATH']])
    done = run_tool('slurm_train.sh', 'gpu', 'vittm', 'config.py', *arguments, PATH=path, SLURM_JOB_ID=77,
                    succeeds=status == 0, **variables)
    assert done.returncode == status
    scontrol = folder / 'scontrol.txt'
    return (folder / 'srun.txt').read_text().splitlines(), scontrol.read_text() if scontrol.exists() else ''


def test_it_asks_for_the_signal_in_time(tmp_path):
    assert '--signal=USR1@300' in asked(tmp_path, 'gpu', 'vittm', 'config.py')
    assert '--signal=USR1@60' in asked(tmp_path, 'gpu', 'vittm', 'config.py', SIGNAL_SECONDS=60)


def test_a_run_that_was_stopped_is_queued_again(tmp_path):
    words, requeued = run_in_job(tmp_path, TrainingStopped.STATUS)
    assert requeued == 'requeue 77\n' and words[-2:] == ['--launcher', 'slurm']


@pytest.mark.parametrize('status', [0, 1, 2, 137])
def test_no_other_run_is_queued_again(tmp_path, status):
    assert run_in_job(tmp_path, status)[1] == ''


def test_a_cancelled_job_is_not_queued_again(tmp_path):
    assert run_in_job(tmp_path, TrainingStopped.STATUS, more='kill -TERM $PPID;')[1] == ''


def test_queued_again_it_goes_on(tmp_path):
    assert run_in_job(tmp_path, 0, SLURM_RESTART_COUNT=2)[0][-1] == '--resume=auto'
    words, _ = run_in_job(tmp_path, 0, '--resume', '--amp', SLURM_RESTART_COUNT=2)
    assert words[-2:] == ['--resume', '--amp']


def test_it_submits_itself(tmp_path):
    """As a batch job, by the script's own path, with the words that it was given."""
    sbatch = tmp_path / 'sbatch'
    sbatch.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nwhile [ "$1" != --wrap ]; do shift; done\n'
                      f'SLURM_JOB_ID=5 sh -c "$2" > {tmp_path}/job.txt')
    sbatch.chmod(0o755)
    said = asked(tmp_path, 'gpu', 'my job', "it's a config.py", '--amp', SUBMIT=1, SRUN_ARGS='--time 60')
    assert {'--requeue', '--open-mode=append', '--signal=USR1@300', '--time', '--job-name=my job'} <= set(said)
    words = (tmp_path / 'job.txt').read_text().splitlines()
    assert words[words.index('python') + 2:] == [str(ROOT / 'tools' / 'train.py'), "it's a config.py", '--launcher',
                                                 'slurm', '--amp']


def test_too_few_words_are_an_error():
    for name in ('slurm_train.sh', 'dist_train.sh'):
        done = run_tool(name, 'config.py', succeeds=False)
        assert done.returncode == 2 and done.stderr.startswith('usage: ')
