"""ToMe, ALGM, LookupViT, Rev-ViT and a merging ViTTM in segmentors: windows, optimized, training, exact resuming."""
import copy
import shutil

import pytest
import torch
from forked_runs import assert_same_state, recorded, train, write_random_config
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from tiny_models import ROOT

from mmseg_vittm import optimize
from mmseg_vittm.weights.whole_model import load_model, read_checkpoint

CROP = (56, 56)
VIT = dict(model_name='vit_tiny_patch16_224', img_size=CROP, patch_size=7, num_layers=3)
ARCH = dict(embed_dims=48, num_layers=3, num_heads=3, mlp_ratio=4.0)
# By name, the backbone and the channels of its map; 8 x 8 tokens each.
RIVALS = {
    'tome': (dict(type='ToMe', merge_tokens=8, **VIT), 192),
    'algm': (dict(type='ALGM', global_layer=1, **VIT), 192),
    'algm_fixed': (dict(type='ALGM', global_layer=1, local_threshold=0.4, global_threshold=0.6, **VIT), 192),
    'lookup': (dict(type='LookupViT', arch=ARCH, img_size=CROP, patch_size=7, compressed_grid=3), 48),
    'lookup_concat': (dict(type='LookupViT', arch=ARCH, img_size=CROP, patch_size=7, compressed_grid=3,
                           share_exchange=True, out_tokens='concat'), 96),
    'revvit': (dict(type='RevViT', arch=ARCH, img_size=CROP, patch_size=7), 96),
    'vittm': (dict(type='ViTTM', arch=ARCH, img_size=CROP, process_patch_size=7, memory_patch_size=7,
                   merge_tokens=0.125), 96),
}


def segmentor(name: str, kind: str = 'SlideSegmentor', **changes):
    """A rival with Segmenter's head, whose weights give labels that differ; ALGM has learned its thresholds."""
    cfg = Config.fromfile(ROOT / 'configs' / 'segmenter_vittm_b_ade20k.py')
    backbone, channels = RIVALS[name]
    cfg.model.backbone = ConfigDict(backbone | changes)
    cfg.model.decode_head.update(in_channels=channels, channels=48, embed_dims=48, num_heads=3, num_classes=7)
    cfg.model.update(type=kind, test_cfg=ConfigDict(mode='slide', crop_size=CROP, stride=(40, 40)))
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    for weight_name, weight in model.named_parameters():
        if weight.dim() == 1 or weight_name.endswith('cls_emb'):
            is_scale = 'norm' in weight_name and weight_name.endswith('weight')
            torch.nn.init.normal_(weight, mean=float(is_scale), std=0.1)
    if name == 'algm':
        with torch.no_grad():
            model.train().extract_feat(scenes(56, 56, batch=4, seed=8))
    return model.eval()


def scenes(height: int, width: int, batch: int = 2, seed: int = 5) -> torch.Tensor:
    """Images of large and small patterns: some merge more than others."""
    generator = torch.Generator().manual_seed(seed)
    patterns = [torch.nn.functional.interpolate(torch.randn(1, 3, *[3 + 4 * image] * 2, generator=generator),
                                                (height, width), mode='bicubic') for image in range(batch)]
    return torch.cat(patterns) + 0.05 * torch.randn(batch, 3, height, width, generator=generator)


def samples(inputs: torch.Tensor, classes: int = 0) -> list[SegDataSample]:
    size = tuple(inputs.shape[2:])
    made = [SegDataSample(metainfo=dict(ori_shape=size, img_shape=size)) for _ in inputs]
    for number, sample in enumerate(made if classes else ()):
        generator = torch.Generator().manual_seed(number)
        sample.gt_sem_seg = PixelData(data=torch.randint(0, classes, (1, *size), generator=generator))
    return made


