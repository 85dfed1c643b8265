"""Training with a teacher: resumed bit for bit, checkpoints that are a plain segmentor's, several processes."""
import re
import shutil

import pytest
import torch
from forked_runs import assert_same_state, recorded, start, train, write_random_config
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from teachers import write_teacher
from tool_inside import error_inside, run_inside

from mmseg_vittm.datasets.toy.canvas import CLASSES
from mmseg_vittm.engine.state.changed_settings import compare
from mmseg_vittm.engine.state.saved_settings import settings_of
from mmseg_vittm.errors import CheckpointError
from mmseg_vittm.weights.whole_model import load_model, read_checkpoint

MORE = """
train_cfg.update(max_iters=4, val_interval=4)
"""
AVERAGED = """
custom_hooks.append(dict(type='ProjectorRecorder'))
custom_hooks.append(dict(type='EMAHook', momentum=0.25))
"""
TEXT = Config.pretty_text
FEATURES = ('--cfg-options', 'distillation.features.weight=0.5', 'distillation.ignore_void=True')


@HOOKS.register_module()
class ProjectorRecorder(Hook):
    """Saves a process's projector as it is in the end."""

    def after_train(self, runner):
        model = getattr(runner.model, 'module', runner.model)
        torch.save(model.distillation.projector.state_dict(), f'{runner.work_dir}/projector_{get_rank()}.pt')


@pytest.fixture(scope='module')
def teacher(tmp_path_factory) -> tuple[str, ...]:
    """The option that names a teacher."""
    return ('--teacher', *write_teacher(tmp_path_factory.mktemp('teacher'), classes=CLASSES))


@pytest.fixture(scope='module')
def config(folder):
    """Random in every way, with an average of weights."""
    return write_random_config(folder, MORE + AVERAGED)


@pytest.fixture(scope='module')
def plain(folder):
    """A student's config, which knows of no teacher."""
    return write_random_config(folder, MORE, 'plain.py')


@pytest.fixture(scope='module')
def whole(folder, config, teacher):
    """A run with features that was never stopped; its config is saved as it is, unlike other tests'."""
    train(config, folder / 'whole', *teacher, *FEATURES, before=lambda rank: setattr(Config, 'pretty_text', TEXT))
    return folder / 'whole'


def half_of(whole, folder):
    """A work dir in which only the first half of a run was done."""
    folder.mkdir()
    shutil.copy(whole / 'iter_2.pth', folder)
    (folder / 'last_checkpoint').write_text('iter_2.pth')
    return folder


def test_resumed_bit_for_bit(whole, config, teacher, tmp_path):
    moved = [shutil.copy(path, tmp_path) for path in teacher[1:]]  # the same weights from another place
    run = train(config, half_of(whole, tmp_path / 'work'), '--teacher', *moved, *FEATURES, '--resume')
    assert_same_state(tmp_path / 'work' / 'iter_4.pth', whole / 'iter_4.pth')
    assert 'distillation_projector' in read_checkpoint(str(whole / 'iter_4.pth'))
    assert recorded(tmp_path / 'work') == {number: bits for number, bits in recorded(whole).items() if number > 2}
    assert 'Changed since' not in run.output()


def test_checkpoints_are_a_plain_segmentors(whole, plain, teacher, monkeypatch):
    model = load_model(str(plain), str(whole / 'iter_4.pth'))
    assert set(read_checkpoint(str(whole / 'iter_4.pth'))['state_dict']) == set(model.state_dict())
    assert 'Distilled' not in type(model).__name__
    run_inside(monkeypatch, 'test.py', whole / 'tiny.py', whole / 'iter_4.pth', '--work-dir', whole / 'test',
               '--cfg-options', 'distillation.teacher.checkpoint=gone.pth')
    assert settings_of(dict(distillation=dict(logits=dict(temperature=4))))  # of a test without even its name


def test_losses_and_teacher_are_said(whole, config, teacher):
    said = next(whole.glob('2*/*.log')).read_text()
    assert all(name in said for name in ('decode.loss_ce', 'distill.loss_logits', 'distill.loss_features'))
    assert f'Teacher: {teacher[1]} with {teacher[2]}' in said and 'fp32' in said


def test_without_its_teacher_a_run_is_not_gone_on_with(whole, plain, tmp_path):
    run = start(plain, half_of(whole, tmp_path / 'work'), '--resume')
    assert run.wait() == [2]
    error, = [line for line in run.output().splitlines() if line.startswith('error: ')]
    assert re.search(r'its run had a teacher, and this one has none; give it, --teacher CONFIG CHECKPOINT \(they were '
                     '.*segformer', error)


