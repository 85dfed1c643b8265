"""Launchers: what a config is told, and how the batch is divided."""
import os

import pytest
from mmengine.config import Config

from mmseg_vittm.commands.launch import divide_batch, prepare_launch, world_size
from mmseg_vittm.errors import InputError


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


def test_world_size(monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '3')
    monkeypatch.setenv('SLURM_NTASKS', '5')
    assert [world_size(launcher) for launcher in ('none', 'pytorch', 'slurm')] == [1, 3, 5]


def test_gpus_and_slurm_are_left_to_mmengine(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setenv('RANK', '0')
    cfg = Config(dict(model=dict()))
    prepare_launch(cfg, 'pytorch')
    assert cfg.launcher == 'pytorch' and 'model_wrapper_cfg' not in cfg


def test_launchers_that_cannot_work(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.delenv('RANK', raising=False)
    monkeypatch.setenv('LOCAL_RANK', '0')
    with pytest.raises(InputError, match=r'torchrun, as tools/dist_train\.sh'):
        prepare_launch(Config(), 'pytorch')
    with pytest.raises(InputError, match='needs GPUs'):
        prepare_launch(Config(), 'slurm')


@pytest.mark.parametrize(('variable', 'expected'), [(None, '3'), ('1', '1')])
def test_the_launchers_word_for_the_local_rank_counts(monkeypatch, variable, expected):
    monkeypatch.setattr(os, 'environ', {} if variable is None else dict(LOCAL_RANK=variable))
    prepare_launch(Config(), 'none', local_rank=3)
    assert os.environ['LOCAL_RANK'] == expected