def labels(model, inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.stack([one.pred_sem_seg.data[0] for one in model.predict(inputs, samples(inputs))])


@pytest.mark.parametrize('name', RIVALS)
@pytest.mark.parametrize('height,width', [(56, 56), (100, 130), (57, 43), (5, 60)])
@torch.no_grad()
def test_windows_together_are_mmsegmentations_windows_one_by_one(name, height, width):
    """Labels agree but where two logits are equal to rounding, in all but one pixel of 10,000; so do logits."""
    stock, ours, inputs = segmentor(name, 'EncoderDecoder'), segmentor(name), scenes(height, width)
    ours.load_state_dict(stock.state_dict())
    assert stock.backbone.state_dict().keys() == ours.backbone.state_dict().keys()
    expected, got = stock.predict(inputs, samples(inputs)), labels(ours, inputs)
    logits = torch.stack([one.seg_logits.data for one in expected])
    wrong = got != torch.stack([one.pred_sem_seg.data[0] for one in expected])
    top = logits.topk(2, dim=1).values
    assert not (wrong & (top[:, 0] - top[:, 1] > 1e-4)).any()
    assert wrong.sum() <= max(1, 1e-4 * wrong.numel()) and (len(got.unique()) > 2 or height == 5)
    ours.test_cfg['with_logits'] = True
    of_ours = torch.stack([one.seg_logits.data for one in ours.predict(inputs, samples(inputs))])
    torch.testing.assert_close(of_ours, logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('name', ['tome', 'algm', 'algm_fixed', 'vittm'])
@torch.no_grad()
def test_tokens_do_merge_here(name):
    """What the other tests compare would agree without."""
    model, inputs = segmentor(name), scenes(56, 56, batch=4)
    if name == 'vittm':
        lengths = []
        for block in model.backbone.encoder.blocks:
            block.encoder.mlp.register_forward_hook(lambda module, args, out: lengths.append(out.shape[1]))
        model.extract_feat(inputs)
        assert lengths == [56, 48, 40]
        return
    left = [model.backbone.intermediates(one[None], [2])[0].tokens.shape[1] - 1 for one in inputs]
    assert left == [40] * 4 if name == 'tome' else min(left) < 50 and len(set(left)) > 2, left


@pytest.mark.parametrize('name', RIVALS)
def test_optimized_labels(name):
    """float32 gives the same; bfloat16 other labels where logits are close, or a pair merges that did not."""
    plain = segmentor(name)
    for inputs in (scenes(100, 130), scenes(56, 56, batch=3), scenes(30, 90, batch=1)):
        expected = labels(plain, inputs)
        assert len(expected.unique()) > 2
        for dtype, least in (('fp32', 0.9999), ('bf16', 0.97)):
            fast = optimize(copy.deepcopy(plain), dtype)
            agree = (labels(fast, inputs) == expected).float().mean()
            assert agree >= least, (dtype, float(agree))


@pytest.mark.parametrize('name,changes', [
    *((name, dict(with_cp=with_cp)) for name in RIVALS if name != 'revvit' for with_cp in (False, True)),
    ('revvit', {}), ('revvit', dict(reversible=False))])
def test_a_training_step_in_bfloat16_is_finite(name, changes):
    model, inputs = segmentor(name, drop_path_rate=0.1, **changes).train(), scenes(56, 56, batch=4)
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=1e-3), []
    for _ in range(3):
        with torch.autocast('cpu', torch.bfloat16):
            loss, _ = model.parse_losses(model.loss(inputs, samples(inputs, classes=7)))
        optimizer.zero_grad()
        loss.backward()
        gradients = {name: weight.grad for name, weight in model.named_parameters()}
        assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
        assert all(gradient.dtype == torch.float32 for gradient in gradients.values())
        optimizer.step()
        losses.append(loss.item())
    assert torch.tensor(losses).isfinite().all() and losses[-1] < losses[0], losses
    assert all(value.isfinite().all() for value in model.state_dict().values())


# Exact resuming, in forks of this process.

SETTINGS = """
model['backbone'] = dict(_delete_=True, drop_path_rate=0.1, **{backbone!r})
model['decode_head'].update(in_channels={channels})
model['auxiliary_head'].update(in_channels={channels}, channels={channels})
train_cfg = dict(max_iters=4, val_interval=9)
"""
OF_RUNS = {
    'tome': (dict(type='ToMe', model_name='vit_tiny_patch16_224', img_size=64, patch_size=8, num_layers=2,
                  merge_tokens=8), 192),
    'algm': (dict(type='ALGM', model_name='vit_tiny_patch16_224', img_size=64, patch_size=8, num_layers=2), 192),
    'lookup': (dict(type='LookupViT', arch=ARCH, img_size=64, patch_size=8, compressed_grid=3), 48),
    'revvit': (dict(type='RevViT', arch=ARCH, img_size=64, patch_size=8), 96),
    'vittm': (dict(type='ViTTM', arch=ARCH, img_size=64, process_patch_size=8, memory_patch_size=8, merge_tokens=8),
              96),
}


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """A folder for all runs, so that scenes are drawn once."""
    return tmp_path_factory.mktemp('runs')


@pytest.mark.parametrize('name', OF_RUNS)
def test_two_iterations_and_two_more_are_four(runs, name):
    """Weights, optimizer, random states and, of ALGM, what its thresholds learned, bit for bit."""
    (backbone, channels), whole, half = OF_RUNS[name], runs / name / 'whole', runs / name / 'half'
    config = write_random_config(runs, SETTINGS.format(backbone=backbone, channels=channels), f'{name}.py')
    train(config, whole)
    half.mkdir()
    shutil.copy(whole / 'iter_2.pth', half)
    train(config, half, '--resume')
    assert list(recorded(half)) == [3, 4] and recorded(half).items() < recorded(whole).items()
    assert_same_state(half / 'iter_4.pth', whole / 'iter_4.pth')
    state = read_checkpoint(str(half / 'iter_4.pth'))['state_dict']
    learned = {int(value) for key, value in state.items() if key.endswith('.batches')}
    assert learned == ({4} if name == 'algm' else set())
    model = load_model(Config.fromfile(config), str(half / 'iter_4.pth'), 'cpu')
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
