"""A student with a teacher: what it loses, what it is taught by, what of it is in its weights."""
import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import ExponentialMovingAverage
from mmengine.runner.checkpoint import get_state_dict
from mmseg.models import SegformerHead
from teachers import CLASSES, HEAD, KINDS, NORM, batch, student, taught, write_teacher

from mmseg_vittm.engine.distillation.hook import check_same_classes
from mmseg_vittm.engine.distillation.options import DistillationOptions, TeacherOptions
from mmseg_vittm.engine.distillation.student import give_teacher
from mmseg_vittm.engine.distillation.teacher import Teacher, without_normalisation
from mmseg_vittm.errors import CheckpointError, InputError
from mmseg_vittm.weights.whole_model import load_model, load_model_weights


def alone(folder, kind: str = 'segformer') -> Teacher:
    return Teacher(TeacherOptions(*write_teacher(folder, kind)), 'cpu')


@pytest.fixture
def losses_of():
    def run(model, data, seed: int = 0):
        torch.manual_seed(seed)
        return model(**model.data_preprocessor(copy.deepcopy(data), True), mode='loss')
    return run


def test_logits_are_those_of_both_as_they_are_used_alone(tmp_path, losses_of):
    """The loss by hand: each model fed by its own preprocessor from the same pixels."""
    model, data = taught(tmp_path, logits=dict(weight=0.5, temperature=3.0)), batch((64, 64), (64, 64))
    found = losses_of(model, data)
    teacher = load_model(str(tmp_path / 'segformer.py'), str(tmp_path / 'segformer.pth'))
    with torch.no_grad():
        theirs = teacher(**teacher.data_preprocessor(copy.deepcopy(data)), mode='tensor')
        plain = student(tmp_path)
        torch.manual_seed(0)
        ours = plain(plain.data_preprocessor(copy.deepcopy(data), True)['inputs'], mode='tensor')
    assert theirs.shape[2:] == (16, 16) and ours.shape[2:] == (8, 8)
    q = (F.interpolate(theirs, (8, 8), mode='bilinear', antialias=True) / 3).softmax(1)
    p = (ours / 3).softmax(1)
    expected = 0.5 * 9 * (q * (q.log() - p.log())).sum(1).mean()
    torch.testing.assert_close(found['distill.loss_logits'].detach(), expected, rtol=1e-3, atol=1e-5)
    assert {'decode.loss_ce', 'distill.loss_logits'} < set(found) and 'distill.loss_features' not in found


def test_the_teacher_sees_pixels_as_it_was_trained_to(tmp_path):
    data = batch((40, 64), (40, 64))
    for kind in ('unet', 'segformer'):
        teacher = alone(tmp_path, kind)
        ours = student(tmp_path)
        inputs = ours.data_preprocessor(copy.deepcopy(data), True)['inputs']
        assert inputs.shape[2:] == (64, 64)
        raw = [image[:, :40] for image in without_normalisation(inputs, ours.data_preprocessor)]
        torch.testing.assert_close(raw, [image.float() for image in data['inputs']], atol=1e-3, rtol=0)
        expected = teacher.model.data_preprocessor(copy.deepcopy(data))['inputs']
        torch.testing.assert_close(teacher.prepare(raw), expected, atol=1e-4, rtol=0)
        assert expected.shape[2:] == ((40, 64) if kind == 'unet' else (64, 64))


def test_images_of_several_sizes_are_padded(tmp_path, losses_of):
    model, data = taught(tmp_path), batch((64, 64), (40, 48))
    teacher = model.distillation.teacher
    assert teacher.prepare([image.float() for image in data['inputs']]).shape == (2, 3, 64, 64)
    assert torch.isfinite(losses_of(model, data)['distill.loss_logits'])


def test_padding_teaches_nothing_and_void_pixels_if_so_asked(tmp_path, losses_of, monkeypatch):
    """What the teacher says where there is no image, or no label, changes the loss only where it may teach."""
    def losses(section, rows):
        model = taught(tmp_path, **section)
        answer = Teacher.__call__

        def other(self, inputs):
            logits, maps = answer(self, inputs)
            logits[:, 0, rows, :2] += 5
            return logits, maps
        before = losses_of(model, data)['distill.loss_logits']
        with monkeypatch.context() as patch:
            patch.setattr(Teacher, '__call__', other)
            return float(before.detach()), float(losses_of(model, data)['distill.loss_logits'].detach())
    data = batch((32, 64))  # 8 of the teacher's 16 rows of cells are image; the void is 2 x 2 of these
    for one in data['data_samples']:
        one.gt_sem_seg.data[:, :16, :16] = 255
    below = losses({}, slice(10, 16))
    assert below[0] == below[1]
    within = losses({}, slice(0, 2))
    assert within[0] != within[1]
    void = losses(dict(ignore_void=True), slice(0, 2))
    assert void[0] == void[1]


