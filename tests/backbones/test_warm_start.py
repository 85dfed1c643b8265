"""`init_cfg=dict(type='WarmStart', ...)` of ViTTM and ViTBackbone, from files of every kind."""
import json

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import WEIGHT_INITIALIZERS
from warm_starts import ARCH, images, random_vit

from mmseg_vittm import ViTBackbone, ViTTM
from mmseg_vittm.errors import CheckpointError, InputError
from mmseg_vittm.weights.report import LoadReport
from mmseg_vittm.weights.warm_start.images import Images
from mmseg_vittm.weights.warm_start.pending import finish, pending_in

TIMM = dict(model_name='vit_tiny_patch16_224', num_layers=2, img_size=64)
OF_TIMM = dict(embed_dims=192, num_layers=2, num_heads=3, mlp_ratio=4.0)
HALF = Images((127.5, ) * 3, (127.5, ) * 3)


def vittm(path, **changes) -> ViTTM:
    settings = dict(arch=ARCH, img_size=64, process_patch_size=32, memory_patch_size=16)
    return ViTTM(**(settings | changes), init_cfg=dict(type='WarmStart', checkpoint=str(path)))


@pytest.fixture
def saved(tmp_path):
    """A file of a ViT."""
    path = tmp_path / 'vit.pth'
    torch.save(random_vit('vit').state_dict(), path)
    return path


def our_vit(**changes) -> ViTBackbone:
    torch.manual_seed(0)
    return ViTBackbone(**(TIMM | changes)).eval()


@pytest.mark.parametrize('whole', [False, True])
def test_from_our_own_backbone(tmp_path, whole):
    """A ViTBackbone, or the whole model of a training; where its settings say how images were normalised, that too."""
    state = our_vit().state_dict()
    content = {'state_dict': {f'backbone.{name}': tensor for name, tensor in state.items()}
               | {'decode_head.weight': torch.ones(2)}, 'meta': dict(settings=json.dumps(
        dict(model=dict(data_preprocessor=dict(mean=[1, 2, 3], std=[4, 5, 6], bgr_to_rgb=True)))))} if whole else state
    torch.save(content, tmp_path / 'vit.pth')
    model = vittm(tmp_path / 'vit.pth', arch=OF_TIMM)
    model.init_weights()
    assert torch.equal(model.encoder.blocks[1].encoder.attn.qkv.weight, state['vit.blocks.1.attn.qkv.weight'])
    said = finish(model, [images()], HALF)
    assert ('mean 1, 2, 3 and std 4, 5, 6, is folded' if whole else 'not known: taken as here') in said[0]
    control = our_vit(patch_size=32, init_cfg=dict(type='WarmStart', checkpoint=str(tmp_path / 'vit.pth')))
    control.init_weights()
    assert torch.equal(control.vit.blocks[1].attn.qkv.weight, state['vit.blocks.1.attn.qkv.weight'])


def test_the_same_vit_is_the_same_vit(tmp_path):
    """Nothing resampled: the control computes what the ViT did, bit for bit; as well on other normalisations."""
    vit = our_vit()
    torch.save(vit.state_dict(), tmp_path / 'vit.pth')
    torch.manual_seed(1)
    other = ViTBackbone(**TIMM, init_cfg=dict(type='WarmStart', checkpoint=str(tmp_path / 'vit.pth'), mean=(0, 10, 20),
                                              std=(50, 60, 70))).eval()
    other.init_weights()
    assert pending_in(other) == [other]
    with torch.no_grad():
        assert torch.equal(vit(images())[0], other(images())[0])
        finish(other, [images()], HALF)
        assert pending_in(other) == []
        pixels = 127.5 + 127.5 * images()
        mean, std = (torch.tensor(values)[:, None, None] for values in ((0.0, 10.0, 20.0), (50.0, 60.0, 70.0)))
        torch.testing.assert_close(other(images())[0], vit((pixels - mean) / std)[0], rtol=1e-3, atol=1e-3)


def test_images_that_are_bgr(saved):
    """The kernels take channels in the order that the config gives them in."""
    model = vittm(saved)
    model.init_weights()
    before = model.encoder.memory_stream.proj.weight.clone()
    finish(model, [images()], HALF, rgb=False)
    torch.testing.assert_close(model.encoder.memory_stream.proj.weight, before.flip(1))


@pytest.mark.parametrize('rgb', [True, False])
def test_a_training_of_ours_says_its_grid_and_order_of_colours(tmp_path, rgb):
    """36 positions are 4x9 if its settings say so; without them they could be 6x6 as well, which is refused."""
    state = {f'backbone.{name}': tensor for name, tensor in our_vit(img_size=(64, 144)).state_dict().items()}
    settings = dict(model=dict(backbone=dict(img_size=[64, 144]), data_preprocessor=dict(
        mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=rgb)))
    torch.save({'state_dict': state, 'meta': dict(settings=json.dumps(settings))}, tmp_path / 'vit.pth')
    control = our_vit(img_size=(64, 144))
    assert not control.warm_start(str(tmp_path / 'vit.pth')).resampled
    finish(control, [], HALF, rgb=False)
    ours, theirs = control.vit.patch_embed.proj.weight, state['backbone.vit.patch_embed.proj.weight']
    assert torch.equal(ours, theirs.flip(1) if rgb else theirs)
    torch.save(state, tmp_path / 'alone.pth')
    with pytest.raises(CheckpointError, match=r'36 positions can be a grid of \(6, 6\) or \(4, 9\); give the whole'):
        control.warm_start(str(tmp_path / 'alone.pth'))


