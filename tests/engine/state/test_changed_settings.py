"""Resuming under changed settings: what differs is said, and which of both counts is what the training does."""
import json
import re
import shutil

import pytest
import torch
from forked_runs import recorded, start, train, write_random_config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmseg_vittm.engine.state.changed_settings import compare, describe, differences, in_effect
from mmseg_vittm.engine.state.saved_settings import read_settings, settings_of
from mmseg_vittm.errors import CheckpointError
from mmseg_vittm.weights.whole_model import read_checkpoint

MORE = """
custom_hooks.append(dict(type='Probe'))
custom_hooks.append(dict(type='EMAHook', momentum=0.25))
train_cfg.update(max_iters=2, val_interval=2)
optim_wrapper = dict(clip_grad=dict(max_norm=1.0), accumulative_counts=1)
"""
# Of each change: the option, its name in the log, which counts, what the probe sees under the old value and the new.
CHANGES = [
    ('optim_wrapper.optimizer.lr=0.5', 'optim_wrapper.optimizer.lr', 'old', 0.001, 0.5),
    ('optim_wrapper.optimizer.betas=(0.5,0.6)', 'optim_wrapper.optimizer.betas', 'old', [0.9, 0.999], [0.5, 0.6]),
    ('optim_wrapper.optimizer.weight_decay=0.3', 'optim_wrapper.optimizer.weight_decay', 'old', 0.01, 0.3),
    ('optim_wrapper.paramwise_cfg.norm_decay_mult=1.0', 'optim_wrapper.paramwise_cfg.norm_decay_mult', 'old', 0.0, 0.3),
    ('param_scheduler.0.end=7', 'param_scheduler[0].end', 'old', 50, 7),
    ('param_scheduler.0.start_factor=0.5', 'param_scheduler[0].start_factor', 'old', 0.01, 0.5),
    ('param_scheduler.1.power=0.2', 'param_scheduler[1].power', 'old', 0.9, 0.2),
    ('param_scheduler.1.eta_min=0.1', 'param_scheduler[1].eta_min', 'old', 1e-6, 0.1),
    ('randomness.seed=5', 'randomness.seed', 'old', 0, 5),
    ('optim_wrapper.clip_grad.max_norm=0.25', 'optim_wrapper.clip_grad.max_norm', 'new', 1.0, 0.25),
    ('optim_wrapper.accumulative_counts=2', 'optim_wrapper.accumulative_counts', 'new', 1, 2),
    ('optim_wrapper.type=CpuAmpOptimWrapper', 'optim_wrapper.type', 'new', 'OptimWrapper', 'CpuAmpOptimWrapper'),
    ('train_cfg.max_iters=3', 'train_cfg.max_iters', 'new', 2, 3),
    ('train_cfg.val_interval=9', 'train_cfg.val_interval', 'new', 2, 9),
    ('total_batch_size=2', 'total_batch_size', 'new', 4, 2),
    ('train_dataloader.dataset.data_root={root}', 'train_dataloader.dataset.data_root', 'new', '{old}', '{root}'),
    ('train_dataloader.dataset.pipeline.4.prob=0.75', 'train_dataloader.dataset.pipeline[4].prob', 'new', 0.5, 0.75),
    ('model.auxiliary_head.loss_decode.loss_weight=0.5', 'model.auxiliary_head.loss_decode.loss_weight', 'new', 1, 0.5),
    ('model.backbone.drop_path_rate=0.2', 'model.backbone.drop_path_rate', 'new', 0.1, 0.2),
    ('custom_hooks.2.momentum=0.125', 'custom_hooks.EMAHook.momentum', 'new', 0.25, 0.125),
]


