"""Every family of ViTs with random weights: what an encoder takes of it computes what timm's model does."""
import re

import pytest
import torch
from timm.models.naflexvit import NaFlexVit, NaFlexVitCfg
from warm_starts import ARCH, FAMILIES, HEADS, LAYERS, WIDTH, begun, encoder_for, images, random_vit

from mmseg_vittm.errors import CheckpointError
from mmseg_vittm.weights.report import LoadReport
from mmseg_vittm.weights.warm_start.images import HALF, IMAGENET, OPENAI
from mmseg_vittm.weights.warm_start.source import source_of


def features_of(vit) -> list[torch.Tensor]:
    """The patches of a timm model after each block, the last after the final norm where it has one."""
    with torch.no_grad():
        maps = vit.forward_intermediates(images(), intermediates_only=True, output_fmt='NLC')
        last = vit.forward_intermediates(images(), indices=[LAYERS - 1], intermediates_only=True, output_fmt='NLC',
                                         norm=True)
    return [*maps[:-1], last[-1]]


def assert_same_features(encoder, state: dict, vit) -> None:
    """What an encoder takes from a state computes what a timm model does."""
    _, report, teacher = begun(encoder, state)
    with torch.no_grad():
        ours = teacher.features(images())[1:]
    for mine, theirs in zip(ours, features_of(vit), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)
    counts = [*report.started.values()]
    assert report.tensors + sum(tensors for tensors, _ in counts) == len(encoder.state_dict())
    assert report.parameters + sum(numbers for _, numbers in counts) == sum(
        tensor.numel() for tensor in encoder.state_dict().values())


@pytest.mark.parametrize('family', FAMILIES)
def test_timm(family):
    vit = random_vit(family)
    assert_same_features(encoder_for(family), vit.state_dict(), vit)


def clip_names(state: dict, prefix: str = 'visual.') -> dict:
    """A ViT's weights by OpenAI's and open_clip's names, with some of a text tower."""
    renamed = {'logit_scale': torch.ones(()), 'token_embedding.weight': torch.ones(3, 3)}
    for name, tensor in state.items():
        for theirs, ours in ((r'patch_embed\.proj', 'conv1'), (r'^cls_token$', 'class_embedding'), (r'^pos_embed$',
                             'positional_embedding'), (r'^norm_pre', 'ln_pre'), (r'^norm', 'ln_post'),
                             (r'^blocks', 'transformer.resblocks'), (r'\.norm(\d)', r'.ln_\1'),
                             (r'attn\.qkv\.', 'attn.in_proj_'), (r'attn\.proj', 'attn.out_proj'),
                             (r'mlp\.fc1', 'mlp.c_fc'), (r'mlp\.fc2', 'mlp.c_proj')):
            name = re.sub(theirs, ours, name)
        if not name.startswith('head'):
            renamed[prefix + name] = tensor.flatten() if name == 'class_embedding' else (
                tensor[0] if name == 'positional_embedding' else tensor)
    return renamed | {f'{prefix}proj': torch.ones(WIDTH, 8)}


@pytest.mark.parametrize('prefix', ['visual.', 'module.visual.'])
def test_clip_by_its_own_names(prefix):
    vit = random_vit('clip')
    assert_same_features(encoder_for('clip'), clip_names(vit.state_dict(), prefix), vit)


def test_openai_clip_needs_its_activation():
    from timm.layers import QuickGELU
    vit = random_vit('clip', act_layer=QuickGELU)
    state = clip_names(vit.state_dict()) | dict(input_resolution=torch.tensor(224))
    with pytest.raises(CheckpointError, match="does not fit the options of this model; give activation='quick_gelu'"):
        begun(encoder_for('clip'), state)
    assert_same_features(encoder_for('clip', activation='quick_gelu'), state, vit)


def test_open_clip_with_the_vit_of_timm():
    vit = random_vit('siglip')
    state = {f'visual.trunk.{name}': tensor for name, tensor in vit.state_dict().items()}
    assert_same_features(encoder_for('siglip'), state | {'text.a.weight': torch.ones(2), 'logit_bias': torch.ones(1)},
                         vit)


@pytest.mark.parametrize('registers', [False, True])
def test_dinov2_by_the_names_of_meta(registers):
    """With registers, its positions are of the class token and the patches alone."""
    vit = random_vit('dinov2_reg' if registers else 'dinov2')
    state = {name: tensor for name, tensor in vit.state_dict().items() if not name.startswith('head')}
    state['mask_token'] = torch.ones(1, WIDTH)
    if registers:
        state['register_tokens'] = state.pop('reg_token')
        of_class = torch.randn(1, 1, WIDTH, generator=torch.Generator().manual_seed(5))
        state['cls_token'] = state['cls_token'] - of_class
        state['pos_embed'] = torch.cat([of_class, state['pos_embed']], dim=1)
    assert_same_features(encoder_for('dinov2'), state, vit)


def test_dinov2_giant_by_the_names_of_meta():
    vit = random_vit('dinov2_giant')
    state = {re.sub(r'mlp\.fc2', 'mlp.w3', re.sub(r'mlp\.fc1', 'mlp.w12', name)): tensor
             for name, tensor in vit.state_dict().items() if not name.startswith('head')}
    assert_same_features(encoder_for('dinov2_giant'), state, vit)


