"""Training under Slurm: what the script asks `srun` for."""
import os
from pathlib import Path

from tiny_models import ROOT
from tool_runs import environment, run_tool


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


def test_too_few_words_are_an_error():
    for name in ('slurm_train.sh', 'dist_train.sh'):
        done = run_tool(name, 'config.py', succeeds=False)
        assert done.returncode == 2 and done.stderr.startswith('usage: ')
