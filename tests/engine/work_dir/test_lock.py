"""One training at a time in a work dir: who holds it is named, and a dead process does not."""
import errno
import fcntl
import json
import logging
import multiprocessing
import os
import re
import resource
import signal
import socket
import time
from collections import OrderedDict
from pathlib import Path

import pytest
from forked_runs import recorded, start, train, write_random_config
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, RUNNERS
from mmseg.visualization import SegLocalVisualizer
from tool_inside import error_inside

from mmseg_vittm.commands.jobs import check_work_dir
from mmseg_vittm.commands.launch import is_main
from mmseg_vittm.engine.work_dir.atomic_files import remove_temporaries
from mmseg_vittm.engine.work_dir.lock import LOCK, hold, holds
from mmseg_vittm.engine.work_dir.run_folder import RunFolder
from mmseg_vittm.errors import InputError, OutputError

SHORT = ('--cfg-options', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2')


@HOOKS.register_module()
class Waits(Hook):
    """Waits in the first iteration until a file is gone."""

    def __init__(self, path):
        self.path = Path(path)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        (self.path.parent / 'waits').touch()
        while self.path.exists():
            time.sleep(0.05)


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return write_random_config(tmp_path_factory.mktemp('lock'))


def wait_for(path: Path, run) -> None:
    until = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < until and run.processes[0].is_alive(), run.output()[-3000:]
        time.sleep(0.05)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*')
            if path.is_file() and 'output_' not in path.name}


def test_a_second_training_is_refused_and_touches_nothing(config, tmp_path, monkeypatch, capsys):
    work, gate = tmp_path / 'work', tmp_path / 'gate'
    gate.touch()
    hook = f"custom_hooks.append(dict(type='Waits', path={str(gate)!r}))"
    first = start(write_random_config(config.parent, hook, 'waits.py'), work, *SHORT)
    wait_for(tmp_path / 'waits', first)
    (work / '.iter_2.0123456789abcdef.part.pth').write_bytes(b'of the first')
    (work / 'iter_1.pth').write_bytes(b'of the first')
    before = snapshot(work)
    for options in ((), ('--resume',), ('--resume=auto',)):
        said = error_inside(monkeypatch, capsys, 'train.py', config, '--work-dir', work, *options, *SHORT)
        assert re.fullmatch(rf'error: {work}: process {first.processes[0].pid} on {socket.gethostname()} is training '
                            'there, since .*; wait until it ends, stop it, or give another --work-dir DIR', said)
        assert snapshot(work) == before
    (work / 'iter_1.pth').unlink()
    gate.unlink()
    assert first.wait() == [0] and list(recorded(work)) == [1, 2] and (work / 'iter_2.pth').exists()
    train(config, work, '--resume', *SHORT)  # it is free again
    assert not list(work.glob('.*.part*'))


def test_two_processes_are_refused_together(config, tmp_path):
    (tmp_path / 'work').mkdir()
    with hold([tmp_path / 'work']):
        run = start(config, tmp_path / 'work', processes=2)
        assert run.wait(120) == [2, 2]
    for rank in (0, 1):
        assert 'is training there' in run.output(rank) and 'Traceback' not in run.output(rank)


def test_before_there_is_a_process_group_the_main_process_alone_locks(tmp_path, monkeypatch):
    """As on GPUs, where the Runner opens the group: both processes pass, and the second makes nothing."""
    monkeypatch.setenv('RANK', '1')
    with hold([tmp_path / 'work'], is_main('pytorch')):
        assert not (tmp_path / 'work').exists()
        monkeypatch.setenv('RANK', '0')
        with hold([tmp_path / 'work'], is_main('pytorch')):
            assert holds(tmp_path / 'work')


