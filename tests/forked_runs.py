"""Training runs in forked processes: nothing is imported again, so that many fit into a test."""
import contextlib
import multiprocessing
import os
import runpy
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from tiny_models import ROOT
from tool_runs import free_port, in_the_foreground, write_config

from mmseg_vittm.commands.options import run as run_main
from mmseg_vittm.weights.whole_model import read_checkpoint

# Everything random that training has: drop path, dropout, augmentation by Python's, NumPy's and torch's numbers.
RANDOM = """
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='RandomResize', scale=(128, 64), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
model.update(dict(auxiliary_head=dict(dropout_ratio=0.1, in_channels=96, channels=96)))
model['backbone'].update(drop_path_rate=0.1)
train_dataloader.update(dataset=dict(pipeline=pipeline, **dataset))
train_cfg = dict(max_iters=12, val_interval=3)
default_hooks = dict(checkpoint=dict(interval=2, max_keep_ckpts=2), logger=dict(interval=1))
custom_hooks = [dict(type='LossRecorder')]
"""


@HOOKS.register_module()
class LossRecorder(Hook):
    """Appends the bits of every loss to a file of its process in the work dir."""
    priority = 'HIGHEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        with open(Path(runner.work_dir) / f'losses_{get_rank()}.txt', 'a') as file:
            file.write(f'{runner.iter + 1} {outputs["loss"].item().hex()}\n')


def recorded(work_dir: Path, rank: int = 0) -> dict[int, str]:
    """The bits of the loss by iteration, as far as a process recorded them; of repeated iterations the last."""
    return dict(map(_entry, (work_dir / f'losses_{rank}.txt').read_text().splitlines()))


def _entry(line: str) -> tuple[int, str]:
    iteration, bits = line.split()
    return int(iteration), bits


def assert_same_state(one: Path, other: Path) -> None:
    """Two checkpoints hold the same weights, optimizer, schedules, random states and position, bit for bit."""
    one, other = read_checkpoint(str(one)), read_checkpoint(str(other))
    parts = sorted(set(one) - {'meta', 'message_hub'})  # which hold times
    assert parts == sorted(set(other) - {'meta', 'message_hub'})
    for part in parts:
        assert_equal(one[part], other[part], part)


def assert_equal(one, other, name: str = '') -> None:
    """Nested containers are equal, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), name
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), name
        for key in one:
            assert_equal(one[key], other[key], f'{name}.{key}')
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), name
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f'{name}.{number}')
    else:
        assert one == other, name


def write_random_config(folder: Path, more: str = '', name: str = 'tiny.py') -> Path:
    """A tiny config whose training is random in every way."""
    return write_config(folder, name, RANDOM + more)


@dataclass
class Run:
    """The processes of a run under way."""
    processes: list
    logs: list[Path]

    def wait(self, seconds: float = 300) -> list[int]:
        """Their exit statuses; those still alive after some seconds are killed and have None."""
        for process in self.processes:
            process.join(seconds)
        statuses = [process.exitcode for process in self.processes]
        for process in self.processes:
            process.kill()
            process.join()
        return statuses

    def output(self, rank: int = 0) -> str:
        return self.logs[rank].read_text()


def start(config: Path, work_dir: Path, *options: str, processes: int = 1, before=None) -> Run:
    """Starts `tools/train.py CONFIG --work-dir DIR OPTIONS` in one process or several, over gloo.

    `before`, if given, is called with the process's rank before the tool.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    tool = runpy.run_path(str(ROOT / 'tools' / 'train.py'))
    arguments = ['train.py', str(config), '--work-dir', str(work_dir), *options]
    run, port = Run([], []), free_port()
    for rank in range(processes):
        environment = {}
        if processes > 1:
            environment = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=processes, MASTER_ADDR='127.0.0.1',
                               MASTER_PORT=port)
        log = work_dir / f'output_{rank}.txt'
        extra = ['--launcher', 'pytorch'] * (processes > 1)
        process = multiprocessing.get_context('fork').Process(
            target=_inside, args=(tool['main'], [*arguments, *extra], environment, log, before, rank))
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)  # of forks beside threads, which only sleep
            process.start()
        run.processes.append(process)
        run.logs.append(log)
    return run


def train(*arguments, **keywords) -> Run:
    """As `start`, and waits: every process must end well."""
    run = start(*arguments, **keywords)
    statuses = run.wait()
    assert statuses == [0] * len(statuses), (statuses, [run.output(rank)[-3000:] for rank in range(len(statuses))])
    return run


def _inside(main, arguments, environment, log, before, rank):
    with open(log, 'w') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout = open(1, 'w', closefd=False)  # noqa: SIM115  (for the rest of this process)
    sys.stderr = open(2, 'w', closefd=False)  # noqa: SIM115
    os.environ.update({name: str(value) for name, value in environment.items()})
    sys.argv = arguments
    in_the_foreground()
    torch.set_num_threads(1)
    # Most of a short run's time goes into these, and nothing here depends on them.
    Config.pretty_text = property(lambda config: 'max_iters = 0')
    Runner._log_env = lambda runner, env_cfg: None
    if before is not None:
        before(rank)
    with contextlib.ExitStack() as at_the_end:
        at_the_end.callback(sys.stderr.flush)
        at_the_end.callback(sys.stdout.flush)
        run_main(main)
