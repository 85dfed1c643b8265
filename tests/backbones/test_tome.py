"""ToMe as a backbone: the plain ViT where nothing merges, merging written out, sizes of every kind, weights."""
import pytest
import timm
import torch
from merged_by_loops import likest
from mmseg.registry import MODELS
from tiny_models import assert_no_dead_parameters, images, random_loss, save_weights

from mmseg_vittm import ViTBackbone
from mmseg_vittm.backbones.tome import ToMe
from mmseg_vittm.errors import CheckpointError

NAME = 'vit_tiny_patch16_224'
TINY = dict(model_name=NAME, img_size=48, patch_size=8, num_layers=3)  # 6 x 6 patches


def build(kind: str = 'ToMe', lively: bool = True, **changes) -> ToMe:
    """A backbone whose weights are all random: fresh norms and class tokens would hide a wrong order."""
    torch.manual_seed(0)
    merging = dict(merge_tokens=5) if kind == 'ToMe' else {}
    backbone = MODELS.build(dict(type=kind) | TINY | merging | changes)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in backbone.parameters() if lively else ():
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    return backbone.eval()


@torch.no_grad()
def written_out(backbone: ToMe, x: torch.Tensor, count: int) -> tuple[tuple[torch.Tensor, ...], list]:
    """timm's ViT on all tokens, in which the patches that merged go on as equal ones: nobody need count sizes.

    Returns the maps, and for each image the patches that each of the last tokens stands for.
    """
    vit, maps = backbone.vit, []
    tokens, prefix = vit.norm_pre(vit._pos_embed(vit.patch_embed(x))), vit.num_prefix_tokens
    together = [[[place] for place in range(prefix, tokens.shape[1])] for _ in x]
    for index, block in enumerate(vit.blocks):
        normed = block.norm1(tokens)
        keys = block.attn.k_norm(block.attn.qkv(normed).unflatten(2, (3, block.attn.num_heads, -1))[:, :, 1])
        tokens = tokens + block.ls1(block.attn(normed))
        for image, groups in enumerate(together):
            representatives = [keys[image, group[0]].mean(dim=0) for group in groups]
            pairs = likest(torch.stack(representatives), min(count, len(groups) // 2))
            for own, partner in pairs:
                groups[partner] = groups[partner] + groups[own]
            together[image] = [group for place, group in enumerate(groups) if place not in dict(pairs)]
            for group in together[image]:
                tokens[image, group] = tokens[image, group].mean(dim=0)
        tokens = tokens + block.ls2(block.mlp(block.norm2(tokens)))
        if index in backbone.out_indices:
            grid = [-(-side // vit.patch_embed.patch_size[0]) for side in x.shape[2:]]
            normed = vit.norm(tokens) if index == backbone.arch_layers - 1 else tokens
            maps.append(normed[:, prefix:].transpose(1, 2).reshape(len(x), -1, *grid))
    return tuple(maps), together


@pytest.mark.parametrize('merge_tokens', [0, 0.0])
@torch.no_grad()
def test_without_merging_it_is_the_plain_vit_bit_for_bit(merge_tokens):
    backbone, plain = build(merge_tokens=merge_tokens, out_indices=(0, 2)), build('ViTBackbone', out_indices=(0, 2))
    assert list(backbone.state_dict()) == list(plain.state_dict())
    for x in (images(48, 48), images(20, 91, 1)):
        assert all(torch.equal(*pair) for pair in zip(backbone(x), plain(x), strict=True))
    for one, other in zip(build()(images(48, 48)), plain(images(48, 48))[1:], strict=True):
        assert (one - other).abs().max() > 0.01


@pytest.mark.parametrize('height,width,batch', [(48, 48, 2), (31, 70, 1), (56, 8, 3), (1, 1, 2), (8, 9, 1)])
@pytest.mark.parametrize('count', [1, 5, 11])
def test_equals_merging_written_out(height, width, batch, count):
    """Sizes whose tokens are fewer than so many pairs merge half of them in each block."""
    backbone, x = build(merge_tokens=count, out_indices=(0, 2)), images(height, width, batch)
    expected, together = written_out(backbone, x, count)
    with torch.no_grad():
        maps, last = backbone(x), backbone.intermediates(x, [2])[0]
    torch.testing.assert_close(maps, expected, atol=2e-5, rtol=1e-4)
    assert all(tensor.is_contiguous() for tensor in maps)
    for image, groups in enumerate(together):
        if len(groups) < sum(map(len, groups)):
            assert last.sizes[image, 1:].tolist() == [*map(len, groups)] and last.sizes[image, 0] == 1
            for place, group in enumerate(groups):
                assert (last.source[image] == place + 1).nonzero().flatten().tolist() == sorted(group)


@pytest.mark.parametrize('model_name,patch_size', [
    ('vit_small_patch14_reg4_dinov2', 14), ('vit_xsmall_patch16_clip_224', 8), ('deit_tiny_patch16_224', 8)])
def test_other_vits(model_name, patch_size):
    """Of register tokens, positions of patches alone and layer scales; of a norm before the blocks."""
    changes = dict(model_name=model_name, patch_size=patch_size, img_size=6 * patch_size)
    backbone, x = build(**changes), images(6 * patch_size, 6 * patch_size)
    torch.testing.assert_close(backbone(x), written_out(backbone, x, 5)[0], atol=1e-4, rtol=1e-4)


def test_a_share_is_that_of_the_images_own_tokens():
    share, number = build(merge_tokens=0.125), build(merge_tokens=4)  # 4.5 of 36, to even
    larger = build(merge_tokens=9)
    assert torch.equal(share(images(48, 48))[0], number(images(48, 48))[0])
    assert torch.equal(share(images(48, 96))[0], larger(images(48, 96))[0])
    (last, ) = share.intermediates(images(48, 96), [2])
    assert last.tokens.shape[1] == 1 + 72 - 3 * 9


@pytest.mark.parametrize('merge_tokens', [11, 0.3])
@torch.no_grad()
def test_a_constant_image_stays_constant_however_much_merges(merge_tokens):
    plain, backbone = build('ViTBackbone'), build(merge_tokens=merge_tokens)
    for model in (plain, backbone):
        model.vit.pos_embed.zero_()
    (tensor, ), x = backbone(torch.full((1, 3, 45, 77), 0.7)[..., :40, :72]), torch.full((1, 3, 40, 72), 0.7)
    torch.testing.assert_close(tensor, tensor[..., :1, :1].expand_as(tensor), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tensor, plain(x)[0], atol=1e-4, rtol=1e-4)  # as 45 equal tokens, merged or not


@torch.no_grad()
def test_images_of_a_batch_do_not_meet():
    backbone, x = build(out_indices=(0, 1, 2)), images(48, 48, 4)
    one_by_one = [backbone(x[i:i + 1]) for i in range(4)]
    for together, alone in zip(backbone(x), map(torch.cat, zip(*one_by_one, strict=True)), strict=True):
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_out_indices():
    backbone = build(out_indices=(0, 1, 2))
    maps = backbone(images(48, 48))
    for index in range(3):
        single = build(out_indices=(index, ))
        single.load_state_dict({name: backbone.state_dict()[name] for name in single.state_dict()})
        assert len(single.vit.blocks) == index + 1 and torch.equal(single(images(48, 48))[0], maps[index])
    build(out_indices=(0, ), merge_tokens=18)  # one block is built, so that 18 are left


@pytest.mark.parametrize('out_indices', [(0, ), (1, ), (0, 2), (-1, )])
def test_no_dead_parameters(out_indices):
    backbone = build(out_indices=out_indices, lively=False).train()
    assert_no_dead_parameters(backbone, backbone(images(48, 48)), (), 1e-12)


def test_recomputed_blocks_give_the_same_gradients():
    gradients, runs = [], []
    for with_cp in (False, True):
        backbone = build(with_cp=with_cp, out_indices=(0, 2), drop_path_rate=0.3).train()
        backbone.vit.blocks[1].attn.register_forward_pre_hook(lambda *args: runs.append(1))
        backbone.vit.blocks[1].attn.qkv.register_forward_hook(lambda *args: runs.append(2))
        torch.manual_seed(3)
        random_loss(backbone(images(48, 48))).backward()
        gradients.append([weight.grad for weight in backbone.parameters()])
    assert runs == [2, 2, 2]  # once, and once more
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize('frozen_layers', [-1, 0, 2, 3])
def test_frozen_layers(frozen_layers):
    backbone = build(frozen_layers=frozen_layers, drop_path_rate=0.5).train()
    trained = {name for name, weight in backbone.named_parameters() if weight.requires_grad}
    held = () if frozen_layers < 0 else ('vit.patch_embed', 'vit.cls_token', 'vit.pos_embed', *(
        f'vit.blocks.{i}.' for i in range(frozen_layers)), *['vit.'] * (frozen_layers == 3))
    assert trained == {name for name, _ in backbone.named_parameters() if not name.startswith(held or '\0')}
    if trained:
        random_loss(backbone(images(48, 48))).backward()
    assert {name for name, weight in backbone.named_parameters() if weight.grad is not None} == trained


@torch.no_grad()
def test_weights_of_a_plain_vit(tmp_path):
    """timm's, of another grid; a ViTBackbone's; a whole model's."""
    reference = timm.create_model(NAME, patch_size=8, depth=3, img_size=64)
    plain = build('ViTBackbone')
    paths = [save_weights(state, tmp_path / f'{name}.pth') for name, state in (
        ('timm', reference.state_dict()), ('own', plain.state_dict()),
        ('whole', {f'backbone.{name}': weight for name, weight in plain.state_dict().items()}))]
    for path in paths:
        loaded = [build(kind, init_cfg=dict(type='Pretrained', checkpoint=path)) for kind in ('ToMe', 'ViTBackbone')]
        for backbone in loaded:
            backbone.init_weights()
        assert isinstance(loaded[0], ToMe) and isinstance(loaded[1], ViTBackbone)
        assert all(torch.equal(*pair) for pair in zip(*(model.state_dict().values() for model in loaded), strict=True))
    lost = {name: weight for name, weight in plain.state_dict().items() if name != 'vit.cls_token'}
    with pytest.raises(CheckpointError, match=r'missing \(1\): vit.cls_token'):
        build(init_cfg=dict(type='Pretrained', checkpoint=save_weights(lost, tmp_path / 'lost.pth'))).init_weights()


@pytest.mark.parametrize('arguments,message', [
    (dict(merge_tokens=12), r'merge_tokens=12 in each of 3 blocks merges 36 of 36 tokens away.*give 11 or less'),
    (dict(merge_tokens=0.5), r'merges 54 of 36 tokens'),
    (dict(merge_tokens=20, img_size=(64, 48)), r'merges 60 of 48 tokens away.*give 15 or less'),
    (dict(merge_tokens='5'), "merge_tokens must be .* got '5'"), (dict(merge_tokens=0.7), 'merge_tokens must be'),
    (dict(model_name='vit_small_patch16_18x2_224'), 'plain ViT blocks alone.*these are of ParallelThingsBlock'),
    (dict(out_indices=(3, )), 'out_indices'), (dict(frozen_layers=4), 'frozen_layers')])
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(lively=False, **arguments)


def test_a_misspelt_argument_is_a_type_error():
    with pytest.raises(TypeError, match='r'):
        build(r=4)
    with pytest.raises(TypeError):
        ToMe(8)  # keywords only: MMSegmentation configs have no positions
