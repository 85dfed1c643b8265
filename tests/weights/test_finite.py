"""Weights that are NaN, infinite or too large: an error that names them, wherever weights come in."""
import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint
from mmseg.apis import init_model
from mmseg.registry import MODELS
from safetensors.torch import save_file
from tiny_models import TINY

from mmseg_vittm.engine.runner import StrictRunner
from mmseg_vittm.engine.work_dir.resume import why_not_resumable
from mmseg_vittm.errors import CheckpointError
from mmseg_vittm.weights.convert import convert_checkpoint
from mmseg_vittm.weights.finite import check_finite
from mmseg_vittm.weights.whole_model import load_model, load_model_weights

NAN, INFINITE = float('nan'), float('inf')
META = dict(classes=[f'class {n}' for n in range(14)], palette=[[n, n, n] for n in range(14)])
WEIGHT, BUFFER = 'backbone.encoder.blocks.0.read_norm.weight', 'decode_head.bn.running_var'


@pytest.fixture(scope='module')
def good(config) -> dict:
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(Config.fromfile(config).model)
    return dict(state_dict=model.state_dict(), meta=dict(iter=4, epoch=0, dataset_meta=META), message_hub={},
                optimizer=dict(state={}, param_groups=[]))


def changed(good: dict, name: str, value: float, dtype=None) -> dict:
    state = copy.copy(good['state_dict'])
    state[name] = state[name].to(dtype or state[name].dtype).clone()
    state[name].view(-1)[1] = value
    return dict(good, state_dict=state)


def backbone_file(good: dict) -> dict:
    prefix = 'backbone.'
    return {name.removeprefix(prefix): tensor for name, tensor in good['state_dict'].items() if name.startswith(prefix)}


def runner(config: str, folder) -> StrictRunner:
    cfg = Config.fromfile(config)
    return StrictRunner(model=MODELS.build(dict(cfg.model, _scope_='mmseg')), work_dir=str(folder),
                        default_scope='mmseg', experiment_name=folder.name)


WAYS = dict(
    load_model=lambda config, path, folder: load_model(config, path),
    partly=lambda config, path, folder: load_model(config, path, allow_partial=True),
    runner=lambda config, path, folder: runner(config, folder).load_checkpoint(path),
    init_model=lambda config, path, folder: init_model(config, path, device='cpu'),
    mmengine=lambda config, path, folder: load_checkpoint(torch.nn.Linear(2, 2), path),
    convert=lambda config, path, folder: convert_checkpoint(path, str(folder / 'out.safetensors')),
    init_cfg_of_others=lambda config, path, folder: MODELS.build(dict(
        type='ResNet', depth=18, init_cfg=dict(type='Pretrained', checkpoint=path))).init_weights())


@pytest.mark.parametrize('value,dtype,words', [
    (NAN, None, ' NaN)'), (INFINITE, None, ' infinite)'), (-INFINITE, None, ' infinite)'),
    (1e300, torch.float64, '(up to 1e+300, too large for float32)'), (NAN, torch.float16, ' NaN)'),
    (INFINITE, torch.bfloat16, ' infinite)')], ids=str)
@pytest.mark.parametrize('way', WAYS)
def test_every_way_names_them(way, value, dtype, words, config, good, tmp_path, mmseg_scope):
    path = tmp_path / 'bad.pth'
    torch.save(changed(good, WEIGHT, value, dtype), path)
    with pytest.raises(CheckpointError) as error:
        WAYS[way](config, str(path), tmp_path)
    message = str(error.value)
    assert '\n' not in message and str(path) in message and words in message, message
    assert f'1 of {len(good["state_dict"])} weights are no finite numbers: ' in message
    assert WEIGHT.removeprefix('' if way != 'convert' else 'none') in message and 'take another checkpoint' in message
    assert not (tmp_path / 'out.safetensors').exists()


@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
def test_backbones_by_init_cfg(ending, good, tmp_path, config):
    state = backbone_file(changed(good, WEIGHT, NAN))
    path = tmp_path / f'backbone.{ending}'
    if ending == 'pth':
        torch.save(state, path)
    else:
        save_file(state, path)
    init_cfg = dict(type='Pretrained', checkpoint=str(path))
    backbone = MODELS.build(dict(Config.fromfile(config).model.backbone, _scope_='mmseg', init_cfg=init_cfg))
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    with pytest.raises(CheckpointError, match=r'blocks.0.read_norm.weight \(1 of \d+ NaN\)'):
        backbone.init_weights()
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())


