"""The classifiers in timm: the conventions that timm's own tests check of its models."""
import copy
import pickle

import pytest
import timm
import torch
from timm.models import get_pretrained_cfg
from timm.optim import create_optimizer_v2
from tiny_models import assert_no_dead_parameters, images

from mmseg_vittm.vittm import Both

NAMES = ('vittm_tiny_patch28_224', 'vittm_small_patch28_224', 'vittm_base_patch28_224', 'vittm_large_patch28_224',
         'vittm_base_patch32_16_224')
HEADS = ('memory', 'process', 'mean')
# 16 process and 49 memory tokens.
SMALL = dict(embed_dim=48, depth=3, num_heads=4, img_size=56, process_patch_size=14, memory_patch_size=8)


def small(**changes) -> torch.nn.Module:
    """A classifier of 5 classes, 3 blocks and 56 pixels; the same weights at every call."""
    torch.manual_seed(0)
    return timm.create_model('vittm_base_patch28_224', **dict(SMALL, num_classes=5) | changes).eval()


def as_tuple(features) -> tuple:
    """Features of one stream or both, as a tuple of tensors."""
    return tuple(features) if isinstance(features, Both) else (features, )


def test_names():
    assert set(timm.list_models('vittm*')) == set(NAMES)
    assert not timm.list_models('vittm*', pretrained=True)


@pytest.mark.parametrize('name', NAMES)
def test_what_timm_keeps_of_a_model(name):
    with torch.device('meta'):
        model = timm.create_model(name)
        tokens = model.forward_tokens(torch.empty(1, 3, 224, 224))
    cfg = model.default_cfg
    assert cfg is model.pretrained_cfg and cfg['architecture'] == name
    assert (cfg['mean'], cfg['std'], cfg['input_size'], cfg['num_classes']) == ((0.5, ) * 3, (0.5, ) * 3,
                                                                                (3, 224, 224), 1000)
    state = model.state_dict()
    assert all(f'{part}.weight' in state for part in (*cfg['classifier'], *cfg['first_conv']))
    assert all(state[f'{part}.weight'].shape[0] == 1000 for part in cfg['classifier'])
    width = dict(tiny=192, small=384, base=768, large=1024)[name.split('_')[1]]
    assert model.num_features == model.head_hidden_size == width and model.num_classes == 1000
    count = (49, 196) if '32_16' in name else (64, 64)
    assert [stream.shape[1] for stream in tokens] == list(count)
    data = timm.data.resolve_data_config(model=model)
    assert data['input_size'] == (3, 224, 224) and data['mean'] == data['std'] == (0.5, 0.5, 0.5)
    assert get_pretrained_cfg(name).crop_pct == 0.9 and data['interpolation'] == 'bicubic'


@pytest.mark.parametrize('head', HEADS)
@torch.no_grad()
def test_forward_and_its_halves(head):
    model, x = small(head=head), images()
    process, memory = model.forward_heads(x)
    logits = dict(memory=memory, process=process, mean=(process + memory) / 2)
    assert model(x).shape == (2, 5)
    torch.testing.assert_close(model(x), logits[head])
    features = model.forward_features(x)
    torch.testing.assert_close(model.forward_head(features), logits[head])
    pooled = model.forward_head(features, pre_logits=True)
    assert pooled.shape == (2, 48)
    model.reset_classifier(0)
    torch.testing.assert_close(model(x), pooled)
    torch.testing.assert_close(small(head=head, num_classes=0)(x), pooled)
    assert (model.num_classes, small(head=head, num_classes=0).num_classes) == (0, 0)
    shapes = dict(memory=(2, 49, 48), process=(2, 16, 48))  # as timm's ViT: (B, N, C)
    assert head == 'mean' or features.shape == shapes[head]
    assert not torch.equal(*(small(head=other)(x) for other in HEADS[:2]))


@torch.no_grad()
def test_both_logits_in_training_whatever_the_head():
    for head in (*HEADS, 'both'):
        model = small(head=head).train()
        out = model(images())
        assert type(out) is Both
        for actual, expected in zip(out, model.forward_heads(images()), strict=True):
            torch.testing.assert_close(actual, expected)
    assert type(small(head='both')(images())) is Both


@pytest.mark.parametrize('head', HEADS)
@pytest.mark.parametrize('num_classes', (42, 0))
def test_every_parameter_learns(head, num_classes):
    torch.manual_seed(1)
    model = small(head=head, num_classes=num_classes, drop_rate=0.1, drop_path_rate=0.1).train()
    out = model(images(batch=8))
    assert out.shape == (8, num_classes or 48) and not any(one.isnan().any() for one in out)
    assert_no_dead_parameters(model, out)


def test_the_loss_is_the_sum_of_both_heads():
    model, target = small().train(), torch.tensor([1, 4])
    loss = torch.nn.CrossEntropyLoss()
    expected = sum(loss(logits, target) for logits in model.forward_heads(images()))
    torch.testing.assert_close(loss(model(images()), target), expected)


