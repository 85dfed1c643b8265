"""Resuming: the same losses bit for bit, from the newest checkpoint that is whole."""
import shutil

import pytest
import torch
from forked_runs import assert_same_state, recorded, start, train, write_random_config
from mmengine.dataset import BaseDataset

from mmseg_vittm.engine.work_dir.resume import checkpoints_in, why_not_resumable
from mmseg_vittm.weights.whole_model import read_checkpoint

HALF = ('--cfg-options', 'train_cfg.max_iters=6')
WORKERS = ('--cfg-options', 'train_dataloader.num_workers=2', 'train_dataloader.persistent_workers=True')
AVERAGED = "custom_hooks.append(dict(type='EMAHook', ema_type='StochasticWeightAverage'))\n"
NO_SEED = 'randomness = dict(seed=None)\n'


@pytest.fixture(scope='module')
def interrupted(folder, config):
    """The run that ended after iteration 6, with checkpoints of iterations 4 and 6."""
    train(config, folder / 'interrupted', *HALF)
    return folder / 'interrupted'


@pytest.fixture
def work(interrupted, tmp_path):
    """A copy of the interrupted run, in another place."""
    return shutil.copytree(interrupted, tmp_path / 'work')


def assert_same_run(work, whole):
    assert len(recorded(whole)) == 12 and recorded(work) == recorded(whole)
    assert_same_state(work / 'iter_12.pth', whole / 'iter_12.pth')


def test_same_bits_on_one_process(config, whole, work):
    assert recorded(work) == dict(list(recorded(whole).items())[:6])
    train(config, work, '--resume')
    assert_same_run(work, whole)


def test_same_bits_with_workers(config, whole, work):
    train(config, work, '--resume', *WORKERS)  # and without them before
    assert_same_run(work, whole)


@pytest.mark.slow
@pytest.mark.parametrize('more', [AVERAGED, NO_SEED], ids=['averaged', 'no_seed'])
def test_same_bits_of_other_configs(more, folder, whole, tmp_path):  # `whole` draws the data
    shutil.copytree(folder / 'toy', tmp_path / 'toy')
    config = write_random_config(tmp_path, more)
    run = train(config, tmp_path / 'whole')
    if more == NO_SEED:  # it draws one: the other run gets the same by its checkpoint
        shutil.copytree(tmp_path / 'whole', tmp_path / 'half')
        (tmp_path / 'half' / 'iter_12.pth').unlink()
        (tmp_path / 'half' / 'losses_0.txt').unlink()
        train(config, tmp_path / 'half', '--resume')
        assert recorded(tmp_path / 'half') == dict(list(recorded(tmp_path / 'whole').items())[10:]), run.output()
        return
    train(config, tmp_path / 'half', *HALF)
    train(config, tmp_path / 'half', '--resume')
    assert_same_run(tmp_path / 'half', tmp_path / 'whole')


@pytest.mark.slow
def test_same_bits_in_bfloat16(config, tmp_path):
    train(config, tmp_path / 'whole', '--amp')
    train(config, tmp_path / 'half', '--amp', *HALF)
    train(config, tmp_path / 'half', '--amp', '--resume')
    assert_same_run(tmp_path / 'half', tmp_path / 'whole')


def test_same_bits_on_two_processes(config, tmp_path):
    whole, half = tmp_path / 'whole', tmp_path / 'half'
    train(config, whole, processes=2)
    train(config, half, *HALF, processes=2)
    train(config, half, '--resume', processes=2)
    for rank in (0, 1):
        assert recorded(half, rank) == recorded(whole, rank) and len(recorded(half, rank)) == 12
    assert_same_state(half / 'iter_12.pth', whole / 'iter_12.pth')
    done = train(config, half, '--resume', '--cfg-options', 'train_cfg.max_iters=13')  # on one
    assert 'not bit for bit' in done.output() and len(recorded(half)) == 13
    assert len(read_checkpoint(str(half / 'iter_12.pth'))['random_states']) == 2


def test_another_number_of_processes(config, work):
    """The data go on where they were; drop path draws otherwise, which is said."""
    done = train(config, work, '--resume', processes=2)
    assert 'not bit for bit' in done.output() and sorted(recorded(work)) == list(range(1, 13))
    assert read_checkpoint(str(work / 'iter_12.pth'))['data_position']['samples'] == 12 * 4