@pytest.mark.parametrize('dtype', ['fp32', 'bf16', 'fp16'])
@pytest.mark.parametrize('kind', KINDS)
def test_every_segmentor_teaches_in_every_type(tmp_path, losses_of, kind, dtype):
    model = taught(tmp_path, kind, dtype=dtype, features=dict(weight=2.0))
    found = losses_of(model, batch((64, 64), (64, 64)))
    sum(value for name, value in found.items() if 'loss' in name).backward()
    assert torch.isfinite(found['distill.loss_logits']) and torch.isfinite(found['distill.loss_features'])
    assert all(weight.grad is not None for weight in model.distillation.parameters())
    assert not model.distillation.teacher.model.training
    assert all(weight.grad is None and not weight.requires_grad
               for weight in model.distillation.teacher.model.parameters())


def test_every_segmentor_is_taught(tmp_path, losses_of):
    for kind in ('segformer', 'segnext', 'unet'):
        model = taught(tmp_path, 'vittm', kind, features=dict(student=0, teacher=0))
        found = losses_of(model, batch((64, 64), (64, 64)))
        taught_by = {name: value for name, value in found.items() if name.startswith('distill.')}
        assert set(taught_by) == {'distill.loss_logits', 'distill.loss_features'}
        assert all(torch.isfinite(value) and value > 0 for value in taught_by.values())
        sum(taught_by.values()).backward()
        gradients = [weight.grad for weight in model.backbone.parameters() if weight.grad is not None]
        assert len(gradients) > 5 and all(torch.isfinite(one).all() for one in gradients)
        assert sum(one.abs().sum() for one in gradients) > 0


def small() -> dict:
    model = KINDS['segformer']()
    return dict(model, data_preprocessor=dict(model['data_preprocessor'], size=(62, 62)))


def encoding() -> dict:
    model = KINDS['segformer']()
    return dict(model, decode_head=dict(
        type='EncHead', in_channels=[8, 8, 8], in_index=(0, 1, 2), channels=8, num_codes=4, add_lateral=False,
        norm_cfg=NORM, loss_se_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=0.2), **HEAD))


@pytest.mark.parametrize(('kind', 'said'), [
    (small, r'unet.pth: the teacher cannot see images of 62 x 62 pixels \('),
    (encoding, 'EncHead gives no map of logits when it trains, or several')])
def test_who_cannot_be_taught_is_told_before_the_first_iteration(tmp_path, monkeypatch, kind, said):
    monkeypatch.setitem(KINDS, 'odd', kind)
    with pytest.raises(InputError, match=said) as error:
        taught(tmp_path, 'unet', 'odd')
    assert '\n' not in str(error.value)


def test_losses_that_ask_for_more_than_labels_are_left_to_the_training(tmp_path, monkeypatch):
    def ask(self, *_):
        raise AttributeError('gt_edge_map')
    monkeypatch.setattr(SegformerHead, 'loss_by_feat', ask)
    assert taught(tmp_path, 'vittm', 'segformer').distillation is not None


def test_a_teacher_that_names_no_classes(tmp_path):
    config, checkpoint = write_teacher(tmp_path)
    content = torch.load(checkpoint, weights_only=False)
    torch.save(dict(content, meta={}), checkpoint)
    assert Teacher(TeacherOptions(config, checkpoint), 'cpu').classes == ()


def test_a_checkpoint_of_another_model(tmp_path):
    """Nothing that the student may do with its own is offered."""
    config, checkpoint = write_teacher(tmp_path)[0], write_teacher(tmp_path, 'unet')[1]
    with pytest.raises(CheckpointError, match=r"^the teacher's checkpoint .*unet.pth .* own config$") as error:
        Teacher(TeacherOptions(config, checkpoint), 'cpu')
    assert 'allow_partial' not in str(error.value)


def test_half_precision_of_the_student_is_not_the_teachers(tmp_path, losses_of):
    model = taught(tmp_path)
    data = batch((64, 64))
    inputs = model.distillation.teacher.prepare([image.float() for image in data['inputs']])
    plain, _ = model.distillation.teacher(inputs)
    with torch.autocast('cpu', torch.bfloat16):
        mixed, _ = model.distillation.teacher(inputs)
        assert torch.isfinite(losses_of(model, data)['distill.loss_logits'])
    assert mixed.dtype == torch.float32 and torch.equal(plain, mixed)


