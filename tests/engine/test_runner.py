"""StrictRunner: what it loads fits."""
import pytest
import torch
from mmengine.runner import Runner

from mmseg_vittm.engine.runner import StrictRunner
from mmseg_vittm.errors import CheckpointError


def test_what_is_loaded_fits(tmp_path):
    assert issubclass(StrictRunner, Runner)
    runner = StrictRunner(model=torch.nn.Linear(2, 3), work_dir=str(tmp_path), default_scope='mmseg',
                          experiment_name='strict')
    torch.save(dict(state_dict={'weight': torch.ones(3, 2)}, meta={}), tmp_path / 'part.pth')
    with pytest.raises(CheckpointError, match='bias'):
        runner.load_checkpoint(str(tmp_path / 'part.pth'))
    torch.save(dict(state_dict=dict(weight=torch.ones(3, 2), bias=torch.ones(3)), meta={}), tmp_path / 'whole.pth')
    runner.load_checkpoint(str(tmp_path / 'whole.pth'))
    assert torch.equal(runner.model.bias, torch.ones(3))