def test_position_embeddings_before_they_are_resampled(good, tmp_path):
    backbone = MODELS.build(dict(type='ViTTM', arch=TINY, img_size=56))
    state = backbone.state_dict()
    name = next(name for name in state if name.endswith('pos_embed.weight'))
    state[name] = state[name].clone()
    state[name].view(-1)[0] = NAN
    torch.save(state, tmp_path / 'small.pth')
    larger = MODELS.build(dict(type='ViTTM', arch=TINY, img_size=112, init_cfg=dict(
        type='Pretrained', checkpoint=str(tmp_path / 'small.pth'))))
    with pytest.raises(CheckpointError, match=rf'{name} \(1 of \d+ NaN\)'):
        larger.init_weights()


def test_all_are_counted_and_the_first_named():
    state = {f'w{n}': torch.full((3,), NAN) for n in range(20)} | {'good': torch.ones(3)}
    with pytest.raises(CheckpointError, match=r'20 of 21 .*: w0 \(3 of 3 NaN\), .*, w7 \(3 of 3 NaN\), \.\.\.; '):
        check_finite(state, 'x.pth')


def test_what_is_finite_or_may_be_infinite():
    """Whole numbers, empty tensors, the largest numbers, and buffers that are infinite in good models."""
    check_finite({'mask': torch.full((2,), -INFINITE), 'layers.0.attn_mask': torch.full((2,), -INFINITE),
                  'observer.min_val': torch.tensor(INFINITE), 'whole': torch.tensor([2**62]), 'empty': torch.zeros(0),
                  'flag': torch.tensor(True), 'largest': torch.tensor(3.4e38), 'double': torch.tensor(3e38).double(),
                  'eight': torch.ones(2).to(torch.float8_e4m3fn), 'complex': torch.ones(2, dtype=torch.complex64),
                  'text': 'x', 3: torch.ones(1), 'meta': torch.ones(2, device='meta')}, 'x.pth')
    for name, tensor in (('mask', torch.tensor(NAN)), ('complex', torch.complex(torch.ones(1), torch.tensor([NAN]))),
                         ('eight', torch.tensor(NAN).to(torch.float8_e4m3fn)), ('unmasked', torch.tensor(INFINITE))):
        with pytest.raises(CheckpointError, match=name):
            check_finite({name: tensor}, 'x.pth')


def test_too_large_for_the_model_that_takes_it():
    """By its own kind of number, and only what it takes."""
    half = torch.nn.BatchNorm1d(2).half()
    state = {name: tensor.double() for name, tensor in half.state_dict().items() if 'num_batches' not in name}
    load_model_weights(half, state, 'x.pth')
    state['running_var'] = torch.tensor([1., 70_000.])
    with pytest.raises(CheckpointError, match=r'running_var \(up to 7e\+04, too large for float16\)'):
        load_model_weights(half, state, 'x.pth')
    assert torch.equal(half.running_var, torch.ones(2).half())
    double = torch.nn.Linear(2, 2).double()
    load_model_weights(double, {name: tensor + 1e300 for name, tensor in double.state_dict().items()}, 'x.pth')
    load_model_weights(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2).state_dict() | {'more': torch.tensor(NAN)}, 'x.pth',
                       allow_partial=True)


def test_runs_do_not_go_on_from_them(good, tmp_path):
    """Weights, averaged weights, and the state of the optimizer."""
    adam = dict(state={0: dict(step=torch.tensor(1.), exp_avg=torch.tensor([NAN, 1.]))}, param_groups=[])
    average = {f'module.{name}': tensor for name, tensor in changed(good, WEIGHT, NAN)['state_dict'].items()}
    for name, content, words in (
            ('weights', changed(good, WEIGHT, NAN), WEIGHT),
            ('optimizer', dict(good, optimizer=adam), '1 tensors of the state of the optimizer hold NaN'),
            ('average', dict(good, ema_state_dict=average), f'module.{WEIGHT}')):
        torch.save(content, tmp_path / f'{name}.pth')
        reason = why_not_resumable(tmp_path / f'{name}.pth')
        assert words in reason and str(tmp_path / f'{name}.pth') in reason, reason
    torch.save(good, tmp_path / 'good.pth')
    assert why_not_resumable(tmp_path / 'good.pth') is None