@pytest.mark.parametrize('pool,shape', [('avg', (2, 5)), ('max', (2, 5)), ('avgmax', (2, 5)), ('', (2, 49, 5))])
@torch.no_grad()
def test_global_pool(pool, shape):
    model, tokens = small(global_pool=pool), torch.randn(2, 49, 48)
    assert model.forward_head(tokens).shape == shape
    pooled = {'avg': tokens.mean(1), 'max': tokens.amax(1), 'avgmax': (tokens.mean(1) + tokens.amax(1)) / 2}.get(
        pool, tokens)
    torch.testing.assert_close(model.forward_head(tokens, pre_logits=True), model.memory_fc_norm(pooled))
    model.reset_classifier(3, 'avg')
    assert model.forward_head(tokens).shape == (2, 3) and model.global_pool == 'avg'


def test_channels_sizes_and_dtypes():
    model = small(in_chans=1, dtype=torch.float64)
    assert model(torch.randn(1, 1, 56, 56, dtype=torch.float64)).dtype == torch.float64
    model.reset_classifier(2)
    assert model.memory_head.weight.dtype == torch.float64 and model.in_chans == 1
    assert small()(images(40, 72)).shape == (2, 5)  # other sizes without another model


@pytest.mark.parametrize('head,channels,grids', [('memory', 48, (7, 7)), ('process', 48, (4, 4)),
                                                 ('mean', 96, (7, 7))])