def test_the_student_is_the_one_without_a_teacher(tmp_path):
    """The same weights under the same names, and the same random numbers after."""
    plain = student(tmp_path)
    after = torch.rand(1)
    model = taught(tmp_path, features={})
    assert torch.equal(torch.rand(1), after)
    for state in (model.state_dict(), get_state_dict(model), copy.deepcopy(model).state_dict()):
        assert list(state) == list(plain.state_dict())
    assert all(torch.equal(weight, plain.state_dict()[name]) for name, weight in model.state_dict().items())
    load_model_weights(plain, model.state_dict(), 'the student')
    load_model_weights(model, plain.state_dict(), 'the plain one')
    assert model.load_state_dict(plain.state_dict()).missing_keys == []
    projector = {name for name, _ in model.named_parameters()} - {name for name, _ in plain.named_parameters()}
    assert projector == {'distillation.projector.weight', 'distillation.projector.bias'}


def test_averages_share_the_teacher(tmp_path, losses_of):
    model = taught(tmp_path, features={})
    average = ExponentialMovingAverage(model)
    assert average.module.distillation.teacher is model.distillation.teacher
    average.update_parameters(model)
    losses_of(average.module.train(), batch((64, 64)))


def test_checkpointed_gradients_are_the_same(tmp_path, losses_of):
    gradients = []
    for with_cp in (False, True):
        model = taught(tmp_path, features={})
        model.backbone.encoder.with_cp = with_cp
        for block in model.backbone.encoder.blocks:
            block.with_cp = with_cp
        found = losses_of(model, batch((64, 64)))
        (found['distill.loss_logits'] + found['distill.loss_features']).backward()
        gradients.append([weight.grad for weight in model.backbone.parameters()])
    torch.testing.assert_close(*gradients)


def test_a_map_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r'features.student=2.* gives 2 maps'):
        taught(tmp_path, features=dict(student=2))
    with pytest.raises(InputError, match=r'features.teacher=-5.* gives 4 maps'):
        taught(tmp_path, features=dict(teacher=-5))


def test_another_teacher_than_the_one_named(tmp_path):
    config, checkpoint = write_teacher(tmp_path)
    named = dict(config=config, checkpoint=checkpoint)
    known = Teacher(DistillationOptions.of(dict(teacher=named)).teacher, 'cpu').sha256
    Teacher(DistillationOptions.of(dict(teacher=named | dict(sha256=known, dtype='bf16'))).teacher, 'cpu')
    with pytest.raises(CheckpointError, match='not the teacher that the config names'):
        give_teacher(student(tmp_path), DistillationOptions.of(dict(teacher=named | dict(sha256='0' * 64))), 'cpu')


@pytest.mark.parametrize(('names', 'counts', 'said'), [
    (CLASSES, {4}, None), ((), {4}, None), ((), set(), None),
    (('sky', 'road', 'tree', 'bus'), {4}, r'4 \(sky, road, tree, car\), the student 4 \(sky, road, tree, bus\)'),
    (('road', 'sky', 'tree', 'car'), {4}, 'same order'), ((), {7}, r'4 \(sky, .*the student 7'),
    (tuple(f'c{number}' for number in range(150)), {150}, r'the student 150 \(c0, .*c11, \.\.\.\)')])
def test_other_classes_are_named(tmp_path, names, counts, said):
    teacher = alone(tmp_path)
    if said is None:
        check_same_classes(teacher, counts, names)
        return
    with pytest.raises(InputError, match=said) as error:
        check_same_classes(teacher, counts, names)
    assert len(str(error.value)) < 600 and teacher.options.checkpoint in str(error.value)


TEACHER = dict(config='a.py', checkpoint='a.pth')


@pytest.mark.parametrize(('section', 'said'), [
    ({}, 'no config and no checkpoint'), (dict(teacher=dict(config='a.py')), 'no checkpoint'),
    (dict(teacher=TEACHER | dict(dtype='fp8')), 'bf16, fp16, fp32'), (dict(teacher=TEACHER | dict(x=1)), 'has no x'),
    (dict(teacher=TEACHER, logits=dict(temperature=0)), 'above 0'),
    (dict(teacher=TEACHER, logits=dict(weight=-1)), 'from 0 on'),
    (dict(teacher=TEACHER, logits=dict(weight=float('nan'))), 'from 0 on'),
    (dict(teacher=TEACHER, logits=dict(weight=0)), 'teaches nothing'),
    (dict(teacher=TEACHER, features=dict(student='last')), "got 'last'"),
    (dict(teacher=TEACHER, ignore_void='yes'), 'True or False'), (dict(teacher=TEACHER, logits=3), 'must be a dict'),
    (dict(teacher=TEACHER, temperature=3), 'has no temperature')])
def test_wrong_options(section, said):
    with pytest.raises(InputError, match=said):
        DistillationOptions.of(section)