@pytest.mark.parametrize('family', ['dinov3_bias', 'dinov3_plus'])
def test_dinov3_by_the_names_of_meta(family):
    """The keys' bias of its files is masked out by another tensor of theirs."""
    vit, state = random_vit(family), {'rope_embed.periods': torch.ones(4), 'mask_token': torch.ones(1, WIDTH)}
    for name, tensor in vit.state_dict().items():
        for theirs, ours in ((r'reg_token', 'storage_tokens'), (r'gamma_(\d)', r'ls\1.gamma'),
                             (r'mlp\.fc1_g', 'mlp.w1'), (r'mlp\.fc1_x', 'mlp.w2'),
                             (r'mlp\.fc2', 'mlp.w3' if family == 'dinov3_plus' else 'mlp.fc2')):
            name = re.sub(theirs, ours, name)
        if 'v_bias' in name:
            query = vit.state_dict()[name.replace('v_bias', 'q_bias')]
            state[name.replace('v_bias', 'qkv.bias')] = torch.cat([query, torch.ones(WIDTH), tensor])
            state[name.replace('v_bias', 'qkv.bias_mask')] = torch.ones(3 * WIDTH)
        elif 'q_bias' not in name and not name.startswith(('fc_norm', 'head')):
            state[name] = tensor
    assert_same_features(encoder_for(family), state, vit)


def test_a_masked_autoencoder():
    vit = random_vit('vit')
    more = {name: torch.ones(2) for name in ('mask_token', 'decoder_embed.weight', 'decoder_pos_embed')}
    assert_same_features(encoder_for('vit'), vit.state_dict() | more, vit)


@pytest.mark.parametrize(('family', 'images_of'), [
    ('vit', HALF), ('siglip', HALF), ('deit_distilled', IMAGENET), ('deit3', IMAGENET), ('dinov2', IMAGENET),
    ('dinov3', IMAGENET), ('clip', OPENAI), ('eva02_base', OPENAI)])
def test_how_a_family_has_its_images(family, images_of):
    assert source_of(random_vit(family).state_dict(), LoadReport('vit.pth')).images == images_of


def test_naflex():
    torch.manual_seed(0)
    vit = NaFlexVit(NaFlexVitCfg(patch_size=16, embed_dim=WIDTH, depth=LAYERS, num_heads=HEADS, mlp_ratio=4.0,
                                 pos_embed='learned', pos_embed_grid_size=(4, 4), class_token=False, reg_tokens=0,
                                 global_pool='map'), num_classes=0).eval()
    encoder = encoder_for('siglip')
    _, _, teacher = begun(encoder, vit.state_dict())
    with torch.no_grad():
        ours = teacher.features(images())[-1]
        theirs = vit.forward_features(images())
        theirs = theirs['patches'] if isinstance(theirs, dict) else theirs
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('family', [name for name in FAMILIES if 'rope' in FAMILIES[name][2]])
def test_rotary_positions_are_refused_without_the_option(family):
    encoder = encoder_for(family, rope=None)
    with pytest.raises(CheckpointError, match="rotary positions, without which .*give .*rope='dinov3' for DINOv3"):
        begun(encoder, random_vit(family).state_dict())


def test_no_rotary_positions_where_the_model_has_them():
    with pytest.raises(CheckpointError, match='has no rotary positions; give rope=None'):
        begun(encoder_for('vit', rope='dinov3'), random_vit('vit').state_dict())


@pytest.mark.parametrize(('family', 'given', 'remedy'), [
    ('deit3', dict(layer_scale=None), 'layer_scale=True'), ('vit', dict(layer_scale=0.1), 'layer_scale=False'),
    ('vit_qk_norm', dict(qk_norm=False), 'qk_norm=True'), ('eva02_base', dict(mlp='swiglu'), "mlp='swiglu_norm'"),
    ('dinov2_giant', dict(mlp='mlp'), "mlp='swiglu'"), ('vit', dict(arch=ARCH | dict(mlp_ratio=2.0)), 'mlp_ratio=4')])
def test_an_option_that_is_missing_is_named(family, given, remedy):
    with pytest.raises(CheckpointError, match=f'give .*{re.escape(remedy)}'):
        begun(encoder_for(family, **given), random_vit(family).state_dict())


@pytest.mark.parametrize(('more', 'what'), [
    ('rel_pos_bias.relative_position_bias_table', "BEiT's relative positions"),
    ('blocks.0.attn.relative_position_bias_table', "BEiT's relative positions"),
    ('rope.freqs', 'learned in each block'), ('blocks.0.attn.norm.weight', 'a norm inside the attention'),
    ('blocks.0.attn.gate.weight', 'a gate'), ('blocks.0.0.norm1.weight', 'blocks in chunks'),
    ('something.weight', 'that are not known: something.weight')])
def test_what_cannot_be_carried_is_refused_by_name(more, what):
    state = random_vit('vit').state_dict() | {more: torch.ones(3)}
    with pytest.raises(CheckpointError, match=what):
        begun(encoder_for('vit'), state)


@pytest.mark.parametrize(('state', 'remedy'), [
    ({'encoder.memory_stream.proj.weight': torch.ones(1)}, 'give it as pretrained=FILE'),
    ({'process_pos_embed': torch.ones(1)}, 'give it as pretrained=FILE'),
    ({'backbone.encoder.blocks.0.read_norm.weight': torch.ones(1)}, 'give it as pretrained=FILE'),
    ({'embeddings.patch_embeddings.projection.weight': torch.ones(1)}, "give timm's file"),
    ({'conv1.weight': torch.ones(1)}, 'no ViT of a known family'),
    ({'patch_embed.proj.weight': torch.ones(1, 3, 2, 2)}, 'no whole ViT')])
def test_what_is_no_vit_is_refused(state, remedy):
    with pytest.raises(CheckpointError, match=remedy):
        begun(encoder_for('vit'), state)
