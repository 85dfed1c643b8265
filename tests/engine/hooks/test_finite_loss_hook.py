"""A loss that is no number ends training before it is saved, and says where it comes from."""
import shutil
from pathlib import Path

import pytest
import torch
from forked_runs import start, write_random_config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmseg_vittm.engine.work_dir.resume import why_not_resumable


@HOOKS.register_module()
class Poison(Hook):
    """Makes the images of one iteration infinite in one process, or a weight after it."""
    priority = 'VERY_HIGH'

    def __init__(self, at, rank=0, value=float('nan'), weight=False):
        self.at, self.rank, self.value, self.weight = at, rank, value, weight

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.at and get_rank() == self.rank and not self.weight:
            data_batch['inputs'] = [image.float() * self.value for image in data_batch['inputs']]
            names = '\n'.join(sample.img_path for sample in data_batch['data_samples'])
            (Path(runner.work_dir) / 'poisoned.txt').write_text(names)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.at and self.weight:
            with torch.no_grad():
                next(runner.model.parameters()).view(-1)[0] = self.value


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return tmp_path_factory.mktemp('data')


def poisoned(tmp_path, data, processes=1, **poison):
    if (data / 'toy').is_dir():
        shutil.copytree(data / 'toy', tmp_path / 'toy')
    config = write_random_config(tmp_path, f"custom_hooks.append(dict(type='Poison', **{poison!r}))\n".replace(
        'nan', "float('nan')").replace('inf', "float('inf')"))
    run = start(config, tmp_path / 'work', processes=processes)
    assert run.wait(60) == [2] * processes, run.output()[-3000:]
    if not (data / 'toy').is_dir():
        shutil.copytree(tmp_path / 'toy', data / 'toy')
    errors = [[line for line in run.output(rank).splitlines() if line.startswith('error: ')]
              for rank in range(processes)]
    assert all(len(lines) == 1 for lines in errors), errors
    assert not any('Traceback' in run.output(rank) for rank in range(processes))
    return errors[0][0]


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_the_batch_is_named(tmp_path, data, value):
    error = poisoned(tmp_path, data, at=4, value=value)
    names = (tmp_path / 'work' / 'poisoned.txt').read_text().splitlines()
    assert len(names) == 4 and all(name in error for name in names)
    assert 'the loss is nan at iteration 4, ' in error and ' lr ' in error and 'decode.loss_ce nan' in error
    assert [path.name for path in (tmp_path / 'work').glob('*.pth')] == ['iter_2.pth']
    assert why_not_resumable(tmp_path / 'work' / 'iter_2.pth') is None


def test_every_process_ends(tmp_path, data):
    error = poisoned(tmp_path, data, processes=2, at=4, rank=1)
    names = (tmp_path / 'work' / 'poisoned.txt').read_text().splitlines()
    assert len(names) == 2 and all(name in error for name in names) and error.count('.jpg') == 2
    assert '(process 1)' in error
    assert [path.name for path in (tmp_path / 'work').glob('*.pth')] == ['iter_2.pth']


def test_weights_that_are_not_finite_are_not_saved(tmp_path, data):
    error = poisoned(tmp_path, data, at=4, value=float('inf'), weight=True)
    assert '1 parameters, ' in error and 'not finite after iteration 4, ' in error and '.jpg' in error
    assert [path.name for path in (tmp_path / 'work').glob('*.pth')] == ['iter_2.pth']