def test_features_only(head, channels, grids):
    model = small(features_only=True, out_indices=(1, -1), head=head)
    assert model.feature_info.channels() == [channels] * 2
    assert model.feature_info.reduction() == [56 // grids[0]] * 2
    maps = model(images())
    assert [one.shape for one in maps] == [(2, channels, *grids)] * 2
    whole = small(head=head)
    for one, expected in zip(maps, whole.forward_intermediates(images(), (1, 2), intermediates_only=True), strict=True):
        torch.testing.assert_close(one, expected)
    assert_no_dead_parameters(model.train(), model(images()))
    assert len(small(features_only=True)(images())) == 3  # as timm's ViTs


@pytest.mark.parametrize('head', HEADS)
@torch.no_grad()
def test_forward_intermediates(head):
    model, x = small(head=head), images(56, 112)
    final, maps = model.forward_intermediates(x)
    for actual, expected in zip(as_tuple(final), as_tuple(model.forward_features(x)), strict=True):
        assert torch.equal(actual, expected)
    info = timm.models.FeatureInfo(model.feature_info, len(model.feature_info))
    assert len(maps) == len(info) == 3
    for one, channels, reduction in zip(maps, info.channels(), info.reduction(), strict=True):
        assert one.shape[1] == channels and one.shape[2:] == (56 // reduction, 112 // reduction)
    flat = model.forward_intermediates(x, output_fmt='NLC', intermediates_only=True)
    for tokens, one in zip(flat, maps, strict=True):
        assert torch.equal(tokens, one.flatten(2).transpose(1, 2))
    # The last is the final features, but for the norm.
    last = model.forward_intermediates(x, 1, norm=True, output_fmt='NLC', intermediates_only=True)[0]
    if head != 'mean':
        torch.testing.assert_close(last, final)
    assert torch.equal(last, flat[-1]) is (head == 'memory')
    stopped, first = model.forward_intermediates(x, [0], stop_early=True)
    assert len(first) == 1 and torch.equal(first[0], maps[0])
    assert not torch.equal(as_tuple(stopped)[0], as_tuple(final)[0])
    several = model.forward_intermediates(x, [-1, 0], return_prefix_tokens=True, output_dict=True)
    assert all(torch.equal(a, b) for a, b in zip(several['image_intermediates'], (maps[0], maps[2]), strict=True))
    assert set(several) == {'image_intermediates', 'image_features'}


@pytest.mark.parametrize('head', HEADS)
@torch.no_grad()
def test_pruned_layers_change_no_map(head):
    model, x = small(head=head), images()
    expected = model.forward_intermediates(x, [0, 1], intermediates_only=True)
    before = sum(weight.numel() for weight in model.parameters())
    assert model.prune_intermediate_layers([0, -2], prune_norm=True) == [0, 1]
    assert sum(weight.numel() for weight in model.parameters()) < before
    assert len(model.encoder.blocks) == 2 and model.num_classes == 0
    for one, other in zip(model.forward_intermediates(x, [0, 1], intermediates_only=True), expected, strict=True):
        assert torch.equal(one, other)
    model.forward_features(x)


@pytest.mark.parametrize('changes', [
    dict(), dict(process_init='latent'), dict(process_init='downsample', process_patch_size=28)], ids=str)
@torch.no_grad()
def test_another_input_size_or_patch_size(changes):
    model, x = small(**changes), images(112, 56)
    before = model(x)
    model.set_input_size((112, 56))
    torch.testing.assert_close(model(x), before)  # positions are resampled once, instead of at every call
    assert model.encoder.img_size == (112, 56)
    if 'process_init' not in changes:
        built = small(img_size=(112, 56))
        built.load_state_dict(small().state_dict())
        torch.testing.assert_close(built(x), before)
        model.set_input_size(patch_size=7)
        assert [stream.shape[1] for stream in model.forward_tokens(x)] == [128, 128]
        assert model.feature_info[0]['reduction'] == 7


def test_a_size_that_a_head_refuses_changes_nothing():
    model = small(read_write_head='token_summary')
    with pytest.raises(ValueError, match="read_write_head='token_summary' fixes the number of tokens"):
        model.set_input_size(112)
    assert model(images()).shape == (2, 5) and model.encoder.img_size == (56, 56)


def test_a_wrong_patch_size_changes_nothing():
    model = small()
    before = model.encoder.img_size
    with pytest.raises(ValueError, match='patch_size'):
        model.set_input_size(112, patch_size='x')
    assert model.encoder.img_size == before != (112, 112)


def test_gradient_checkpointing_changes_no_gradient():
    gradients = []
    for enable in (False, True):
        model = small().train()
        model.set_grad_checkpointing(enable)
        model(images()).square().mean().backward()
        gradients.append([weight.grad for weight in model.parameters()])
    torch.testing.assert_close(*gradients)


def test_decay_of_weights_and_of_layers():
    model = small()
    skipped = {'encoder.process_stream.pos_embed.weight', 'encoder.memory_stream.pos_embed.weight'}
    assert model.no_weight_decay() == skipped
    named = {id(weight): name for name, weight in model.named_parameters()}
    groups = create_optimizer_v2(model, 'adamw', lr=1e-3, weight_decay=0.1).param_groups
    decayed = {named[id(weight)] for group in groups if group['weight_decay'] for weight in group['params']}
    assert decayed == {name for name, weight in model.named_parameters() if weight.ndim > 1} - skipped
    scales = {named[id(weight)]: group['lr_scale'] for group in create_optimizer_v2(
        model, 'adamw', lr=1e-3, layer_decay=0.5).param_groups for weight in group['params']}
    assert len(scales) == len(named)
    order = ['encoder.memory_stream.proj.weight', 'encoder.blocks.0.read_head.q.weight',
             'encoder.blocks.1.encoder.mlp.fc1.weight', 'encoder.blocks.2.write_norm.weight', 'memory_head.weight']
    assert [scales[name] for name in order] == sorted({scales[name] for name in order})
    assert scales['process_head.bias'] == scales['memory_head.weight'] == 1 and min(scales.values()) == scales[order[0]]


@torch.no_grad()
def test_copies(tmp_path):
    model = small()
    expected = model(images())
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again(images()), expected)
    timm.models.save_for_hf(model, tmp_path / 'first')
    loaded = timm.create_model(f'local-dir:{tmp_path / "first"}', pretrained=True).eval()
    assert torch.equal(loaded(images()), expected)
    loaded.set_input_size(112, patch_size=7)
    timm.models.save_for_hf(loaded, tmp_path / 'second')
    again = timm.create_model(f'local-dir:{tmp_path / "second"}', pretrained=True).eval()
    assert torch.equal(again(images(112, 112)), loaded(images(112, 112)))
    assert again.encoder.img_size == (112, 112) and again.encoder.memory_patch_size == (7, 7)


@pytest.mark.filterwarnings('ignore:.*torch.jit.trace:FutureWarning', 'ignore::torch.jit.TracerWarning')
@pytest.mark.parametrize('head,way', [
    ('memory', torch.jit.trace), ('process', lambda model, x: torch.export.export(model, (x, )).module()),
    ('mean', lambda model, x: torch.compile(model, backend='eager', fullgraph=True))],
    ids=['traced', 'exported', 'compiled'])
@torch.no_grad()
def test_traced_exported_and_compiled(head, way):
    model, x = small(head=head, depth=1), images()
    torch.testing.assert_close(way(model, x)(x), model(x))


@pytest.mark.parametrize('changes,problem', [
    (dict(head='token'), "head must be one of .*'mean', 'memory', 'process'.*, got 'token'"),
    (dict(global_pool='token'), "global_pool must be one of .*, got 'token'"),
    (dict(num_classes=-1), 'num_classes must be 0 or a positive integer, got -1'),
    (dict(num_classes=True), 'num_classes must be 0 or a positive integer, got True'),
    (dict(in_chans=0), 'in_chans must be a whole number from 1, got 0'),
    (dict(drop_path_rate=1.5), r'drop_path_rate must be in \[0, 1\), got 1.5'),
    (dict(embed_dim=50), 'embed_dims must be a multiple of num_heads, got 50 and 4')])
def test_wrong_values(changes, problem):
    with pytest.raises(ValueError, match=problem):
        small(**changes)


def test_misspelt_arguments_and_missing_streams():
    with pytest.raises(TypeError, match='memory_patchsize'):
        small(memory_patchsize=8)
    with pytest.raises(ValueError, match="head='mean' takes both streams"):
        small(head='mean').forward_head(torch.randn(2, 49, 48))
    with pytest.raises(ValueError, match="global_pool='' .* 16 process and 49 memory tokens"):
        small(head='mean', global_pool='')(images())
    with pytest.raises(ValueError, match='output_fmt must be one of'):
        small().forward_intermediates(images(), output_fmt='NHWC')