def test_the_tools_of_mmsegmentation_have_it_by_the_runner(config, tmp_path, monkeypatch):
    """They build it by its name: `runner_type = 'StrictRunner'`."""
    monkeypatch.setattr(SegLocalVisualizer, '_instance_dict', OrderedDict())
    cfg = Config.fromfile(config)
    cfg.work_dir = str(tmp_path / 'work')
    cfg.train_cfg.update(max_iters=1, val_interval=9)
    (tmp_path / 'work').mkdir()
    (tmp_path / 'work' / 'iter_1.pth').write_text('earlier')
    runner = RUNNERS.build(cfg)
    seen = []
    monkeypatch.setattr(runner, 'load_or_resume', lambda: seen.append(holds(tmp_path / 'work')))
    runner.train()
    assert seen == [True] and not holds(tmp_path / 'work')
    aside, = (tmp_path / 'work').glob('earlier_*')
    assert (aside / 'iter_1.pth').read_text() == 'earlier'


def test_checkpoints_elsewhere_are_held_too(config, tmp_path):
    """Two work dirs of one name whose checkpoints go to one folder."""
    out = tmp_path / 'out'
    with hold([out / 'work']):
        run = start(config, tmp_path / 'a' / 'work', *SHORT, f'default_hooks.checkpoint.out_dir={out}')
        assert run.wait() == [2] and f'{out / "work"}: process {os.getpid()} on' in run.output()
    assert not list(out.rglob('*.pth'))


def hold_and_fork(folder: Path, worker: Path) -> None:
    """Holds a folder until it is killed, as does a process that it forks, like a data worker."""
    with hold([folder]):
        child = os.fork()
        if child:
            worker.write_text(str(child))
        time.sleep(600)


def test_a_killed_process_does_not_hold(tmp_path):
    """Not even while a process lives that it forked."""
    holder = multiprocessing.get_context('fork').Process(target=hold_and_fork, args=(tmp_path, tmp_path / 'worker'))
    holder.start()
    while not (tmp_path / 'worker').exists() or not (tmp_path / 'worker').read_text():
        time.sleep(0.01)
    worker = int((tmp_path / 'worker').read_text())
    try:
        with pytest.raises(InputError, match=f'process {holder.pid} on'), hold([tmp_path]):
            pass
        holder.kill()
        holder.join()
        os.kill(worker, 0)  # it lives
        with hold([tmp_path]):
            assert holds(tmp_path) and json.loads((tmp_path / LOCK).read_text())['process'] == os.getpid()
    finally:
        holder.kill()
        os.kill(worker, signal.SIGKILL)


def test_a_process_holds_again_what_it_holds(tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path / 'work')
    (tmp_path / 'work').mkdir()
    with hold([tmp_path / 'work']):
        with hold([tmp_path / 'link', tmp_path / 'work']):
            assert holds(tmp_path / 'link')
        assert holds(tmp_path / 'work')
        child = multiprocessing.get_context('fork').Process(target=lambda: os._exit(holds(tmp_path / 'work')))
        child.start()
        child.join()
        assert child.exitcode == 0  # the lock is this process's
        with pytest.raises(InputError):
            _in_another_process(tmp_path / 'work')
    assert not holds(tmp_path / 'work')
    _in_another_process(tmp_path / 'work')


def _in_another_process(folder: Path) -> None:
    def try_it():
        try:
            with hold([folder]):
                os._exit(0)
        except InputError:
            os._exit(2)
    child = multiprocessing.get_context('fork').Process(target=try_it)
    child.start()
    child.join()
    if child.exitcode:
        raise InputError('held')


@pytest.mark.parametrize('content', [
    '', '{"process": "x"}', '[]', '[' * 9000, '{"process": 1, "host": "\\u001b[31m\\n"}'])
def test_a_lock_file_that_says_odd_things(tmp_path, content):
    path = tmp_path / LOCK
    path.write_text(content)
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match='is training there') as caught, hold([tmp_path]):
            pass
    assert str(caught.value).isprintable()
    with hold([tmp_path]):
        pass