def test_passes_over_what_is_not_whole(config, whole, work):
    newest = work / 'iter_6.pth'
    newest.write_bytes(newest.read_bytes()[:-1000])
    weights = read_checkpoint(str(work / 'iter_4.pth'))
    torch.save(dict(state_dict=weights['state_dict'], meta=dict(iter=8, epoch=0)), work / 'iter_8.pth')
    (work / 'iter_10.pth').touch()
    (work / '.iter_12.0123.part.pth').write_bytes(b'half a checkpoint')
    (work / 'last_checkpoint').write_text('/some/other/machine/iter_10.pth')
    done = train(config, work, '--resume').output()
    for name in ('iter_6.pth', 'iter_8.pth', 'iter_10.pth'):
        assert any('Passed over' in line and name in line for line in done.splitlines())
    assert 'weights only' in done and 'iter: 4' in done
    assert not list(work.glob('.*.part*')) and (work / 'last_checkpoint').read_text() == 'iter_12.pth'
    assert_same_run(work, whole)


def test_bytes_that_changed_are_noticed(work):
    path = work / 'iter_6.pth'
    assert why_not_resumable(path) is None
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1  # inside some tensor: torch loads it
    path.write_bytes(damaged)
    assert 'damaged' in why_not_resumable(path) or 'cannot be loaded' in why_not_resumable(path)


def test_a_checkpoint_of_mmengines_own(config, work):
    """Without random states and position: it goes on, and says that not every bit will be the same."""
    checkpoint = read_checkpoint(str(work / 'iter_6.pth'))
    del checkpoint['random_states'], checkpoint['data_position']
    torch.save(checkpoint, work / 'iter_6.pth')
    done = train(config, work, '--resume', '--cfg-options', 'train_cfg.max_iters=7').output()
    assert 'iter: 6' in done and 'not bit for bit' in done
    assert read_checkpoint(str(work / 'iter_7.pth'))['data_position']['samples'] == 28


def test_a_run_killed_in_its_last_validation_is_scored(config, work):
    done = train(config, work, '--resume', *HALF).output()
    assert 'mIoU' in done and len(recorded(work)) == 6


def test_without_last_checkpoint(config, work):
    (work / 'last_checkpoint').unlink()
    assert 'iter: 6' in train(config, work, '--resume', '--cfg-options', 'train_cfg.max_iters=7').output()


@pytest.mark.parametrize('damage', [False, True])
def test_nothing_to_resume(config, work, damage):
    for path in work.glob('iter_*.pth'):
        path.write_bytes(b'') if damage else path.unlink()
    run = start(config, work, '--resume', *HALF)
    assert run.wait() == [2]
    errors = [line for line in run.output().splitlines() if line.startswith('error: ')]
    assert len(errors) == 1 and str(work) in errors[0] and 'Traceback' not in run.output()
    done = train(config, work, '--resume=auto', *HALF).output()
    assert 'begins anew' in done and recorded(work).keys() == set(range(1, 7))
    assert bool(list(work.glob('earlier_*/iter_6.pth'))) == damage


def test_two_processes_end_together_where_nothing_is_to_resume(config, tmp_path):
    run = start(config, tmp_path / 'work', '--resume', processes=2)
    assert run.wait(60) == [2, 2] and 'no whole checkpoint' in run.output(0)


def test_newest_is_by_number(tmp_path):
    for name in ('iter_2.pth', 'iter_10.pth', 'iter_9.pth', 'best_mIoU_iter_12.pth', '.iter_14.0123.part.pth',
                 'epoch_x.pth'):
        (tmp_path / name).touch()
    assert [path.name for path in checkpoints_in([tmp_path, tmp_path / 'none'])] == [
        'iter_10.pth', 'iter_9.pth', 'iter_2.pth']


def test_resuming_at_80_000_loads_nothing_of_what_came_before(config, work):
    checkpoint = read_checkpoint(str(work / 'iter_6.pth'))
    checkpoint['meta']['iter'] = 80000
    checkpoint['data_position']['samples'] = 4 * 80000
    (work / 'again').mkdir()
    torch.save(checkpoint, work / 'again' / 'iter_80000.pth')
    loaded = work / 'loaded.txt'

    def note_what_is_loaded(rank):
        prepare = BaseDataset.prepare_data

        def prepare_and_note(dataset, index):
            with open(loaded, 'a') as file:
                file.write('validation\n' if dataset.test_mode else 'training\n')
            return prepare(dataset, index)
        BaseDataset.prepare_data = prepare_and_note
    train(config, work / 'again', '--resume', '--cfg-options', 'train_cfg.max_iters=80001', before=note_what_is_loaded)
    assert list(recorded(work / 'again')) == [80001]
    assert loaded.read_text().splitlines().count('training') == 4  # a batch