def seen(runner) -> dict:
    groups, wrapper = runner.optim_wrapper.optimizer.param_groups, runner.optim_wrapper
    linear, poly = runner.param_schedulers
    dataset = runner.train_dataloader.dataset
    while hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    ema, = (hook for hook in runner.hooks if type(hook).__name__ == 'EMAHook')
    return {
        'optim_wrapper.optimizer.lr': groups[0]['initial_lr'],
        'optim_wrapper.optimizer.betas': groups[0]['betas'],
        'optim_wrapper.optimizer.weight_decay': max(group['weight_decay'] for group in groups),
        'optim_wrapper.paramwise_cfg.norm_decay_mult': min(group['weight_decay'] for group in groups),
        'param_scheduler[0].end': linear.end,
        'param_scheduler[0].start_factor': linear.start_factor,
        'param_scheduler[1].power': poly.power,
        'param_scheduler[1].eta_min': poly.eta_min,
        'randomness.seed': runner.seed,
        'optim_wrapper.clip_grad.max_norm': wrapper.clip_grad_kwargs['max_norm'],
        'optim_wrapper.accumulative_counts': wrapper._accumulative_counts,
        'optim_wrapper.type': type(wrapper).__name__,
        'train_cfg.max_iters': runner.max_iters,
        'train_cfg.val_interval': runner.val_interval,
        'total_batch_size': runner.train_dataloader.batch_size,
        'train_dataloader.dataset.data_root': dataset.data_root,
        'train_dataloader.dataset.pipeline[4].prob': dataset.pipeline.transforms[4].prob,
        'model.auxiliary_head.loss_decode.loss_weight': runner.model.auxiliary_head.loss_decode.loss_weight,
        'model.backbone.drop_path_rate': round(max(
            getattr(module, 'drop_prob', 0.0) or 0.0 for module in runner.model.backbone.modules()), 6),
        'custom_hooks.EMAHook.momentum': ema.ema_model.momentum,
    }


@HOOKS.register_module()
class Probe(Hook):
    """Writes down under which settings an iteration is trained."""
    priority = 'LOWEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        with open(f'{runner.work_dir}/seen.json', 'w') as file:
            json.dump(seen(runner), file)


@pytest.fixture(scope='module')
def half(tmp_path_factory):
    """A config, and a run of it that ended after iteration 2."""
    folder = tmp_path_factory.mktemp('settings')
    config = write_random_config(folder, MORE)
    train(config, folder / 'work')
    return config, folder / 'work', folder / 'toy'


@pytest.fixture
def work(half, tmp_path):
    return shutil.copytree(half[1], tmp_path / 'work')


def said(run) -> list[str]:
    return [line.split('Changed since the checkpoint: ')[1] for line in run.output().splitlines()
            if 'Changed since the checkpoint: ' in line]


def in_the_checkpoint(path) -> dict:
    return read_settings(read_checkpoint(str(path)))


def test_each_change_is_said_and_counts_as_said(half, work, tmp_path):
    config, _, data = half
    root = shutil.copytree(data, tmp_path / 'other')
    before = json.loads((work / 'seen.json').read_text())
    named = {'{root}': str(root), '{old}': str(data)}
    options = [change[0].replace('{root}', str(root)) for change in CHANGES]
    run = train(config, work, '--resume', '--cfg-options', *options)
    lines, after = said(run), json.loads((work / 'seen.json').read_text())
    for _, name, counts, old, new in CHANGES:
        old, new = (named.get(value, value) if isinstance(value, str) else value for value in (old, new))
        line, = (line for line in lines if line.startswith(f'{name} was '))
        assert line.endswith('; the value of the checkpoint counts' if counts == 'old' else '; the new value counts')
        assert before[name] == pytest.approx(old), name
        assert after[name] == pytest.approx(old if counts == 'old' else new), name
    assert len(lines) == len(CHANGES), lines
    assert 'begin a new run from the weights' in run.output()
    # What is saved now is what counted: resumed from there, the same command has nothing to say of what is new by then.
    saved = in_the_checkpoint(work / 'iter_3.pth')
    assert saved['optim_wrapper']['optimizer']['lr'] == 0.001 and saved['param_scheduler'][1]['power'] == 0.9
    assert saved['total_batch_size'] == 2 and saved['optim_wrapper']['type'] == 'CpuAmpOptimWrapper'


