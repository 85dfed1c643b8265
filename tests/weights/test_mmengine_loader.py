"""mmengine's loader of checkpoints, made safe."""
import pytest
import torch
from mmengine.runner import CheckpointLoader

from mmseg_vittm.errors import CheckpointError
from mmseg_vittm.weights.mmengine_loader import use_safe_reading
from mmseg_vittm.weights.whole_model import read_checkpoint


def test_whole_model_checkpoints(tmp_path):
    path = tmp_path / 'run.pth'
    torch.save(dict(state_dict={'a': torch.ones(1)}, meta=dict(config='y = dict(a=1)', cfg='x = 1')), path)
    checkpoint = read_checkpoint(str(path))
    assert checkpoint['meta'] == dict(cfg='x = 1')  # mmengine's Runner.resume would run `config`
    torch.save({'a': torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="no 'state_dict'"):
        read_checkpoint(str(path))


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    use_safe_reading()
    with pytest.raises(CheckpointError, match='none.pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'none.pth'))
