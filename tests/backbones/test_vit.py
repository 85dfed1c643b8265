"""ViTBackbone: timm's numbers, any size, timm's checkpoints, frozen layers."""
import pytest
import timm
import torch
from mmseg.registry import MODELS
from timm.layers import resample_abs_pos_embed
from tiny_models import assert_no_dead_parameters, images, random_loss, save_weights

from mmseg_vittm import ViTBackbone
from mmseg_vittm.errors import CheckpointError

NAME = 'vit_tiny_patch16_224'


def build(**changes) -> ViTBackbone:
    torch.manual_seed(0)
    return MODELS.build(dict(type='ViTBackbone', model_name=NAME, img_size=64) | changes)


@pytest.fixture(scope='module')
def reference():
    """The model of timm, as its checkpoints are: 224 pixels, 1000 classes, a head."""
    torch.manual_seed(1)
    model = timm.create_model(NAME, dynamic_img_size=True, dynamic_img_pad=True)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if 'norm' in name or name.endswith('bias') or name == 'cls_token':
                weight.add_(0.1 * torch.randn_like(weight))  # fresh norms and tokens would hide a wrong order
    return model.eval()


@pytest.fixture(scope='module')
def checkpoint(reference, tmp_path_factory):
    return save_weights(reference.state_dict(), tmp_path_factory.mktemp('timm') / 'timm.pth')


def load(path, **changes) -> ViTBackbone:
    backbone = build(init_cfg=dict(type='Pretrained', checkpoint=str(path)), **changes).eval()
    backbone.init_weights()
    return backbone


