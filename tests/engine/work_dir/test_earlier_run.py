"""What an earlier run left in a work dir: it stays until the new one saves, and is never lost."""
import errno
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from forked_runs import recorded, start, train, write_random_config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmseg_vittm.commands.launch import is_main
from mmseg_vittm.engine.work_dir.earlier_run import CHECKPOINTS, PICTURES, EarlierRun, earlier_folders, set_aside
from mmseg_vittm.errors import OutputError

SHORT = ('--cfg-options', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2')


@HOOKS.register_module()
class FailsAt(Hook):
    """Ends the process in an iteration: with an error, or killed while the first checkpoint is being written."""
    priority = 'LOWEST'

    def __init__(self, at=0, killed_in_saving=False):
        self.at = at
        self.killed_in_saving = killed_in_saving

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.at:
            raise RuntimeError('a crash')

    def before_save_checkpoint(self, runner, checkpoint):
        if self.killed_in_saving:
            os.kill(os.getpid(), 9)


def leave_a_run(work: Path) -> dict[str, str]:
    """What a run leaves, by name; the content says the name."""
    (work / 'pictures').mkdir(parents=True)
    names = ('iter_8.pth', 'iter_2.pth', 'best_mIoU_iter_8.pth', 'last_checkpoint', 'pictures/iter_1.png', 'tiny.py')
    for name in names:
        (work / name).write_text(name)
    return files_of(work)


def files_of(work: Path) -> dict[str, str]:
    """What users and runs keep in a work dir, apart from logs and what the tests put there."""
    return {str(path.relative_to(work)): path.read_text(errors='replace')[:40] for path in sorted(work.rglob('*'))
            if path.is_file() and not re.match(r'\d{8}_|output_|losses_|\.lock', str(path.relative_to(work)))}


@pytest.mark.parametrize('options', [
    ['--pretrained', 'typo.pth'], ['--cfg-options', 'model.backbone.type=NoSuchBackbone'],
    ['--cfg-options', 'load_from=typo.pth'], []], ids=['pretrained', 'config', 'load_from', 'crash'])
def test_a_run_that_cannot_start_leaves_it(config, tmp_path, options):
    work = tmp_path / 'work'
    before = leave_a_run(work)
    if not options:
        config = write_random_config(config.parent, "custom_hooks.append(dict(type='FailsAt', at=1))", 'crashes.py')
    run = start(config, work, *options)
    assert run.wait() != [0]
    assert files_of(work) == before, run.output()[-3000:]
    assert not list(work.glob('2*')) and not (work / '.lock').exists()  # nor are there logs of nothing


def test_it_makes_way_at_the_first_save(config, tmp_path):
    work = tmp_path / 'work'
    leave_a_run(work)
    run = train(config, work, *SHORT)
    aside, = work.glob('earlier_*')
    assert files_of(aside) == {name: name for name in ('iter_8.pth', 'iter_2.pth', 'best_mIoU_iter_8.pth', 'tiny.py',
                                                       'last_checkpoint', 'pictures/iter_1.png')}
    assert f'The checkpoints of an earlier run were moved to {aside}' in run.output()
    assert [path.name for path in work.glob('*.pth')] == ['iter_2.pth']
    assert [path.name for path in (work / 'pictures').iterdir()] == ['iter_2.png']
    assert (work / 'last_checkpoint').read_text() == 'iter_2.pth' and 'iter_8.pth, stay until' in run.output()


def test_pictures_of_a_run_that_saves_later_are_not_mixed(config, tmp_path):
    """A validation before the first save moves the earlier pictures alone; without a save the checkpoints stay."""
    work = tmp_path / 'work'
    leave_a_run(work)
    train(config, work, '--cfg-options', 'train_cfg.max_iters=1', 'train_cfg.val_interval=1',
          'default_hooks.checkpoint.interval=-1', 'default_hooks.checkpoint.save_last=False')
    aside, = work.glob('earlier_*')
    assert files_of(aside) == {'pictures/iter_1.png': 'pictures/iter_1.png'}
    assert (work / 'iter_8.pth').read_text() == 'iter_8.pth' and (work / 'best_mIoU_iter_8.pth').exists()
    assert (work / 'pictures' / 'iter_1.png').stat().st_size > 1000


def test_a_kill_between_the_move_and_the_save_loses_nothing(config, tmp_path):
    work = tmp_path / 'work'
    train(config, work, *SHORT)
    bits = recorded(work)
    fatal = write_random_config(config.parent, "custom_hooks.append(dict(type='FailsAt', killed_in_saving=True))",
                                'fatal.py')
    killed = start(fatal, work, *SHORT)
    assert killed.wait() == [-9]
    aside, = work.glob('earlier_*')
    assert not list(work.glob('*.pth'))
    run = start(config, work, '--resume')
    assert run.wait() == [2]
    error, = (line for line in run.output().splitlines() if line.startswith('error: '))
    assert f'in {aside} (newest: iter_2.pth)' in error and f'load_from={aside / "iter_2.pth"} with --resume' in error
    # As it says; and --resume=auto begins the killed run anew, and says what is there.
    more = ['--cfg-options', 'train_cfg.max_iters=3', 'train_cfg.val_interval=3']
    train(config, tmp_path / 'other', '--resume', *more, f'load_from={aside / "iter_2.pth"}')
    assert list(recorded(tmp_path / 'other')) == [3]
    (work / 'losses_0.txt').unlink()
    auto = train(config, work, '--resume=auto', *SHORT).output()
    assert f'in {aside} (newest: iter_2.pth)' in auto and 'begins anew' in auto and recorded(work) == bits
    assert list(work.glob('earlier_*/*.pth')) == [aside / 'iter_2.pth']


def test_resuming_from_elsewhere_deletes_nothing_here(config, tmp_path):
    """The numbers of the checkpoints to delete are the resumed run's; here they are another's."""
    elsewhere, work = tmp_path / 'elsewhere', tmp_path / 'work'
    train(config, elsewhere, '--cfg-options', 'train_cfg.max_iters=4', 'default_hooks.checkpoint.max_keep_ckpts=-1')
    leave_a_run(work)
    train(config, work, '--resume', '--cfg-options', f'load_from={elsewhere / "iter_4.pth"}', 'train_cfg.max_iters=5',
          'default_hooks.checkpoint.max_keep_ckpts=1')
    assert sorted(path.name for path in elsewhere.glob('*.pth')) == ['iter_2.pth', 'iter_4.pth']
    aside, = work.glob('earlier_*')
    assert (aside / 'iter_2.pth').read_text() == 'iter_2.pth' and (aside / 'iter_8.pth').exists()
    assert [path.name for path in work.glob('*.pth')] == ['iter_5.pth']


@pytest.mark.slow
def test_what_came_after_the_checkpoint_gone_back_to_makes_way(config, tmp_path):
    """Else it would be overwritten as the run reaches it, and until then be what --resume goes on from."""
    work = tmp_path / 'work'
    train(config, work, '--cfg-options', 'train_cfg.max_iters=6', 'train_cfg.val_interval=6',
          'default_hooks.checkpoint.max_keep_ckpts=-1')
    bits = recorded(work)
    (work / 'losses_0.txt').unlink()
    train(config, work, '--resume', '--cfg-options', f'load_from={work / "iter_2.pth"}', 'train_cfg.max_iters=3',
          'train_cfg.val_interval=3', 'default_hooks.checkpoint.max_keep_ckpts=-1')
    aside, = work.glob('earlier_*')
    assert sorted(path.name for path in aside.iterdir()) == ['iter_4.pth', 'iter_6.pth']
    assert sorted(path.name for path in work.glob('*.pth')) == ['iter_2.pth', 'iter_3.pth']
    assert recorded(work) == {3: bits[3]}


@pytest.mark.slow
def test_a_folder_of_the_checkpoints_own(config, tmp_path):
    """`out_dir`, stock `CheckpointHook`, another name: it all makes way, and is resumed from."""
    work, out = tmp_path / 'work', tmp_path / 'out'
    (out / 'work').mkdir(parents=True)
    (out / 'work' / 'step_000002.pth').write_text('earlier')
    options = [*SHORT, f'default_hooks.checkpoint.out_dir={out}', 'default_hooks.checkpoint.type=CheckpointHook',
               "default_hooks.checkpoint.filename_tmpl='step_{:06d}.pth'"]
    train(config, work, *options)
    aside, = out.glob('work/earlier_*')
    assert (aside / 'step_000002.pth').read_text() == 'earlier'
    assert [path.name for path in out.glob('work/*.pth')] == ['step_000002.pth']
    run = train(config, work, '--resume', *options, 'train_cfg.max_iters=3', 'train_cfg.val_interval=3')
    assert 'step_000002.pth' in run.output() and 3 in recorded(work) and len(list(out.glob('work/earlier_*'))) == 1


def test_the_main_process_is_known_before_there_is_a_group(monkeypatch):
    for launcher, name in (('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID'), ('mpi', 'OMPI_COMM_WORLD_RANK')):
        for rank in ('0', '1', '7'):
            monkeypatch.setenv(name, rank)
            assert is_main(launcher) == (rank == '0') and is_main('none')


def test_two_processes_move_once(config, tmp_path):
    work = tmp_path / 'work'
    leave_a_run(work)
    run = train(config, work, *SHORT, processes=2)
    aside, = work.glob('earlier_*')
    assert (aside / 'iter_2.pth').read_text() == 'iter_2.pth' and 'were moved to' not in run.output(1)


def test_names_never_collide(tmp_path, monkeypatch):
    monkeypatch.setattr('time.strftime', lambda form, *more: '20260101_000000')

    def leave_and_move(number):
        (tmp_path / f'iter_{number}.pth').write_text('x')
        return set_aside(tmp_path, [f'iter_{number}.pth'])
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(leave_and_move, range(40)))
    assert len(set(made)) == 40 and all(len(list(folder.iterdir())) == 1 for folder in made)
    assert [path.name for path in earlier_folders([tmp_path, tmp_path / 'none'])][::39] == [
        'earlier_20260101_000000_40', 'earlier_20260101_000000']
    assert set_aside(tmp_path, CHECKPOINTS) is None


