"""Signals: training finishes its iteration, saves, and ends with a status of its own; resumed, it is the whole run."""
import ctypes
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from forked_runs import assert_same_state, recorded, start, train
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmseg_vittm.engine.processes.stop_signals import StopSignals, stop_signals
from mmseg_vittm.errors import TrainingStopped

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


@pytest.mark.parametrize('name', [
    'SIGTERM', *(pytest.param(name, marks=pytest.mark.slow) for name in ('SIGUSR1', 'SIGINT'))])
def test_the_iteration_is_finished_and_saved(name, config, whole, tmp_path):
    work = tmp_path / f'stopped_{name}'
    said = last_line(stopped(config, work, sending('before_train_iter', 4, signals=[name])))
    saved = f'{work / "iter_5.pth"} is saved; go on with --resume: '
    assert said.startswith(f'stopped by {name} after iteration 5: {saved}')
    assert said.endswith(f' --work-dir {work} --resume')
    assert sorted(path.name for path in work.glob('iter_*')) == ['iter_4.pth', 'iter_5.pth']  # two are kept
    assert (work / 'last_checkpoint').read_text() == 'iter_5.pth'
    train(config, work, '--resume')
    assert recorded(work) == recorded(whole)
    assert_same_state(work / 'iter_12.pth', whole / 'iter_12.pth')
    assert sorted(path.name for path in work.glob('iter_*')) == ['iter_10.pth', 'iter_12.pth']


def test_a_signal_within_a_validation(config, whole, tmp_path):
    """It is broken off at once, and made up for when the run goes on."""
    work = tmp_path / 'validating'
    said = last_line(stopped(config, work, sending('before_val_iter', 3)))
    assert f'SIGTERM within the validation after iteration 3: {work / "iter_3.pth"} is saved' in said
    done = train(config, work, '--resume').output()
    assert done.count('mIoU: ') == 4  # after 3, 6, 9 and 12
    assert recorded(work) == recorded(whole)
    assert_same_state(work / 'iter_12.pth', whole / 'iter_12.pth')


@pytest.mark.slow
def test_a_signal_within_a_validation_of_the_average(config, tmp_path):
    averaged = config.with_name('averaged.py')
    averaged.write_text(config.read_text() + "custom_hooks.append(dict(type='EMAHook'))\n")
    train(averaged, tmp_path / 'whole')
    stopped(averaged, tmp_path / 'half', sending('before_val_iter', 6))
    train(averaged, tmp_path / 'half', '--resume')
    assert recorded(tmp_path / 'half') == recorded(tmp_path / 'whole')
    assert_same_state(tmp_path / 'half' / 'iter_12.pth', tmp_path / 'whole' / 'iter_12.pth')


@pytest.mark.slow
@pytest.mark.parametrize(('moment', 'done', 'saved'), [
    ('before_save_checkpoint', 3, 4), ('after_train_iter', 11, 12), ('after_train_iter', 0, 1),
    ('before_val_iter', 12, 12)])
def test_other_moments(moment, done, saved, config, whole, tmp_path):
    work = tmp_path / moment
    assert f'after iteration {saved}: ' in last_line(stopped(config, work, sending(moment, done)))
    assert not list(work.glob('.*.part*'))
    done = train(config, work, '--resume').output()
    assert recorded(work) == recorded(whole) and 'mIoU' in done


@pytest.mark.parametrize('moment', ['before_run', pytest.param('before_train', marks=pytest.mark.slow)])
def test_before_the_first_iteration_nothing_is_to_save(moment, config, whole, tmp_path):
    work = tmp_path / 'begun'
    said = last_line(stopped(config, work, sending(moment, 0), before=begin_in(tmp_path)))
    assert said.startswith('stopped by SIGTERM before the first iteration: there is nothing to save: ')
    assert not list(work.rglob('*.pth')) and '--resume' not in said and said.endswith(f'--work-dir {work}')