@pytest.mark.parametrize(('section', 'said'), [
    (dict(features=None), r'distillation.features was .*, is not set'),
    (dict(features=dict(weight=0.5, student=0)), 'distillation.features.student was -1, is 0'),
    (dict(teacher=dict(sha256='b')), r'distillation.teacher.sha256 was a, is b; give those of that run'),
    (None, 'its run had a teacher, and this one has none')])
def test_what_is_not_gone_on_with(section, said):
    def settings(teacher=None, **section):
        return settings_of(dict(distillation=dict(dict(features=dict(weight=0.5)) | section, teacher=dict(
            dict(config='x.py', checkpoint='x.pth', sha256='a'), **(teacher or {})))))
    other = {} if section is None else settings(**section)
    with pytest.raises(CheckpointError, match=said):
        compare(settings(), other, 'iter_2.pth')
    with pytest.raises(CheckpointError, match='its run had no teacher'):
        compare({}, settings(), 'iter_2.pth')
    elsewhere = settings(teacher=dict(config='y.py', checkpoint='y.pth'), logits=dict(temperature=5))
    assert [one.name for one in compare(settings(), elsewhere, 'iter_2.pth')] == ['distillation.logits.temperature']


def test_the_saved_config_names_the_teacher(whole, teacher, tmp_path):
    """It is gone on from as it is; changed settings are said."""
    saved = (whole / 'tiny.py').read_text()
    assert 'sha256' in saved and teacher[2] in saved
    run = train(whole / 'tiny.py', half_of(whole, tmp_path / 'work'), '--resume', '--cfg-options',
                'distillation.logits.temperature=5', 'train_cfg.max_iters=3')
    assert 'distillation.logits.temperature was 2.0, is 5; the new value counts' in run.output()


def test_several_processes_frozen_layers_half_precision(config, teacher, tmp_path):
    train(config, tmp_path, *teacher, '--teacher-dtype', 'bf16', '--amp', *FEATURES, 'train_cfg.max_iters=2',
          'train_cfg.val_interval=2', 'model.backbone.frozen_layers=1', 'model.backbone.with_cp=True', processes=2)
    one, other = (torch.load(tmp_path / f'projector_{rank}.pt') for rank in (0, 1))
    assert all(torch.equal(one[name], other[name]) for name in one) and one['weight'].std() > 0
    saved = read_checkpoint(str(tmp_path / 'iter_2.pth'))['distillation_projector']
    assert torch.equal(saved['weight'], one['weight'])


@pytest.mark.parametrize(('options', 'said'), [
    (('nowhere.py', 'CHECKPOINT'), 'nowhere.py: no such config file'),
    (('CONFIG', 'nowhere.pth'), 'nowhere.pth: no such file; check --teacher CONFIG CHECKPOINT'),
    (('CONFIG', 'CHECKPOINT', '--cfg-options', 'distillation.temperature=3'), 'no setting distillation.temperature'),
    (('CONFIG', 'CHECKPOINT', '--cfg-options', 'distillation.logits.weight=0'), 'the teacher teaches nothing')])
def test_wrong_command_lines(plain, teacher, tmp_path, monkeypatch, capsys, options, said):
    given = [dict(CONFIG=teacher[1], CHECKPOINT=teacher[2]).get(option, option) for option in options]
    error = error_inside(monkeypatch, capsys, 'train.py', plain, '--work-dir', tmp_path / 'work', '--teacher', *given)
    assert said in error and not (tmp_path / 'work').exists()


def test_a_type_for_no_teacher(plain, tmp_path, monkeypatch, capsys):
    error = error_inside(monkeypatch, capsys, 'train.py', plain, '--work-dir', tmp_path, '--teacher-dtype', 'bf16')
    assert 'there is no config and no checkpoint of a teacher; give --teacher CONFIG CHECKPOINT' in error


def test_a_teacher_of_other_classes(plain, tmp_path, monkeypatch, capsys):
    error = error_inside(monkeypatch, capsys, 'train.py', plain, '--work-dir', tmp_path / 'work', '--teacher',
                         *write_teacher(tmp_path))
    assert 'other classes than the student: 4 (sky, road, tree, car), the student 14 (' in error
    assert not (tmp_path / 'work').exists()
