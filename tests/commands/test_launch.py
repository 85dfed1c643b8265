"""Two processes over gloo on the CPU: how the launch is tested."""
import pytest
from mmengine.config import Config
from tool_runs import error_of, losses, run_tool, write_config

from mmseg_vittm.commands.configs import load_config
from mmseg_vittm.commands.launch import divide_batch, prepare_launch, world_size
from mmseg_vittm.errors import InputError


def test_two_processes_train_as_one(tmp_path):
    config = write_config(tmp_path)
    options = ('--cfg-options', 'train_cfg.max_iters=8', 'train_cfg.val_interval=8')
    run_tool('train.py', config, '--work-dir', tmp_path / 'one', *options)
    run_tool('dist_train.sh', config, 2, '--work-dir', tmp_path / 'two', *options)
    one, two = losses(tmp_path / 'one'), losses(tmp_path / 'two')
    assert len(one) == 8 and one[0] - one[-1] > 0.01  # it does learn
    assert two == pytest.approx(one, abs=1e-4)


def test_batch_is_divided():
    cfg = Config(dict(total_batch_size=12, train_dataloader=dict(batch_size=12)))
    with pytest.raises(InputError, match='12 cannot be divided among 5'):
        divide_batch(cfg, 5)
    divide_batch(cfg, 4)
    assert cfg.train_dataloader.batch_size == 3
    set_apart = Config(dict(total_batch_size=12, train_dataloader=dict(batch_size=2)))
    divide_batch(set_apart, 4)
    assert set_apart.train_dataloader.batch_size == 2
    per_process = Config(dict(total_batch_size=None, train_dataloader=dict(batch_size=4)))
    divide_batch(per_process, 5)
    assert per_process.train_dataloader.batch_size == 4


def test_total_batch_by_option(tmp_path):
    cfg = load_config(str(write_config(tmp_path)), {'total_batch_size': 6})
    divide_batch(cfg, 2)
    assert cfg.train_dataloader.batch_size == 3


def test_world_size(monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '3')
    monkeypatch.setenv('SLURM_NTASKS', '5')
    assert [world_size(launcher) for launcher in ('none', 'pytorch', 'slurm')] == [1, 3, 5]


def test_launchers_that_cannot_work(monkeypatch, tmp_path):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(InputError, match='torchrun'):
        prepare_launch(Config(), 'pytorch')
    with pytest.raises(InputError, match='needs GPUs'):
        prepare_launch(Config(), 'slurm')
    message = error_of(run_tool('train.py', write_config(tmp_path), '--launcher', 'pytorch', succeeds=False))
    assert 'dist_train.sh' in message