def test_from_deit_distilled_and_without_a_class_token(tmp_path):
    """A distillation token has no place in a ViTBackbone of another kind; a missing class token is an error."""
    torch.save(our_vit().state_dict() | {'vit.dist_token': torch.ones(1, 1, 192),
                                         'vit.pos_embed': torch.ones(1, 18, 192)}, tmp_path / 'deit.pth')
    control = our_vit(init_cfg=dict(type='WarmStart', checkpoint=str(tmp_path / 'deit.pth')))
    report = control.warm_start(str(tmp_path / 'deit.pth'))
    assert report.dropped['dist_token, which this model has not'] == [1, 192]
    assert control.vit.pos_embed[:, 1:].eq(1).all() and control.vit.pos_embed[:, 0].eq(0).all()
    state = our_vit().state_dict()
    del state['vit.cls_token']
    state['vit.pos_embed'] = state['vit.pos_embed'][:, 1:]
    torch.save(state, tmp_path / 'no_class.pth')
    with pytest.raises(CheckpointError, match='cls_token, which it lacks; give the model_name'):
        control.warm_start(str(tmp_path / 'no_class.pth'))


@pytest.mark.parametrize(('family', 'said'), [
    ('vit', 'has width 64 and 2 layers, this model width 192 and 2 layers'), ('eva02_small', 'width 64')])
def test_a_vit_that_does_not_fit_the_control(tmp_path, family, said):
    torch.save(random_vit(family).state_dict(), tmp_path / 'vit.pth')
    with pytest.raises(CheckpointError, match=said):
        our_vit().warm_start(str(tmp_path / 'vit.pth'))


def test_it_is_logged_and_done_once(saved, caplog):
    model = vittm(saved, out_tokens='process', out_indices=(0, 1))
    model.init_weights()
    said = finish(model, [images()], HALF)
    assert any('cosine' in line for line in said) and 'norms (6 tensors) calibrated, anchored' in said[-1]
    assert pending_in(model) == []
    with pytest.raises(KeyError):
        finish(model, [images()], HALF)


def test_merging_changes_nothing_of_it(saved):
    """The ViT that it is brought near to has features of every token."""
    found = []
    for merge_tokens in (0, 1):
        torch.manual_seed(4)
        model = vittm(saved, process_patch_size=16, merge_tokens=merge_tokens)
        model.init_weights()
        found.append((finish(model, [images()], HALF), model.state_dict()))
        assert model.encoder.merge_tokens == merge_tokens
    assert found[0][0] == found[1][0]
    torch.testing.assert_close(found[0][1], found[1][1], atol=0, rtol=0)


def test_without_calibration(saved):
    model = vittm(saved)
    model.warm_start(str(saved), calibration='none')
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert 'nothing was calibrated' in finish(model, [images()], HALF)[-1]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(('more', 'said'), [
    (dict(calibration='best'), "calibration must be one of .*, got 'best'"), (dict(calibration=['x']), 'got .*x'),
    (dict(mean=(0.5, ) * 3, std=(0.5, ) * 3), 'are of images from 0 to 1; give both times 255'),
    (dict(mean=(1, 2, 3)), 'together'),
    (dict(mean=(1, 2, 3), std=(0, 1, 1)), 'together'), (dict(mean='abc', std=3), 'together'),
    (dict(prefix='a.'), "init_cfg must be dict.type='WarmStart', checkpoint=FILE")])
def test_wrong_settings(saved, more, said):
    model = ViTTM(arch=ARCH, img_size=64, init_cfg=dict(type='WarmStart', checkpoint=str(saved), **more))
    with pytest.raises(ValueError, match=said):
        model.init_weights()


def test_in_a_list_it_would_not_be_strict(saved):
    model = ViTTM(arch=ARCH, img_size=64, init_cfg=[dict(type='WarmStart', checkpoint=str(saved))])
    with pytest.raises(ValueError, match="init_cfg must be dict.type='WarmStart'"):
        model.init_weights()


def test_it_is_registered_and_for_our_backbones_alone(saved):
    initializer = WEIGHT_INITIALIZERS.build(dict(type='WarmStart', checkpoint=str(saved)))
    model = ViTTM(arch=ARCH, img_size=64)
    initializer(model)
    assert pending_in(model) == [model]
    with pytest.raises(ValueError, match='for ViTTM, ViTBackbone, ToMe and ALGM, got a BaseModule'):
        BaseModule(init_cfg=dict(type='WarmStart', checkpoint=str(saved))).init_weights()


def test_a_file_that_runs_code_is_refused(tmp_path):
    class Attack:
        def __reduce__(self):
            return print, ('attacked', )
    torch.save({'pos_embed': Attack()}, tmp_path / 'bad.pth')
    with pytest.raises(CheckpointError, match='bad.pth cannot be loaded'):
        vittm(tmp_path / 'bad.pth').init_weights()


def test_a_missing_file():
    with pytest.raises(InputError, match='nothing/vit.pth: there is no such file'):
        vittm('nothing/vit.pth').init_weights()


def test_the_report_in_one_line():
    report = LoadReport('vit.pth', "timm's ViT", 3, 2_000_000)
    report.start('as drawn', torch.ones(1000, 20))
    assert str(report) == ("3 tensors (2.00 M parameters) from vit.pth (timm's ViT); started 1 tensors (0.02 M, "
                           'as drawn)')
