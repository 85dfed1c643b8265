"""Fixtures of all tests."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_models import ROOT
from tool_runs import TrainedRun, environment, run_tool, write_config

from mmseg_vittm.stack import stack_installed

os.environ.setdefault('TORCHINDUCTOR_COMPILE_THREADS', '1')  # no pool of processes, which take longer than these graphs
torch.set_num_threads(1)  # the models are tiny, and tests may share their machine
STACK_INSTALLED = stack_installed()
# Folders and files whose tests need no MMSegmentation.
WITHOUT_STACK = ('ttm', 'vittm/test_both.py', 'vittm/test_encoder.py', 'vittm/test_heads_fusion.py',
                 'vittm/test_merging.py', 'vittm/test_parameters.py', 'vittm/test_timm_models.py',
                 'vittm/test_timm_training.py', 'vittm/test_tome.py',
                 'visualization', 'inference/windows', 'inference/test_compile.py', 'test_install.py', 'test_layout.py')

# They train in forks of the test's own process, which autograd refuses once it has threads, as after torch.compile.
FORKING = {'test_algm.py', 'test_any_command_line.py', 'test_atomic_files.py', 'test_changed_settings.py',
           'test_data_workers.py', 'test_dist_train.py', 'test_distilled_runs.py', 'test_earlier_run.py',
           'test_finite_loss_hook.py', 'test_killed_training.py', 'test_lock.py', 'test_other_processes.py',
           'test_resume.py', 'test_resuming_classifiers.py', 'test_resuming_clips.py',
           'test_rivals_in_use.py', 'test_stopping.py', 'test_warm_start_hook.py'}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that fork first, as far as one process runs them all."""
    items.sort(key=lambda item: item.path.name not in FORKING)


def pytest_report_header(config) -> str | None:
    """Says what is left out where the MMSegmentation stack is missing."""
    return None if STACK_INSTALLED else f'MMSegmentation is not installed: only {", ".join(WITHOUT_STACK)} run'


def pytest_ignore_collect(collection_path: Path, config) -> bool | None:
    """Leaves out the files that need the MMSegmentation stack where it is missing."""
    if STACK_INSTALLED or not collection_path.name.startswith('test_'):
        return None
    path = collection_path.relative_to(ROOT / 'tests').as_posix()
    return None if path.startswith(WITHOUT_STACK) else True


@pytest.fixture(scope='session')
def shared() -> Path:
    """The folder `shared` beside the repository, or the one that MMSEG_VITTM_SHARED names."""
    path = Path(os.environ.get('MMSEG_VITTM_SHARED', ROOT.parent / 'shared'))
    if not path.is_dir():
        pytest.skip(f'{path} is not there; MMSEG_VITTM_SHARED names another folder')
    return path


@pytest.fixture
def mmseg_scope():
    """The scope that a Runner sets for configs with `default_scope = 'mmseg'`."""
    from mmengine.registry import DefaultScope
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


class LogLines(list):
    """Lines of a log, (level, message) each."""

    def of(self, *levels: str) -> list[str]:
        """The messages of some levels."""
        return [message for level, message in self if level in levels]


@pytest.fixture
def log_lines(monkeypatch) -> LogLines:
    """What mmengine's loggers say during a test, whichever their handlers."""
    from mmengine.logging import MMLogger
    lines, handle = LogLines(), MMLogger.callHandlers

    def record(logger, line):
        lines.append((line.levelname, line.getMessage()))
        handle(logger, line)
    monkeypatch.setattr(MMLogger, 'callHandlers', record)
    return lines


@pytest.fixture
def run_python(tmp_path):
    """Runs Python code in a fresh interpreter that sees the repository; returns the finished process."""
    def run(code: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, '-c', code], cwd=cwd, capture_output=True, text=True, timeout=300,
                              env=environment())
    return run


@pytest.fixture(scope='session')
def trained(tmp_path_factory) -> TrainedRun:
    """A finished run of `tools/train.py`, for tests that only read it."""
    folder = tmp_path_factory.mktemp('trained')
    config = write_config(folder)
    done = run_tool('train.py', config, '--work-dir', folder / 'work')
    return TrainedRun(config, folder / 'work', folder / 'toy', done.stdout + done.stderr)