@pytest.mark.parametrize('number', [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_nothing_can_lock_it_is_a_warning(tmp_path, monkeypatch, log_lines, number):
    def flock(*arguments):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr(fcntl, 'flock', flock)
    with hold([tmp_path]), hold([tmp_path]):
        assert not holds(tmp_path)  # so nothing of another run is removed
    line, = log_lines.of('WARNING')
    assert str(tmp_path) in line and 'cannot lock' in line


def test_what_cannot_be_held_leaves_nothing(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OutputError, match='file'), hold([tmp_path / 'file' / 'work']):
        pass
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, old[1]))
    try:
        with pytest.raises(OutputError, match='File too large'), hold([tmp_path / 'a' / 'b']):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['file']
    with hold([tmp_path / 'a' / 'b']):
        pass


def test_work_dirs_that_cannot_be(tmp_path):
    (tmp_path / 'file').touch()
    (tmp_path / 'work').mkdir()
    for bad in ('file', 'file/work', 'x' * 256, 'work/' + 'x/' * 2030):
        with pytest.raises(OutputError, match='cannot be written'):
            check_work_dir(str(tmp_path / bad))
    check_work_dir(str(tmp_path / 'work' / 'new'))
    assert not list((tmp_path / 'work').iterdir())


def test_folders_of_one_second_are_two(tmp_path):
    assert [RunFolder(None).make(str(tmp_path), '20260101_000000') for _ in range(3)] == [
        '20260101_000000', '20260101_000000_2', '20260101_000000_3']


def test_only_temporaries_of_trainings_are_removed(tmp_path):
    gone = ['.iter_2.0123456789abcdef.part.pth', '.epoch_3.0123456789abcdef.part.pth',
            '.best_mIoU_iter_2.0123456789abcdef.part.pth', '.last_checkpoint.0123456789abcdef.part']
    stay = ['.iter_2_converted.0123456789abcdef.part.safetensors', '.mine.0123456789abcdef.part.pth', 'iter_2.pth',
            '.predictions.0123456789abcdef.part.png', '.iter_x.0123456789abcdef.part.pth']
    for name in (*gone, *stay):
        (tmp_path / name).touch()
    remove_temporaries(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(stay)


@HOOKS.register_module()
class FullDiskOfLogs(Hook):
    """From the second iteration on a log is on a full disk."""

    def __init__(self, log):
        self.log = log

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 1 and self.log == 'scalars':
            path, = Path(runner.log_dir).glob('vis_data/scalars.json')
            path.unlink()
            path.symlink_to('/dev/full')
        elif runner.iter == 1:
            handler, = (one for one in runner.logger.handlers if isinstance(one, logging.FileHandler))
            handler.stream = open('/dev/full', 'w')  # noqa: SIM115


@pytest.mark.parametrize('log', ['scalars', 'text'])
def test_a_log_that_cannot_be_written_is_one_line(config, tmp_path, log):
    work = tmp_path / 'work'
    hook = f"custom_hooks.append(dict(type='FullDiskOfLogs', log='{log}'))"
    run = start(write_random_config(config.parent, hook, 'full.py'), work, *SHORT)
    assert run.wait() == [2], run.output()[-3000:]
    error, = (line for line in run.output().splitlines() if line.startswith('error: '))
    folder, = work.glob('2*')  # one iteration was done: it stays
    assert f'{folder}' in error and 'No space left on device' in error and 'make room' in error
    assert 'Traceback' not in run.output() and 'Logging error' not in run.output()


def test_a_run_that_fails_at_once_leaves_no_folder(config, tmp_path, monkeypatch, capsys):
    for tool in (['train.py', config], ['test.py', config, tmp_path / 'bad.pth']):
        (tmp_path / 'bad.pth').write_bytes(b'bad')
        bad = ['--pretrained', tmp_path / 'bad.pth'] if tool[0] == 'train.py' else []
        said = error_inside(monkeypatch, capsys, *tool, '--work-dir', tmp_path / 'new' / 'work', *bad)
        assert 'bad.pth' in said and [path.name for path in tmp_path.iterdir()] == ['bad.pth']
