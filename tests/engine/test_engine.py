"""The parts of the engine that no tool run shows."""
import ctypes

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, Runner

from mmseg_vittm.commands.configs import check_data
from mmseg_vittm.engine import MeanLossHook, launch, mean_loss_hook
from mmseg_vittm.engine.amp import use_amp
from mmseg_vittm.engine.runner import StrictRunner
from mmseg_vittm.errors import CheckpointError, InputError
from mmseg_vittm.weights.mmengine_loader import use_safe_loader
from mmseg_vittm.weights.whole_model import read_checkpoint


def ade20k(root) -> Config:
    prefix = dict(img_path='images/training', seg_map_path='annotations/training')
    return Config(dict(train_dataloader=dict(dataset=dict(type='ADE20KDataset', data_root=str(root),
                                                          data_prefix=prefix))))


def test_data_is_checked_before_anything_starts(tmp_path):
    with pytest.raises(InputError, match='images/training: no such folder'):
        check_data(ade20k(tmp_path), ('train_dataloader',))
    inner = tmp_path / 'ADEChallengeData2016'
    for folder in ('images', 'annotations'):
        (inner / folder / 'training').mkdir(parents=True)
    with pytest.raises(InputError, match='Did you mean --data-root .*ADEChallengeData2016'):
        check_data(ade20k(tmp_path), ('train_dataloader',))
    (inner / 'images' / 'training' / 'a.jpg').touch()
    with pytest.raises(InputError, match='annotations/training: the folder is empty'):
        check_data(ade20k(inner), ('train_dataloader',))
    (inner / 'annotations' / 'training' / 'a.png').touch()
    check_data(ade20k(inner), ('train_dataloader', 'val_dataloader'))  # the config has no val_dataloader: not read


def test_losses_are_means_over_processes(monkeypatch):
    outputs = dict(loss=torch.tensor(2.0, requires_grad=True), acc=torch.tensor([4.0]), note='text')
    hook = MeanLossHook()
    hook.after_train_iter(None, 0, outputs=outputs)
    assert outputs['loss'].requires_grad  # alone, nothing is touched

    def all_reduce(values, op):
        assert op == 'mean'
        values += 1  # as if the other process had 2 more
    monkeypatch.setattr(mean_loss_hook, 'get_world_size', lambda: 2)
    monkeypatch.setattr(mean_loss_hook, 'all_reduce', all_reduce)
    hook.after_train_iter(None, 0, outputs=outputs)
    assert float(outputs['loss']) == 3 and float(outputs['acc']) == 5 and outputs['note'] == 'text'


def test_amp_by_device(monkeypatch):
    for gpu, kind in ((True, 'AmpOptimWrapper'), (False, 'CpuAmpOptimWrapper')):
        monkeypatch.setattr('torch.cuda.is_available', lambda gpu=gpu: gpu)
        cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1))))
        use_amp(cfg)
        use_amp(cfg)  # twice changes nothing
        assert cfg.optim_wrapper.type == kind and ('loss_scale' in cfg.optim_wrapper) == gpu
    with pytest.raises(InputError, match='ApexOptimWrapper'):
        use_amp(Config(dict(optim_wrapper=dict(type='ApexOptimWrapper'))))


def test_gpus_and_slurm_are_left_to_mmengine(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setenv('RANK', '0')
    cfg = Config(dict(model=dict()))
    launch.prepare_launch(cfg, 'pytorch')
    assert cfg.launcher == 'pytorch' and 'model_wrapper_cfg' not in cfg
    assert not launch.keep_freed_memory()


def test_freed_memory(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    calls = []
    library = type('Library', (), {'mallopt': staticmethod(lambda *option: calls.append(option) or 1)})
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: library)
    assert launch.keep_freed_memory() and [option for option, _ in calls] == [-3, -1]
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: object())
    assert not launch.keep_freed_memory()


def test_whole_model_checkpoints(tmp_path):
    path = tmp_path / 'run.pth'
    torch.save(dict(state_dict={'a': torch.ones(1)}, meta=dict(config='y = dict(a=1)', cfg='x = 1')), path)
    checkpoint = read_checkpoint(str(path))
    assert checkpoint['meta'] == dict(cfg='x = 1')  # mmengine's Runner.resume would run `config`
    torch.save({'a': torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="no 'state_dict'"):
        read_checkpoint(str(path))


def test_strict_runner_and_safe_loader(tmp_path, monkeypatch):
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    use_safe_loader()
    with pytest.raises(CheckpointError, match='none.pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'none.pth'))
    assert issubclass(StrictRunner, Runner)
    runner = StrictRunner(model=torch.nn.Linear(2, 3), work_dir=str(tmp_path), default_scope='mmseg',
                          experiment_name='strict')
    torch.save(dict(state_dict={'weight': torch.ones(3, 2)}, meta={}), tmp_path / 'part.pth')
    with pytest.raises(CheckpointError, match='bias'):
        runner.load_checkpoint(str(tmp_path / 'part.pth'))
    torch.save(dict(state_dict=dict(weight=torch.ones(3, 2), bias=torch.ones(3)), meta={}), tmp_path / 'whole.pth')
    runner.load_checkpoint(str(tmp_path / 'whole.pth'))
    assert torch.equal(runner.model.bias, torch.ones(3))
