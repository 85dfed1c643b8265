"""Classes of a user's own: never built on trial, never held to guesses, and free with what they are given."""
import importlib.util
import logging
import runpy

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    FUNCTIONS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIMIZERS,
    TRANSFORMS,
)
from mmengine.runner import IterBasedTrainLoop, ValLoop
from mmseg.datasets import BaseSegDataset
from mmseg.evaluation import CityscapesMetric, IoUMetric
from mmseg.models import EncoderDecoder, FCNHead
from tiny_models import ROOT
from tool_inside import error_inside
from tool_runs import write_config

from mmseg_vittm.backbones import ViTTM
from mmseg_vittm.commands.configs import values
from mmseg_vittm.commands.configs.classes import accepts, takes_kinds
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.launch import is_first_of_node
from mmseg_vittm.commands.trial import model as model_trial
from mmseg_vittm.commands.trial.whole import try_to_build
from mmseg_vittm.errors import InputError


class Built(BaseException):
    """A class of one's own was built on trial."""


def explode(self, *arguments, **keywords):
    raise Built(type(self).__name__)


OWN = {
    'OwnSegmentor': (MODELS, EncoderDecoder), 'OwnBackbone': (MODELS, ViTTM), 'OwnHead': (MODELS, FCNHead),
    'OwnSet': (DATASETS, BaseSegDataset), 'OwnTransform': (TRANSFORMS, object), 'OwnHook': (HOOKS, Hook),
    'OwnSampler': (DATA_SAMPLERS, torch.utils.data.Sampler), 'OwnMetric': (METRICS, IoUMetric),
    'OwnLoop': (LOOPS, ValLoop), 'OwnTrainLoop': (LOOPS, IterBasedTrainLoop), 'OwnOptimizer': (OPTIMIZERS, object),
    'OwnConstructor': (OPTIM_WRAPPER_CONSTRUCTORS, DefaultOptimWrapperConstructor)}


@pytest.fixture(autouse=True)
def own_classes():
    for name, (registry, base) in OWN.items():
        own = type(name, (base, ), dict(__init__=explode, __module__='own_code'))
        registry.register_module(name=name, module=own)
    FUNCTIONS.register_module(name='own_collate', module=lambda batch, more: explode(batch))
    yield
    for name, (registry, _) in OWN.items():
        registry._module_dict.pop(name)
    FUNCTIONS._module_dict.pop('own_collate')


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return str(write_config(tmp_path_factory.mktemp('own')))