def test_what_does_not_matter_is_not_said(half, work, tmp_path):
    config = half[0]
    moved = work.rename(tmp_path / 'moved')
    run = train(config, moved, '--resume', '--cfg-options', 'train_cfg.max_iters=3', 'train_dataloader.num_workers=1',
                'default_hooks.logger.interval=7', 'default_hooks.checkpoint.interval=1', 'log_level=INFO',
                'val_dataloader.num_workers=1', 'default_hooks.pictures.num_val=1')
    assert said(run) == ['train_cfg.max_iters was 2, is 3; the new value counts']


def test_under_another_optimizer_nothing_is_resumed(half, work):
    files = sorted(work.glob('*.pth'))
    run = start(half[0], work, '--resume=auto', '--cfg-options', 'optim_wrapper.optimizer.type=SGD')
    assert run.wait() == [2], run.output()[-3000:]
    error, = (line for line in run.output().splitlines() if line.startswith('error: '))
    assert f'{work / "iter_2.pth"} cannot be resumed from under these settings: ' in error
    assert 'optim_wrapper.optimizer.type was AdamW, is SGD' in error and 'without --resume' in error
    assert sorted(work.glob('*.pth')) == files and list(recorded(work)) == [1, 2]


@pytest.mark.parametrize(('old', 'new', 'said'), [
    (dict(optim_wrapper={}), dict(optim_wrapper=dict(paramwise_cfg=dict(bias_decay_mult=0))), 'paramwise_cfg was not'),
    (dict(param_scheduler=[dict(type='PolyLR')]), dict(param_scheduler=[dict(type='StepLR')]), '[PolyLR], is [StepLR]'),
    (dict(param_scheduler=[dict(type='PolyLR')]), {}, 'param_scheduler was [PolyLR], is not set'),
    (dict(train_cfg=dict(type='IterBasedTrainLoop', max_iters=3)),
     dict(train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=3)), 'type was IterBasedTrainLoop, is Epoch'),
    (settings_of(dict(train_cfg=dict(by_epoch=True))), settings_of(dict(train_cfg=dict(by_epoch=False))),
     'type was EpochBasedTrainLoop, is Iter')])
def test_under_some_settings_nothing_is_resumed(old, new, said):
    with pytest.raises(CheckpointError, match=f'a.pth cannot be resumed .*{re.escape(said)}.*; .*without resume=True'):
        compare(old, new, 'a.pth')


@pytest.mark.parametrize(('old', 'new'), [
    (dict(train_cfg=dict(by_epoch=False, max_iters=3)), dict(train_cfg=dict(type='IterBasedTrainLoop', max_iters=3))),
    (dict(optim_wrapper=dict(paramwise_cfg={})), dict(optim_wrapper={}))])
def test_two_ways_to_say_the_same_go_on(old, new):
    assert not any(one.is_impossible for one in compare(settings_of(old), settings_of(new), 'a.pth'))


@pytest.mark.slow
def test_a_checkpoint_without_settings(half, work):
    """mmengine's own says them by its config, which is read as text, or it cannot be told."""
    checkpoint = read_checkpoint(str(work / 'iter_2.pth'))
    del checkpoint['meta']['settings']
    changed = ['--cfg-options', 'train_cfg.max_iters=3', 'optim_wrapper.optimizer.lr=0.5']
    torch.save(checkpoint, work / 'iter_2.pth')  # its config: 'max_iters = 0', see forked_runs
    run = train(half[0], work, '--resume', *changed)
    assert 'does not say under which settings it was trained' in run.output() and not said(run)
    assert in_the_checkpoint(work / 'iter_3.pth') is None  # nor does this one: the lr is the other run's