def test_where_one_cannot_be_moved_all_are_back(tmp_path, monkeypatch):
    before = leave_a_run(tmp_path)
    real = Path.rename

    def fail(path, target):
        if path.name == 'iter_8.pth' and 'earlier' in str(target):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return real(path, target)
    monkeypatch.setattr(Path, 'rename', fail)
    with pytest.raises(OutputError, match='Device or resource busy'):
        set_aside(tmp_path, CHECKPOINTS, ['tiny.py', 'none.py'])
    assert files_of(tmp_path) == before and not list(tmp_path.glob('earlier_*'))


def test_pictures_and_checkpoints_share_a_folder(tmp_path):
    leave_a_run(tmp_path)
    earlier = EarlierRun()
    aside = earlier.make_way(tmp_path, PICTURES)
    assert earlier.make_way(tmp_path, PICTURES) is None
    assert earlier.make_way(tmp_path, CHECKPOINTS, ['tiny.py']) == aside and len(files_of(aside)) == 6
    (tmp_path / 'iter_1.pth').touch()  # of the run itself
    assert earlier.make_way(tmp_path, CHECKPOINTS) is None and (tmp_path / 'iter_1.pth').exists()
    assert EarlierRun(stays=True).make_way(tmp_path, CHECKPOINTS) is None
