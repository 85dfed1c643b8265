"""Mixed precision by device."""
import pytest
from mmengine.config import Config

from mmseg_vittm.engine.amp import use_amp
from mmseg_vittm.errors import InputError


def test_amp_by_device(monkeypatch):
    for gpu, kind in ((True, 'AmpOptimWrapper'), (False, 'CpuAmpOptimWrapper')):
        monkeypatch.setattr('torch.cuda.is_available', lambda gpu=gpu: gpu)
        cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1))))
        use_amp(cfg)
        use_amp(cfg)  # twice changes nothing
        assert cfg.optim_wrapper.type == kind and ('loss_scale' in cfg.optim_wrapper) == gpu
    with pytest.raises(InputError, match='ApexOptimWrapper'):
        use_amp(Config(dict(optim_wrapper=dict(type='ApexOptimWrapper'))))
