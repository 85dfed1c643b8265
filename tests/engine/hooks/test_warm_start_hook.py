"""WarmStartHook: calibrated once, before the first iteration, without a trace in the data or the random numbers."""
import shutil
from types import SimpleNamespace

import pytest
import torch
from forked_runs import assert_same_state, recorded, train
from mmengine.logging import MMLogger
from warm_starts import encoder_for, images, random_vit

from mmseg_vittm import ViTTM
from mmseg_vittm.engine import WarmStartHook
from mmseg_vittm.engine.hooks import warm_start_hook
from mmseg_vittm.errors import InputError
from mmseg_vittm.weights.warm_start.images import HALF, Images
from mmseg_vittm.weights.warm_start.pending import pending_in
from mmseg_vittm.weights.whole_model import read_checkpoint

TWO = ('--cfg-options', 'train_cfg.max_iters=2', 'train_cfg.val_interval=9')


@pytest.fixture(scope='module')
def vit(folder):
    """A file of a ViT of the tiny config's width and depth."""
    path = folder / 'vit.pth'
    torch.save(random_vit('vit', embed_dim=48, num_heads=3).state_dict(), path)
    return str(path)


def test_a_resumed_run_goes_on_bit_for_bit_and_calibrates_no_more(config, folder, vit):
    """Nor does it need the ViT's file again."""
    whole, half, gone = folder / 'warm', folder / 'half', folder / 'gone.pth'
    said = train(config, whole, '--warm-start', vit, *TWO).output()
    assert said.count('calibrated, anchored') == 1 and 'before the calibration' in said and 'took 32 tensors' in said
    shutil.copy(vit, gone)
    train(config, half, '--warm-start', str(gone), *TWO[:1], 'train_cfg.max_iters=1', *TWO[2:])
    gone.unlink()
    said = train(config, half, '--resume', '--warm-start', str(gone), *TWO).output()
    assert 'calibrat' not in said and 'warm start, took' not in said
    assert recorded(half) == recorded(whole) and len(recorded(whole)) == 2
    assert_same_state(half / 'iter_2.pth', whole / 'iter_2.pth')


def test_it_draws_no_random_numbers_and_takes_no_data(config, folder, vit):
    """With and without calibration, by the config alone, the run goes on with the same data and random numbers."""
    states = []
    for name in ('none', 'least_squares'):
        begin = [f'model.backbone.init_cfg.{key}={value}' for key, value in dict(
            type='WarmStart', checkpoint=vit, calibration=name).items()]
        train(config, folder / name, *TWO, *begin)
        states.append(read_checkpoint(str(folder / name / 'iter_2.pth')))
    one, other = states
    assert torch.equal(one['random_states'][0]['torch'], other['random_states'][0]['torch'])
    assert one['data_position'] == other['data_position']
    name = 'backbone.encoder.blocks.1.read_norm.weight'
    assert not torch.equal(one['state_dict'][name], other['state_dict'][name])


def begun(tmp_path) -> ViTTM:
    torch.save(random_vit('vit').state_dict(), tmp_path / 'vit.pth')
    model = ViTTM(arch=dict(embed_dims=64, num_layers=2, num_heads=4, mlp_ratio=4.0), img_size=64)
    model.warm_start(str(tmp_path / 'vit.pth'))
    return model


@pytest.mark.parametrize(('loaded', 'iteration'), [(True, 0), (False, 3)])
def test_other_weights_are_left_as_they_are(tmp_path, loaded, iteration):
    model = begun(tmp_path)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    hook = WarmStartHook()
    if loaded:
        hook.after_load_checkpoint(None, dict(state_dict={'backbone.a': 1}))
    hook.before_train(SimpleNamespace(model=model, iter=iteration))
    assert pending_in(model) == [] and all(torch.equal(tensor, before[name])
                                           for name, tensor in model.state_dict().items())


def test_every_process_takes_all_that_the_first_one_calibrated(tmp_path, monkeypatch):
    model, sent = begun(tmp_path), []
    monkeypatch.setattr(warm_start_hook, 'broadcast', lambda tensor, src: sent.append((tensor.clone(), src)))
    monkeypatch.setattr(WarmStartHook, '_batches', lambda self, runner: [images()])
    monkeypatch.setattr(warm_start_hook, 'normalisation_of', lambda model: (Images(*HALF), True))
    hook = WarmStartHook()
    hook.after_load_checkpoint(None, dict(state_dict={'decode_head.a': 1}))  # a part of a model, without a backbone
    hook.before_train(SimpleNamespace(model=model, iter=0, logger=MMLogger.get_current_instance()))
    state = model.state_dict().values()
    assert len(sent) == len(state) and model.encoder.blocks[1].read_norm.weight.std() > 0
    assert all(src == 0 and torch.equal(tensor, now) for (tensor, src), now in zip(sent, state, strict=True))


def test_a_model_without_a_warm_start_is_left_as_it_is():
    WarmStartHook().before_train(SimpleNamespace(model=encoder_for('vit'), iter=0))


def test_an_empty_data_set(tmp_path):
    model = begun(tmp_path)
    model.data_preprocessor = SimpleNamespace()
    runner = SimpleNamespace(model=model, iter=0, train_dataloader=SimpleNamespace(dataset=[]))
    with pytest.raises(InputError, match='train_dataloader: the data set is empty'):
        WarmStartHook().before_train(runner)


@pytest.mark.parametrize('wrong', [dict(num_images=0), dict(batch_size=0)])
def test_wrong_arguments(wrong):
    with pytest.raises(InputError, match='must be at least 1'):
        WarmStartHook(**wrong)