@pytest.mark.parametrize('settings', [
    {'model.type': 'mmengine.OwnSegmentor'},
    {'model.backbone': dict(type='mmengine.OwnBackbone', _delete_=True, anything=1)},
    {'model.decode_head': dict(type='mmengine.OwnHead', _delete_=True)},
    {'model.type': 'mmengine.OwnSegmentor', 'model.backbone': dict(_delete_=True, type='FCNHead', stride='auto')},
    {'model.type': 'mmengine.OwnSegmentor', 'model.decode_head': dict(_delete_=True, type='FCNHead', weight=3)},
    {'train_dataloader.dataset': dict(type='OwnSet', data_root='.', _delete_=True)},
    {'train_dataloader.dataset': dict(type='OwnSet', root='.', pipeline=3, _delete_=True)},
    {'train_dataloader.dataset.pipeline': [dict(type='OwnTransform', stride='auto', scale=0, size=-1)]},
    {'train_dataloader.dataset': dict(type='OwnSet', dataset=dict(type='ToyScenes', data_root=3, a=1), _delete_=True)},
    {'load_from': '/gone.pth', 'resume': 'auto'},
    {'train_dataloader.sampler': dict(type='OwnSampler', _delete_=True)},
    {'train_dataloader.collate_fn': dict(type='own_collate', more=1)},
    {'val_evaluator': dict(type='OwnMetric', _delete_=True, prefix='x')},
    {'val_evaluator': dict(type='Evaluator', metrics=[dict(type='OwnMetric')], _delete_=True)},
    {'custom_hooks': [dict(type='OwnHook', own_thing=3)]},
    {'default_hooks.checkpoint2.type': 'OwnHook'},
    {'default_hooks.checkpoint2': dict(type='CheckpointHook', interval=3)},
    {'optim_wrapper': dict(_delete_=True, constructor='OwnConstructor', backbone=dict(type='OptimWrapper', a=1))},
    {'optim_wrapper.optimizer': dict(_delete_=True, type='OwnOptimizer', lr='fast')},
    {'optim_wrapper.optimizer': dict(_delete_=True, type='ZeroRedundancyOptimizer', optimizer_type='Adam')},
    {'optim_wrapper.optimizer.fused': True},
    {'val_cfg': dict(type='OwnLoop'), 'val_dataloader': [dict(batch_size=1)]},
    {'train_cfg': dict(type='OwnTrainLoop', max_iters='all', _delete_=True)},
    {'test_dataloader.dataset.type': 'OwnSet', 'test_dataloader.dataset._delete_': True},
    {'train_cfg.max_iters': 1e5, 'train_cfg.val_interval': 1e3},
    {'train_cfg': dict(type='EpochBasedTrainLoop', max_epochs=3.0, _delete_=True)},
    {'train_dataloader.num_batch_per_epoch': None}, {'log_level': 15},
    {'val_evaluator.output_dir': 'never_made'}, {'model.backbone.frozen_layers': -1},
])
def test_what_may_be_right_is_taken_and_nothing_of_ones_own_is_built(settings, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = load_config(path, settings, job='train')
    try_to_build(cfg, 'train')
    assert list(tmp_path.iterdir()) == []
    assert isinstance(cfg.train_cfg.get('max_epochs', 1), int) and not isinstance(cfg.train_cfg.get('max_iters'), float)


def test_lists_of_dataloaders_are_for_loops_of_ones_own(path):
    with pytest.raises(InputError, match='val_dataloader must be a dict, got'):
        load_config(path, {'val_dataloader': [dict(batch_size=1)]}, job='train')


def test_what_a_test_has_is_not_looked_at_in_training(tmp_path):
    more = "\ntest_evaluator = dict(type='NotWrittenYet')\ntta_model = dict(type='NotWrittenYet')\n"
    path = str(write_config(tmp_path, more=more))
    try_to_build(load_config(path, job='train'), 'train')
    with pytest.raises(InputError, match='no NotWrittenYet is registered'):
        load_config(path, job='test')


def test_a_metric_that_removes_its_folder_is_not_built(path, tmp_path):
    folder = tmp_path / 'results'
    folder.mkdir()
    (folder / 'mine.txt').write_text('mine')
    metric = dict(type=CityscapesMetric.__name__, output_dir=str(folder), _delete_=True)
    try_to_build(load_config(path, {'val_evaluator': metric}, job='train'), 'train')
    assert (folder / 'mine.txt').read_text() == 'mine'


def test_nothing_is_downloaded_or_printed(path, monkeypatch, capsys):
    monkeypatch.setattr('timm.models._builder.load_pretrained', lambda *a, **k: pytest.fail('downloads'))
    built = []
    monkeypatch.setattr(model_trial, 'build_on_meta',
                        lambda build: (print('layers'), built.append(build()), built[-1])[-1])
    backbone = dict(type='TIMMBackbone', model_name='resnet18', features_only=True, pretrained=True,
                    in_channels=3, _delete_=True)
    try_to_build(load_config(path, {'model.backbone': backbone}, job='train'), 'train')
    assert built and capsys.readouterr().out == ''


def test_log_levels_are_those_of_python_3_10(monkeypatch):
    monkeypatch.delattr(logging, 'getLevelNamesMapping', raising=False)
    found = runpy.run_path(values.__file__, run_name=values.__name__)
    assert set(found['LEVELS']) == set(logging._nameToLevel)


class Base:
    def __init__(self, ratio: float = 1.0, shape: int = 'auto', size: int = 3):
        pass


class Kinds(Base):
    def __init__(self, ratio='3:4', **kwargs):
        super().__init__(**kwargs)


class Parent(Base):
    def __init__(self, needs, must, **kwargs):
        super().__init__(**kwargs)


class Skip(Parent):
    def __init__(self, **kwargs):
        super(Parent, self).__init__(**kwargs)


class Named(Base):
    def __init__(self, **kwargs):
        super(Named, self).__init__(**kwargs)  # noqa: UP008  (as OpenMMLab writes it)


def test_annotations_and_constructors_that_are_passed_over():
    assert takes_kinds(Kinds) == {'size': frozenset(['number'])}
    assert accepts(Skip).open and not accepts(Skip).required
    assert accepts(Named) == accepts(Base)


def test_a_value_of_ones_own_in_the_config_is_set_with_a_warning(tmp_path, log_lines):
    path = write_config(tmp_path, more='\nmy_setting = 3\nmy_size = (8, 8)\ncustom_hooks = []\n'
                        "custom_imports = dict(imports=['mmseg_vittm', 'tool_runs'])\n"
                        "model['data_preprocessor']['size'] = my_size\n")
    cfg = load_config(str(path), {'my_setting': 4})
    assert cfg.my_setting == 4
    assert any('only code of your own can read it' in line for line in log_lines.of('WARNING'))
    with pytest.raises(InputError, match='what was made of it is .*model.data_preprocessor.size'):
        load_config(str(path), {'my_size': (4, 4)})
    path = write_config(tmp_path, 'plain.py', more='\nmy_setting = 3\n')
    with pytest.raises(InputError, match='nothing reads my_setting') as caught:
        load_config(str(path), {'my_setting': 4})
    assert 'made of it is' not in str(caught.value)


def test_remedies_fit(path, monkeypatch):
    with pytest.raises(InputError, match='did you mean model.backbone.norm_cfg.type'):
        load_config(str(ROOT / 'configs' / 'peers' / 'segnext_b_ade20k.py'), {'norm_cfg.type': 'BN'})
    with pytest.raises(InputError) as caught:
        load_config(path, {'norm_cfg.type': 'BN'})
    assert 'env_cfg' not in str(caught.value)
    for error, remedy in ((ImportError('no ops'), 'install what it names'),
                          (RuntimeError('Please install mmcv'), 'install what it names'),
                          (ValueError('no'), 'correct its settings')):
        monkeypatch.setattr(model_trial, 'build_on_meta', lambda build, error=error: (_ for _ in ()).throw(error))
        with pytest.raises(InputError, match=remedy):
            try_to_build(load_config(path), 'train')


def test_a_bare_assertion_is_shown(path, tmp_path):
    dataset = dict(type='ChaseDB1Dataset', data_root=str(tmp_path / 'none'), data_prefix=dict(img_path='a'),
                   _delete_=True)
    with pytest.raises(InputError, match='cannot be built .*AssertionError: assert .*exists.*or what they name'):
        try_to_build(load_config(path, {'val_dataloader.dataset': dataset}, job='train'), 'train')


def test_that_mmdet_is_missing_is_said(path):
    pytest.importorskip('mmseg')
    if importlib.util.find_spec('mmdet'):
        pytest.skip('mmdet is here')
    head = dict(type='Mask2FormerHead', enforce_decoder_input_project=False, num_classes=3, _delete_=True)
    with pytest.raises(InputError, match='Mask2FormerHead needs mmdet, which is not installed; install it'):
        load_config(path, {'model.decode_head': head}, job='train')


def test_the_first_process_of_a_machine_alone_tries(monkeypatch):
    assert is_first_of_node('none')
    for launcher, name in (('pytorch', 'LOCAL_RANK'), ('slurm', 'SLURM_LOCALID')):
        monkeypatch.setenv(name, '1')
        assert not is_first_of_node(launcher)
        monkeypatch.setenv(name, '0')
        assert is_first_of_node(launcher)


def test_a_checkpoint_to_begin_with_must_be_there(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for value, said in (('nowhere.pth', 'nowhere.pth: no such file'), (3, 'load_from must be a path, got 3')):
        assert said in error_inside(monkeypatch, capsys, 'train.py', path, '--data-root', str(tmp_path / 'none'),
                                    '--cfg-options', f'load_from={value}')