def test_the_text_of_a_config_says_the_same_as_its_settings(half):
    from mmengine.config import Config
    cfg = Config.fromfile(half[0])
    told = read_settings(dict(meta=dict(cfg=cfg.pretty_text), random_states=[{}, {}]))
    assert told == json.loads(json.dumps(settings_of(cfg, 2))) and told['total_batch_size'] == 8
    assert 'total_batch_size' not in read_settings(dict(meta=dict(cfg=cfg.pretty_text)))
    assert compare(read_settings(dict(meta=dict(cfg=cfg.pretty_text))), settings_of(cfg, 4), 'a.pth') == []


@pytest.mark.parametrize('text', [
    'import os', 'model = __import__("os").mkdir("evil")', 'model = dict(**1)', 'model = dict([1])',
    'model = open("a", "w")', 'model = f"{print(1)}"', 'model = [x for x in ()]', 'model = ' + '-' * 100_000 + '1',
    'model = ' + '[' * 150 + ']' * 150, 'model = ' + 'a.' * 50_000 + 'a', 'model = dict(' * 90 + '1' + ')' * 90,
    'model = 1\0', 'model = ' + '9' * 9999, 'x ' * 10**6, 'x=[' + '1,' * 10**7 + ']'], ids=range(15))
def test_text_that_is_no_config_is_not_run(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_settings(dict(meta=dict(cfg=text))) is None and not list(tmp_path.iterdir())


@pytest.mark.parametrize('text', ['[' * 100_000, '{"model":' * 500 + '1' + '}' * 500, '3', '[]', '',
                                  '{"model": ' + '9' * 9999, '{"a": "' + 'x' * 10**7 + '"}'], ids=range(7))
def test_settings_that_cannot_be_read(text):
    assert read_settings(dict(meta=dict(settings=text))) is None


def test_values_out_of_a_checkpoint_are_shown_in_one_line():
    nan, hooks = float('nan'), [dict(type='EMAHook')]
    odd = {'model': {'a\n\x1b[31m': '\x1b]0;x\x07' * 999}, 'custom_hooks': 3, 'randomness': [1], 'val_cfg': nan}
    lines = list(describe(compare(odd, {'val_cfg': nan, 'custom_hooks': hooks}, 'a.pth')))
    assert len(lines) == 3 and all(line.isprintable() and len(line) < 700 for line in lines), lines
    many = {'model': {str(number): number for number in range(99)}}
    assert len(list(describe(compare(many, {'model': {}}, 'a.pth')))) == 31


def test_what_is_compared():
    def names(old, new):
        return [str(one) for one in differences(old, new)]
    loss = dict(type='CrossEntropyLoss', loss_weight=1.0)
    assert names(dict(model=dict(loss=loss)), dict(model=dict(loss=dict(type='DiceLoss', eps=1)))) == [
        'model.loss.type was CrossEntropyLoss, is DiceLoss']
    hooks = [dict(type='A'), dict(type='B', x=1)]
    assert names(dict(custom_hooks=hooks), dict(custom_hooks=[dict(type='B', x=2)])) == [
        "custom_hooks.A was {'type': 'A'}, is not set", 'custom_hooks.B.x was 1, is 2']
    assert names(dict(pipeline=[dict(type='A'), dict(type='B')]), dict(pipeline=[dict(type='B')])) == [
        'pipeline was [A, B], is [B]']
    assert names(dict(optim_wrapper={}), dict(optim_wrapper=dict(clip_grad=dict(max_norm=1)))) == [
        'optim_wrapper.clip_grad.max_norm was not set, is 1']
    pretrained = dict(model=dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='a.pth'))))
    assert compare(pretrained, dict(model=dict(backbone={})), 'x.pth') == []  # left out on resuming
    assert [one.old_counts for one in compare(dict(model=dict(backbone={})), pretrained, 'x.pth')] == [True]
    old, new = dict(randomness=dict(seed=1), optim_wrapper={}), dict(randomness=dict(seed=2, deterministic=True))
    assert in_effect(new, compare(old, new, 'x.pth')) == dict(randomness=dict(seed=1, deterministic=True))
    assert new['randomness']['seed'] == 2