def begin_in(folder):
    return lambda rank: os.chdir(folder)


@HOOKS.register_module()
class InterruptedInC(Hook):
    """Gets SIGINT twice while its process waits in C code, where Python runs no handler."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 2:
            threading.Thread(target=self._interrupt, daemon=True).start()
            lock, libc = ctypes.create_string_buffer(64), ctypes.CDLL(None)
            for _ in range(2):  # the second waits for ever
                libc.pthread_mutex_lock(lock)

    @staticmethod
    def _interrupt():
        for _ in range(2):
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGINT)


def test_a_second_interrupt_ends_it_at_once(config, whole, tmp_path):
    """Where Python runs no handler, too: `torch.distributed` waits in C code for other processes."""
    path, work = config.with_name('twice.py'), tmp_path / 'twice'
    path.write_text(config.read_text() + "custom_hooks.append(dict(type='InterruptedInC'))\n")
    began = time.monotonic()
    run = start(path, work)
    assert run.wait(60) == [130] and 'ended at once' in run.output() and 'Traceback' not in run.output()
    assert not list(work.glob('iter_3.pth')) and time.monotonic() - began < 50


def test_data_workers_outlive_a_signal_to_the_whole_group(config, whole, tmp_path):
    work = tmp_path / 'group'
    stopped(config, work, sending('before_train_iter', 4, signals=['SIGTERM', 'SIGUSR1', 'SIGINT'], to_group=True),
            '--cfg-options', 'train_dataloader.num_workers=2', 'val_dataloader.num_workers=1', before=own_group)
    train(config, work, '--resume')
    assert recorded(work) == recorded(whole)


@pytest.mark.slow
@pytest.mark.parametrize('more', [dict(moment=moment) for moment in (
    'before_train_iter', 'after_train_iter', 'before_val_iter')], ids=str)
def test_all_processes_stop_after_the_same_iteration(more, config, whole, tmp_path):
    """One of two gets the signal, which saves nothing itself."""
    work = tmp_path / 'two'
    said = stopped(config, work, sending(done=6, rank=1, **more), processes=2)
    after = 6 if 'val' in more['moment'] else 7
    assert f'after iteration {after}: {work / f"iter_{after}.pth"} is saved' in last_line(said)
    assert [list(recorded(work, rank))[-1] for rank in (0, 1)] == [after, after]
    train(config, tmp_path / 'whole', processes=2)
    train(config, work, '--resume', processes=2)
    for rank in (0, 1):
        assert recorded(work, rank) == recorded(tmp_path / 'whole', rank)
    assert_same_state(work / 'iter_12.pth', tmp_path / 'whole' / 'iter_12.pth')


@pytest.mark.slow
def test_accumulated_gradients_come_to_their_step(config, whole, tmp_path):
    accumulating = 'optim_wrapper = dict(accumulative_counts=3)\n'
    path = config.with_name('accumulating.py')
    path.write_text(config.read_text() + accumulating)
    train(path, tmp_path / 'whole')
    said = stopped(path, tmp_path / 'half', sending('before_train_iter', 3))
    assert 'after iteration 6: ' in last_line(said)
    train(path, tmp_path / 'half', '--resume')
    assert_same_state(tmp_path / 'half' / 'iter_12.pth', tmp_path / 'whole' / 'iter_12.pth')


EPOCHS = """
train_dataloader.update(sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True))
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=6, val_interval=2)
default_hooks['checkpoint'].update(by_epoch=True, interval=1)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-6, begin=0, end=6, by_epoch=True)]
log_processor = dict(by_epoch=True)
"""


@pytest.mark.slow
def test_within_an_epoch(config, whole, tmp_path):
    """Of two iterations: stopped within one, killed later, stopped at the end of one, and within another again."""
    path, work = config.with_name('epochs.py'), tmp_path / 'half'
    path.write_text(config.read_text() + EPOCHS)
    train(path, tmp_path / 'whole')
    for at, done, left in ((2, 3, ['epoch_1.pth', 'stopped.pth']), (5, 6, ['epoch_2.pth', 'epoch_3.pth']),
                           (8, 9, ['epoch_3.pth', 'epoch_4.pth', 'stopped.pth'])):
        said = stopped(path, work, sending('before_train_iter', at), *['--resume'] * (done > 3))
        assert f'after iteration {done}: ' in last_line(said)
        assert sorted(path.name for path in work.glob('*.pth')) == left and not list(work.glob('earlier_*'))
    output = train(path, work, '--resume').output()
    assert 'stopped.pth' in output and recorded(work) == recorded(tmp_path / 'whole')
    assert sorted(path.name for path in work.glob('*.pth')) == ['epoch_5.pth', 'epoch_6.pth']
    assert_same_state(work / 'epoch_6.pth', tmp_path / 'whole' / 'epoch_6.pth')


@pytest.mark.slow
def test_going_on_where_the_run_began_from_weights(config, whole, tmp_path):
    """A run that began from weights goes on from its own checkpoint, not from these weights again."""
    weights = next(whole.glob('iter_*.pth'))
    said = stopped(config, tmp_path / 'half', sending('before_train_iter', 4), '--cfg-options', f'load_from={weights}')
    assert last_line(said).endswith('--resume=auto') and 'go on with --resume=auto' in last_line(said)
    output = train(config, tmp_path / 'half', '--cfg-options', f'load_from={weights}', '--resume=auto').output()
    assert f'Resuming from {tmp_path / "half" / "iter_5.pth"}' in output


def test_handlers_are_put_back_and_the_callers_own_stay():
    def own(*_):
        pass
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    earlier = signal.signal(signal.SIGUSR1, own)
    try:
        with stop_signals() as signals, stop_signals() as same:
            assert same is signals and signal.getsignal(signal.SIGUSR1) is own
            assert signal.getsignal(signal.SIGTERM) == signals._note
            with pytest.raises(TrainingStopped, match='SIGTERM before the first iteration'):
                signal.raise_signal(signal.SIGTERM)
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
        assert signal.getsignal(signal.SIGUSR1) is own and signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGUSR1, earlier)


def test_other_threads_leave_signals_alone():
    def train_in_thread():
        with StopSignals():
            seen.append(signal.getsignal(signal.SIGTERM))
    seen = []
    thread = threading.Thread(target=train_in_thread)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


@pytest.mark.slow
def test_without_a_checkpoint_hook_it_says_so(config, whole, tmp_path):
    more = "default_hooks['checkpoint'] = None\n" + sending('before_train_iter', 1)
    assert 'nothing is saved, since the config has no CheckpointHook' in stopped(config, tmp_path / 'none', more)


STOCK = """
import sys
sys.path.insert(0, {tests!r})
import mmseg_vittm
import engine_hooks  # the hook that sends the signal
from mmengine.config import Config
from mmengine.registry import RUNNERS
cfg = Config.fromfile({config!r})
cfg.work_dir = {work!r}
RUNNERS.build(cfg).train()
"""


@pytest.mark.slow
def test_as_mmsegmentations_own_tools_run_it(config, whole, tmp_path, run_python):
    """By `runner_type='StrictRunner'`: the same status, and the log says how to go on."""
    (tmp_path / 'engine_hooks.py').write_text(HOOK)
    path, work = config.with_name('stock.py'), tmp_path / 'work'
    path.write_text(config.read_text() + "custom_hooks = [dict(type='Terminated')]\n")
    done = run_python(STOCK.format(tests=str(tmp_path), config=str(path), work=str(work)))
    said = done.stdout + done.stderr
    assert done.returncode == STATUS and 'Traceback' not in said
    assert f'SIGTERM after iteration 3: {work / "iter_3.pth"} is saved; go on with resume=True' in said


HOOK = """
import os, signal
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Terminated(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 2:
            os.kill(os.getpid(), signal.SIGTERM)
"""
