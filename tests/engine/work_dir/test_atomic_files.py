"""Saving: whole files or none, and always one checkpoint that is whole."""
import errno
import os
import resource
import signal

import pytest
from forked_runs import recorded, start, train, write_random_config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import CheckpointLoader

from mmseg_vittm.engine.work_dir.atomic_files import remove_temporaries, write_atomically
from mmseg_vittm.errors import CheckpointError
from mmseg_vittm.outputs import PARTIAL
from mmseg_vittm.weights.whole_model import read_checkpoint


@HOOKS.register_module()
class FullDisk(Hook):
    """From an iteration on no file of this process may grow above 100 KB."""

    def __init__(self, at):
        self.at = at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.at:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize('call', ['fsync', 'replace'])
def test_a_failed_write_leaves_the_earlier_file(tmp_path, monkeypatch, call, number):
    path = tmp_path / 'iter_2.pth'
    write_atomically(path, b'earlier')

    def fail(*arguments):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(CheckpointError, match=f'iter_2.pth: not saved.*{os.strerror(number)}.*resume=True') as caught:
        write_atomically(path, b'later')
    assert '\n' not in str(caught.value)
    assert path.read_bytes() == b'earlier' and list(tmp_path.iterdir()) == [path]


def test_file_and_folder_are_synchronised(tmp_path, monkeypatch):
    steps = []
    for name in ('fsync', 'replace'):
        real = getattr(os, name)

        def record(*arguments, name=name, function=real):
            inside = os.path.basename(os.readlink(f'/proc/self/fd/{arguments[0]}')) if name == 'fsync' else ''
            steps.append((name, inside.replace(inside[3:-9] if PARTIAL in inside else '\n', '')))
            return function(*arguments)
        monkeypatch.setattr(os, name, record)
    write_atomically(tmp_path / 'new' / 'a.pth', b'x')
    assert steps == [('fsync', '.a..part.pth'), ('replace', ''), ('fsync', 'new')]


@pytest.mark.parametrize('call', ['fsync', 'replace'])
def test_killed_while_writing(tmp_path, call):
    path = tmp_path / 'iter_2.pth'
    write_atomically(path, b'earlier')
    child = os.fork()
    if child == 0:
        setattr(os, call, lambda *arguments: os.kill(os.getpid(), signal.SIGKILL))
        write_atomically(path, b'later')
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert path.read_bytes() == b'earlier' and len(list(tmp_path.iterdir())) == 2
    remove_temporaries(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_folder_is_one_line(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(CheckpointError, match='not saved'):
        write_atomically(tmp_path / 'file' / 'iter_2.pth', b'x')


def test_full_disk(tmp_path):
    config = write_random_config(tmp_path, "default_hooks['checkpoint'].update(max_keep_ckpts=1)\n"
                                 "custom_hooks.append(dict(type='FullDisk', at=5))\n")
    failed = start(config, tmp_path / 'work')
    assert failed.wait() == [2]
    errors = [line for line in failed.output().splitlines() if line.startswith('error: ')]
    assert len(errors) == 1 and 'iter_6.pth: not saved' in errors[0] and 'Traceback' not in failed.output()
    assert [path.name for path in (tmp_path / 'work').glob('*.pth')] == ['iter_4.pth']
    assert not list((tmp_path / 'work').glob('.*.part*'))
    config = write_random_config(tmp_path, name='roomy.py')
    train(config, tmp_path / 'work', '--resume')
    train(config, tmp_path / 'whole')
    assert recorded(tmp_path / 'work') == recorded(tmp_path / 'whole')


def test_best_checkpoints_and_a_moved_work_dir(tmp_path):
    """The best one follows the work dir; the copy left behind is not touched; only tensors and plain data in it."""
    config = write_random_config(tmp_path, "train_cfg.update(val_interval=2)\n"
                                 "default_hooks['checkpoint'].update(save_best='mIoU', max_keep_ckpts=1)\n")
    old, new = tmp_path / 'old', tmp_path / 'new'
    train(config, old, '--cfg-options', 'train_cfg.max_iters=4')
    best = read_checkpoint(str(old / 'iter_4.pth'))['message_hub']['runtime_info']['best_ckpt']
    assert [path.name for path in old.glob('best_*')] == [os.path.basename(best)]
    old.rename(new)
    old.mkdir()
    (old / os.path.basename(best)).write_text('somebody else put this here')
    train(config, new, '--resume')
    assert len(list(new.glob('best_*'))) == 1 and len(list(new.glob('iter_*'))) == 1
    assert (old / os.path.basename(best)).read_text() == 'somebody else put this here'
    stock = CheckpointLoader.load_checkpoint(str(new / 'iter_12.pth'), map_location='cpu')
    assert set(stock['random_states'][0]) == {'python', 'numpy', 'torch', 'cuda'}
    assert read_checkpoint(str(new / 'iter_12.pth'))['data_position']['samples'] == 48