@pytest.mark.parametrize('height,width', [(224, 224), (64, 96), (50, 70), (1, 17)])
@torch.no_grad()
def test_equals_timm(reference, checkpoint, height, width):
    backbone, x = load(checkpoint, img_size=224), images(height, width, batch=1)
    tokens = reference.forward_features(x)[:, 1:]  # after the final norm, without the class token
    grid = -(-height // 16), -(-width // 16)
    (tensor, ) = backbone(x)
    assert tensor.shape == (1, 192, *grid)
    torch.testing.assert_close(tensor, tokens.transpose(1, 2).reshape(1, 192, *grid), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_only_the_last_map_has_the_final_norm(reference, checkpoint):
    x = images(224, 224, batch=1)
    hidden = {}
    hooks = [reference.blocks[i].register_forward_hook(lambda *args, i=i: hidden.update({i: args[-1]})) for i in (2, 7)]
    reference.forward_features(x)
    for hook in hooks:
        hook.remove()
    maps = load(checkpoint, img_size=224, out_indices=(2, 7, -1))(x)
    for i, tensor in zip((2, 7), maps, strict=False):
        torch.testing.assert_close(tensor.flatten(2).transpose(1, 2), hidden[i][:, 1:], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(maps[2], load(checkpoint, img_size=224)(x)[0])
    early = load(checkpoint, img_size=224, out_indices=(2, ))
    torch.testing.assert_close(early(x)[0], maps[0])
    assert len(early.vit.blocks) == 3 and not list(early.vit.norm.parameters())


@pytest.mark.parametrize('img_size,grid', [(512, (32, 32)), ((64, 128), (4, 8)), (224, (14, 14))])
def test_positions_of_timm_checkpoints_are_resampled(reference, checkpoint, img_size, grid, log_lines):
    backbone = load(checkpoint, img_size=img_size)
    expected = resample_abs_pos_embed(reference.pos_embed, list(grid), [14, 14], 1)
    torch.testing.assert_close(backbone.vit.pos_embed, expected)
    assert torch.equal(backbone.vit.pos_embed[:, :1], reference.pos_embed[:, :1])
    (line, ) = log_lines.of('INFO')
    assert "timm's ViT checkpoint" in line and 'classification only' in line
    assert ('14x14 -> ' in line) == (grid != (14, 14))


def test_positions_of_as_many_tokens_on_another_grid_are_resampled(tmp_path):
    """14 x 14 and 7 x 28 hold 196 positions each; timm's files are square."""
    weights = timm.create_model(NAME).state_dict()
    backbone = load(save_weights(weights, tmp_path / 'timm.pth'), img_size=(112, 448))
    expected = resample_abs_pos_embed(weights['pos_embed'], [7, 28], [14, 14], 1)
    torch.testing.assert_close(backbone.vit.pos_embed, expected)


@pytest.mark.parametrize('ending', ['.pth', '.safetensors'])
def test_own_and_whole_checkpoints(checkpoint, tmp_path, ending):
    backbone = load(checkpoint, img_size=64)
    own = save_weights(backbone.state_dict(), tmp_path / f'own{ending}')
    whole = save_weights({f'backbone.{name}': weight for name, weight in backbone.state_dict().items()},
                         tmp_path / f'whole{ending}')
    for path in (own, whole):
        with torch.no_grad():
            torch.testing.assert_close(load(path)(images(64, 64)), backbone(images(64, 64)))


def test_what_does_not_fit_is_refused(checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match=r'of another shape \(\d+\): vit.cls_token \(1, 1, 192\), here'):
        load(checkpoint, model_name='vit_small_patch16_224')
    weights = torch.load(checkpoint)
    del weights['blocks.3.norm1.weight']
    with pytest.raises(CheckpointError, match=r'missing \(1\): vit.blocks.3.norm1.weight'):
        load(save_weights(weights | {'pos_embed': weights['pos_embed']}, tmp_path / 'cut.pth'), img_size=224)
    vittm = save_weights({'encoder.memory_stream.pos_embed.weight': torch.zeros(1, 4, 4, 8)}, tmp_path / 'vittm.pth')
    with pytest.raises(CheckpointError, match="neither .*timm's ViT checkpoint"):
        load(vittm)


@pytest.mark.parametrize('model_name,img_size', [('vit_small_patch16_224', 64), ('vit_xsmall_patch16_clip_224', 64),
                                                 ('vit_small_patch14_reg4_dinov2', 56)])
def test_timm_weights_of_other_vits(model_name, img_size, tmp_path):
    """CLIP's have a norm before the blocks, DINOv2's register tokens and layer scales."""
    torch.manual_seed(1)
    model = timm.create_model(model_name, img_size=img_size).eval()
    path = save_weights(model.state_dict(), tmp_path / 'timm.pth')
    backbone, x = load(path, model_name=model_name, img_size=img_size), images(img_size, img_size, batch=1)
    with torch.no_grad():
        tokens = model.forward_features(x)[:, model.num_prefix_tokens:]
        torch.testing.assert_close(backbone(x)[0].flatten(2).transpose(1, 2), tokens, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('out_indices', [(0, ), (1, ), (0, 2), (-1, )])
def test_no_dead_parameters(out_indices):
    backbone = build(out_indices=out_indices)
    assert_no_dead_parameters(backbone, backbone(images(64, 64)), (), 1e-12)


def test_recomputed_blocks_give_the_same_gradients():
    gradients = []
    for with_cp in (False, True):
        backbone = build(with_cp=with_cp, out_indices=(0, 2), drop_path_rate=0.3).train()
        assert backbone.vit.grad_checkpointing == with_cp
        torch.manual_seed(3)
        random_loss(backbone(images(64, 64))).backward()
        gradients.append([weight.grad for weight in backbone.parameters()])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize('frozen_layers', [-1, 0, 2, 4])
def test_frozen_layers(frozen_layers):
    backbone = build(frozen_layers=frozen_layers, out_indices=(3, ), drop_path_rate=0.5).eval().train()
    trained = {name for name, weight in backbone.named_parameters() if weight.requires_grad}
    held = () if frozen_layers < 0 else ('vit.patch_embed', 'vit.cls_token', 'vit.pos_embed',
                                         *(f'vit.blocks.{i}.' for i in range(frozen_layers)))
    assert trained == {name for name, _ in backbone.named_parameters() if not name.startswith(held or '\0')}
    for i, block in enumerate(backbone.vit.blocks):
        assert all(module.training == (i >= frozen_layers) for module in block.modules())
    if trained:
        random_loss(backbone(images(64, 64))).backward()
        assert {name for name, weight in backbone.named_parameters() if weight.grad is not None} == trained


def test_freezing_the_first_block_holds_what_comes_before_it():
    backbone = build(model_name='vit_xsmall_patch16_clip_224', out_indices=(1, ), frozen_layers=1)
    trained = {name for name, weight in backbone.named_parameters() if weight.requires_grad}
    assert trained and all(name.startswith('vit.blocks.1.') for name in trained), trained


@pytest.mark.parametrize('arguments,message', [
    (dict(model_name='resnet18'), "model_name must be a Vision Transformer of timm .*got 'resnet18'"),
    (dict(model_name='vit_tiny_patch99_224'), 'model_name'),
    (dict(model_name='vit_relpos_small_patch16_224'), 'model_name'),
    (dict(model_name='deit_tiny_distilled_patch16_224'), 'model_name'),
    (dict(out_indices=(12, )), 'out_indices must be ascending block indices from -12 to 11'),
    (dict(frozen_layers=13), r'frozen_layers must be from -1 \(none\) to 12'),
    (dict(img_size=0), 'img_size'),
])
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_a_misspelt_argument_is_a_type_error():
    with pytest.raises(TypeError, match='arch'):
        build(arch='tiny')


@torch.no_grad()
def test_patch_size_and_layers_in_place_of_the_models():
    backbone, x = build(patch_size=8, num_layers=2).eval(), images(64, 72)
    reference = timm.create_model(NAME, patch_size=8, depth=2, img_size=64, dynamic_img_size=True, num_classes=0,
                                  global_pool='').eval()
    reference.load_state_dict(backbone.vit.state_dict())
    (tensor, ) = backbone(x)
    tokens = reference.forward_features(x)[:, 1:]
    torch.testing.assert_close(tensor, tokens.transpose(1, 2).reshape(2, 192, 8, 9), atol=1e-5, rtol=1e-5)
    assert len(backbone.blocks()) == 2 and backbone.arch_layers == 2


@pytest.mark.parametrize('changes,message', [
    (dict(patch_size=0), 'patch_size must be a positive integer'),
    (dict(num_layers=2.0), 'num_layers must be a positive integer'),
    (dict(pretrained=True, patch_size=8), "vit_tiny_patch16_224's own weights")])
def test_wrong_patch_size_and_layers(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)
