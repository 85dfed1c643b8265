"""LookupViT as a backbone: its block written out, what is shared, sizes of every kind, weights, what is refused."""
import math

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from tiny_models import TINY, assert_no_dead_parameters, images, random_loss, save_weights
from warm_starts import random_vit

from mmseg_vittm.backbones.lookupvit import LookupViT
from mmseg_vittm.errors import CheckpointError, InputError

HEADS_COUNT = TINY['num_heads']
KINDS = ('lookup', 'compressed', 'concat')


def build(lively: bool = True, **changes) -> LookupViT:
    """A backbone whose weights are all random: fresh norms and biases would hide a wrong order."""
    torch.manual_seed(0)
    backbone = MODELS.build(dict(type='LookupViT', arch=TINY, img_size=56, patch_size=7, compressed_grid=3) | changes)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in backbone.parameters() if lively else ():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return backbone.eval()


# The equations, written out: nothing below calls the backbone.

def normed(tokens, weights, name):
    mean, variance = tokens.mean(-1, keepdim=True), tokens.var(-1, keepdim=True, unbiased=False)
    return (tokens - mean) / (variance + 1e-6).sqrt() * weights[f'{name}.weight'] + weights[f'{name}.bias']


def linear(tokens, weights, name):
    return torch.einsum('bnc,dc->bnd', tokens, weights[f'{name}.weight']) + weights[f'{name}.bias']


def mlp(tokens, weights, name):
    hidden = linear(tokens, weights, f'{name}.fc1')
    return linear(hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2))), weights, f'{name}.fc2')


def by_heads(tokens):
    return tokens.reshape(*tokens.shape[:2], HEADS_COUNT, -1)


def attention(q, k, v):
    scores = torch.einsum('bmhc,bnhc->bhmn', by_heads(q), by_heads(k)) / math.sqrt(q.shape[-1] / HEADS_COUNT)
    return torch.einsum('bhmn,bnhc->bmhc', scores.softmax(-1), by_heads(v)).flatten(2), scores


def block_written_out(compressed, lookup, weights, i, shared, gives_back=True):
    block = f'encoder.blocks.{i}'
    exchange = 'encoder.exchange' if shared else f'{block}.exchange'
    asking, asked = normed(compressed, weights, f'{block}.gather_norm'), normed(lookup, weights, f'{block}.lookup_norm')
    q, k, v = (linear(tokens, weights, f'{exchange}.{part}') for tokens, part in (
        (asking, 'q'), (asked, 'k'), (asked, 'v')))
    gathered, scores = attention(q, k, v)
    compressed = compressed + gathered
    qkv = linear(normed(compressed, weights, f'{block}.encoder.norm1'), weights, f'{block}.encoder.attn.qkv')
    compressed = compressed + linear(attention(*qkv.chunk(3, dim=2))[0], weights, f'{block}.encoder.attn.proj')
    hidden = normed(compressed, weights, f'{block}.encoder.norm2')
    compressed = compressed + mlp(hidden, weights, f'{block}.encoder.mlp')
    if gives_back:
        v = linear(normed(compressed, weights, f'{block}.infuse_norm'), weights, f'{exchange}.give_back')
        given = torch.einsum('bhmn,bmhc->bnhc', scores.softmax(-2), by_heads(v)).flatten(2)  # each lookup token's own
        lookup = lookup + given
        lookup = lookup + mlp(normed(lookup, weights, f'{block}.mlp_norm'), weights, f'{exchange}.mlp')
    return compressed, lookup


def written_out(x, weights, out_tokens='lookup', shared=False, outputs=(0, 1, 2), patch=7, few=(3, 3)):
    x = F.pad(x, (0, -x.shape[3] % patch, 0, -x.shape[2] % patch))
    grid = x.shape[2] // patch, x.shape[3] // patch
    kernel, positions = (weights[f'encoder.patches.{name}'] for name in ('proj.weight', 'pos_embed.weight'))
    positions = F.interpolate(positions.permute(0, 3, 1, 2), grid, mode='bicubic', antialias=True)
    lookup = F.unfold(x, patch, stride=patch).transpose(1, 2) @ kernel.flatten(1).T
    lookup = lookup + weights['encoder.patches.proj.bias'] + positions.flatten(2).transpose(1, 2)
    whole = lookup.transpose(1, 2).reshape(len(x), -1, *grid)
    compressed = F.interpolate(whole, few, mode='bilinear', antialias=True).flatten(2).transpose(1, 2)
    maps = []
    for i in range(outputs[-1] + 1):
        gives_back = out_tokens != 'compressed' or i < outputs[-1]
        compressed, lookup = block_written_out(compressed, lookup, weights, i, shared, gives_back)
        if i in outputs:
            one, other = ((normed(tokens, weights, f'norms.{name}') if i == 2 and f'norms.{name}.weight' in weights
                           else tokens) for name, tokens in (('lookup', lookup), ('compressed', compressed)))
            one = one.transpose(1, 2).reshape(len(x), -1, *grid)
            other = other.transpose(1, 2).reshape(len(x), -1, *few)
            finest = tuple(map(max, grid, few))
            both = [F.interpolate(part, finest, mode='bilinear', align_corners=False) for part in (one, other)]
            maps.append(dict(lookup=one, compressed=other, concat=torch.cat(both, dim=1))[out_tokens])
    return tuple(maps)


def state_of(backbone: LookupViT) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone().requires_grad_() for name, weight in backbone.named_parameters()}


@pytest.mark.parametrize('share_exchange', [False, True])
@pytest.mark.parametrize('out_tokens', KINDS)
@pytest.mark.parametrize('outputs', [(0, 1, 2), (1, )])
def test_equals_the_equations_written_out(out_tokens, share_exchange, outputs):
    """In float64, but for the first compressed tokens, which are resampled in float32."""
    options = dict(out_tokens=out_tokens, share_exchange=share_exchange, out_indices=outputs)
    backbone, x = build(**options).double().train(), images().double()
    weights = state_of(backbone)
    maps, expected = backbone(x), written_out(x, weights, out_tokens, share_exchange, outputs)
    torch.testing.assert_close(maps, expected, atol=2e-6, rtol=1e-6)
    assert all(tensor.is_contiguous() for tensor in maps)
    random_loss(maps).backward()
    random_loss(expected).backward()
    for name, weight in backbone.named_parameters():
        gradient = weights[name].grad
        assert (weight.grad - gradient).norm() <= 1e-6 * (1 + gradient.norm()), name


@pytest.mark.parametrize('height,width,batch', [(45, 71, 1), (112, 63, 2), (7, 90, 1), (14, 14, 3), (1, 1, 2)])
@pytest.mark.parametrize('out_tokens', KINDS)
@torch.no_grad()
def test_odd_sizes(height, width, batch, out_tokens):
    """As many compressed tokens at any size, at those too where they are more than the patches."""
    backbone, x = build(out_tokens=out_tokens, out_indices=(0, -1)).double(), images(height, width, batch).double()
    maps = backbone(x)
    grid = -(-height // 7), -(-width // 7)
    for tensor, expected in zip(maps, written_out(x, state_of(backbone), out_tokens, False, (0, 2)), strict=True):
        torch.testing.assert_close(tensor, expected, atol=2e-6, rtol=1e-6)
        assert tuple(tensor.shape[2:]) == dict(lookup=grid, compressed=(3, 3), concat=tuple(map(max, grid, (3, 3))))[
            out_tokens]
    compressed, lookup = backbone.encoder.intermediates(x, [1])[0]
    assert compressed.shape == (batch, 9, 48) and lookup.shape == (batch, grid[0] * grid[1], 48)


@torch.no_grad()
def test_grids_that_are_no_squares():
    options = dict(img_size=(56, 84), patch_size=(14, 7), compressed_grid=(2, 5), out_indices=(0, 2))
    for out_tokens, grid in (('lookup', (4, 12)), ('compressed', (2, 5))):
        maps = build(out_tokens=out_tokens, **options)(images(56, 84))
        assert [tuple(tensor.shape) for tensor in maps] == [(2, 48, *grid)] * 2
    backbone = build(compressed_grid=(2, 5)).double()
    expected = written_out(images().double(), state_of(backbone), few=(2, 5), outputs=(2, ))
    torch.testing.assert_close(backbone(images().double()), expected, atol=2e-6, rtol=1e-6)


def test_a_shared_exchange_is_one_module():
    shared, apart = build(share_exchange=True), build()
    assert shared.encoder.exchange is not None and all(block.exchange is None for block in shared.encoder.blocks)
    of_one = sum(weight.numel() for weight in shared.encoder.exchange.parameters())
    difference = (sum(weight.numel() for weight in backbone.parameters()) for backbone in (apart, shared))
    assert next(difference) - next(difference) == 2 * of_one
    with torch.no_grad():
        before = shared(images())[0]
        shared.encoder.exchange.give_back.weight.mul_(2)
        assert not torch.allclose(shared(images())[0], before, atol=1e-3)
    ratio = build(lookup_mlp_ratio=2.0, share_exchange=True).encoder.exchange.mlp
    assert ratio.fc1.weight.shape == (96, 48)


def test_both_ways_go_by_one_table_of_scores(monkeypatch):
    """Scores are made once in a block, by the compressed tokens' queries before the encoder."""
    backbone, called = build(), []
    for block in backbone.encoder.blocks:
        for name in ('q', 'k', 'v', 'give_back'):
            getattr(block.exchange, name).register_forward_hook(lambda *args, name=name: called.append(name))
    backbone(images())
    assert called == ['q', 'k', 'v', 'give_back'] * 3


@pytest.mark.parametrize('out_tokens', KINDS)
@pytest.mark.parametrize('share_exchange', [False, True])
@pytest.mark.parametrize('out_indices', [(0, ), (1, ), (0, 2), (-1, )])
def test_no_dead_parameters(out_tokens, share_exchange, out_indices):
    backbone = build(False, out_tokens=out_tokens, share_exchange=share_exchange, out_indices=out_indices).train()
    # A softmax over lookup tokens does not see what is added to all of them; that over compressed tokens does.
    last = '' if share_exchange and backbone.out_indices[-1] else f'blocks.{backbone.out_indices[-1]}.'
    names = [f'{last}exchange.k.bias'] * (out_tokens == 'compressed' and (not share_exchange or bool(last)))
    names = ['encoder.exchange.k.bias'] if share_exchange and names else names
    assert_no_dead_parameters(backbone, backbone(images()), tuple(names), 1e-12)
    assert len(backbone.encoder.blocks) == backbone.out_indices[-1] + 1
    assert any('norms' in name for name, _ in backbone.named_parameters()) == (backbone.out_indices[-1] == 2)


def test_recomputed_blocks_give_the_same_gradients():
    for share_exchange in (False, True):
        gradients, runs = [], []
        for with_cp in (False, True):
            backbone = build(with_cp=with_cp, share_exchange=share_exchange, out_indices=(0, 2), out_tokens='concat',
                             drop_path_rate=0.3).train()
            backbone.encoder.blocks[1].gather_norm.register_forward_hook(lambda *args: runs.append(1))  # noqa: B023
            torch.manual_seed(3)
            random_loss(backbone(images())).backward()
            gradients.append([weight.grad for weight in backbone.parameters()])
        assert len(runs) == 3  # once, and twice
        torch.testing.assert_close(*gradients)


def test_stochastic_depth_rises_and_draws_for_every_branch():
    backbone = build(drop_path_rate=0.4, arch=TINY | dict(num_layers=5))
    rates = [getattr(block.encoder.drop_path1, 'drop_prob', 0) for block in backbone.encoder.blocks]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    early = build(drop_path_rate=0.4, arch=TINY | dict(num_layers=5), out_indices=(2, ))
    assert [getattr(block.encoder.drop_path1, 'drop_prob', 0)
            for block in early.encoder.blocks] == pytest.approx(rates[:3])
    drawn = []
    last = backbone.train().encoder.blocks[-1].encoder
    for drop in (last.drop_path1, last.drop_path2):
        drop.register_forward_hook(lambda module, args, out: drawn.append(bool(out.any())))
    torch.manual_seed(2)
    for _ in range(30):
        backbone(images(batch=1))
    branches = torch.tensor(drawn).view(30, 5)  # gathered, attention, MLP, given back, lookup tokens' MLP
    assert (branches.float().mean(dim=0) > 0.3).all() and (branches.float().mean(dim=0) < 0.9).all()
    assert len({tuple(row.tolist()) for row in branches}) > 8


@pytest.mark.parametrize('share_exchange', [False, True])
@pytest.mark.parametrize('frozen_layers', [-1, 0, 2, 3])
def test_frozen_layers(frozen_layers, share_exchange):
    """A shared exchange is held where all is."""
    backbone = build(frozen_layers=frozen_layers, drop_path_rate=0.5, share_exchange=share_exchange).eval().train()
    trained = {name for name, weight in backbone.named_parameters() if weight.requires_grad}
    held = () if frozen_layers < 0 else ('encoder.patches.', *(f'encoder.blocks.{i}.' for i in range(frozen_layers)))
    held = ('encoder.', 'norms.') if frozen_layers == 3 else held
    assert trained == {name for name, _ in backbone.named_parameters() if not name.startswith(held or '\0')}
    for i, block in enumerate(backbone.encoder.blocks):
        assert all(module.training == (i >= frozen_layers) for module in block.modules())
    maps = backbone(images())
    if trained:
        random_loss(maps).backward()
    assert {name for name, weight in backbone.named_parameters() if weight.grad is not None} == trained


@pytest.mark.parametrize('out_tokens', ['lookup', 'concat'])
@torch.no_grad()
def test_out_indices(out_tokens):
    backbone = build(out_indices=(0, 1, 2), out_tokens=out_tokens)
    maps = backbone(images())
    for index in range(3):
        single = build(out_indices=(index, ), out_tokens=out_tokens)
        single.load_state_dict({name: backbone.state_dict()[name] for name in single.state_dict()})
        assert torch.equal(single(images())[0], maps[index])


@torch.no_grad()
def test_images_of_a_batch_do_not_meet():
    backbone, x = build(out_tokens='concat'), images(batch=4)
    torch.testing.assert_close(backbone(x)[0], torch.cat([backbone(one[None])[0] for one in x]), atol=1e-5, rtol=1e-5)


# Weight files.

def load(path: str, **changes) -> LookupViT:
    backbone = build(init_cfg=dict(type='Pretrained', checkpoint=path), **changes)
    backbone.init_weights()
    return backbone


@pytest.mark.parametrize('ending', ['.pth', '.safetensors'])
@pytest.mark.parametrize('share_exchange', [False, True])
@torch.no_grad()
def test_own_and_whole_checkpoints(tmp_path, ending, share_exchange):
    torch.manual_seed(5)
    backbone = build(share_exchange=share_exchange, out_tokens='concat')
    for weight in backbone.parameters():
        weight.add_(0.1 * torch.randn(weight.shape))
    own = save_weights(backbone.state_dict(), tmp_path / f'own{ending}')
    whole = {f'backbone.{name}': weight for name, weight in backbone.state_dict().items()}
    whole = save_weights(whole | {'decode_head.bias': torch.zeros(3)}, tmp_path / f'whole{ending}')
    for path in (own, whole):
        loaded = load(path, share_exchange=share_exchange, out_tokens='concat')
        torch.testing.assert_close(loaded(images()), backbone(images()), atol=0, rtol=0)


@pytest.mark.parametrize('share_exchange', [False, True])
@pytest.mark.parametrize('out_tokens', KINDS)
@pytest.mark.parametrize('out_indices', [(0, ), (1, ), (0, 2)])
@torch.no_grad()
def test_what_a_smaller_model_leaves_out(tmp_path, out_tokens, out_indices, share_exchange, log_lines):
    """Unbuilt blocks, the last one's way back where compressed tokens alone come out, norms."""
    whole = build(share_exchange=share_exchange, out_tokens='concat', out_indices=(0, 1, 2))
    path = save_weights(whole.state_dict(), tmp_path / 'own.pth')
    backbone = load(path, share_exchange=share_exchange, out_tokens=out_tokens, out_indices=out_indices)
    expected = dict(zip(range(3), whole(images()), strict=True))
    for index, tensor in zip(backbone.out_indices, backbone(images()), strict=True):
        if out_tokens == 'compressed':
            assert tensor.shape == (2, 48, 3, 3)
        else:
            torch.testing.assert_close(tensor, expected[index][:, :tensor.shape[1]], atol=1e-5, rtol=1e-5)
    for name, weight in backbone.state_dict().items():
        assert torch.equal(weight, whole.state_dict()[name]), name
    dropped = len(backbone.state_dict()) < len(whole.state_dict())
    assert any('for outputs that this model does not give' in line for line in log_lines.of('INFO')) == dropped


@torch.no_grad()
def test_positions_are_resampled(tmp_path):
    weights = build().state_dict()
    backbone = load(save_weights(weights, tmp_path / 'own.pth'), img_size=(42, 112))
    expected = F.interpolate(weights['encoder.patches.pos_embed.weight'].permute(0, 3, 1, 2), (6, 16), mode='bicubic',
                             antialias=True).permute(0, 2, 3, 1)
    torch.testing.assert_close(backbone.encoder.patches.pos_embed.weight, expected)
    torch.testing.assert_close(build(compressed_grid=5).state_dict(), weights, atol=0, rtol=0)  # it has no weights


@pytest.mark.parametrize('weights,changes,message', [
    (lambda state: {name: weight for name, weight in state.items() if name != 'encoder.blocks.1.exchange.k.bias'}, {},
     r'missing \(1\): encoder.blocks.1.exchange.k.bias'),
    (lambda state: state | {'encoder.blocks.3.gather_norm.weight': torch.ones(48)}, {},
     r'unexpected \(1\): encoder.blocks.3.gather_norm.weight'),
    (lambda state: state, dict(out_tokens='compressed'), r'missing \(2\): norms.compressed.weight'),
    (lambda state: state, dict(out_tokens='concat'), r'missing \(2\): norms.compressed.weight'),
    (lambda state: state, dict(share_exchange=True), r'missing \(\d+\): encoder.exchange.q.weight'),
    (lambda state: state, dict(arch=TINY | dict(embed_dims=24)), 'of another shape'),
    (lambda state: state, dict(lookup_mlp_ratio=1.0), 'of another shape'),
    (lambda state: {'vit.cls_token': torch.zeros(1, 1, 48)}, {}, 'neither')])
def test_what_does_not_fit_is_refused(tmp_path, weights, changes, message):
    path = save_weights(weights(build().state_dict()), tmp_path / 'own.pth')
    with pytest.raises(CheckpointError, match=message):
        load(path, **changes)


def test_weights_of_a_vittm_are_refused(tmp_path):
    vittm = MODELS.build(dict(type='ViTTM', arch=TINY, img_size=56, process_patch_size=14, memory_patch_size=14))
    with pytest.raises(CheckpointError, match='neither'):
        load(save_weights(vittm.state_dict(), tmp_path / 'vittm.pth'))


def test_a_warm_start_is_refused(tmp_path):
    path = save_weights(random_vit('vit').state_dict(), tmp_path / 'vit.pth')
    backbone = build(arch=dict(embed_dims=64, num_layers=2, num_heads=4, mlp_ratio=4.0),
                     init_cfg=dict(type='WarmStart', checkpoint=path))
    with pytest.raises(InputError, match="is for ViTTM, ViTBackbone, ToMe and ALGM.*init_cfg type='Pretrained'"):
        backbone.init_weights()


# What is refused.

@pytest.mark.parametrize('arguments,message', [
    (dict(compressed_grid=9), 'compressed_grid 9 x 9 is finer than the grid of 8 x 8 patches of 7 x 7 pixels'),
    (dict(compressed_grid=(3, 9)), 'compressed_grid 3 x 9 is finer than the grid of 8 x 8 patches'),
    (dict(compressed_grid=0), 'compressed_grid must be a positive integer'),
    (dict(compressed_grid=2.5), 'compressed_grid must be a positive integer'),
    (dict(out_tokens='memory'), r"out_tokens must be one of \['compressed', 'concat', 'lookup'\], got 'memory'"),
    (dict(arch='huge'), "arch must be one of .* got 'huge'"), (dict(arch=TINY | dict(num_heads=5)), 'num_heads'),
    (dict(img_size=0), 'img_size must be'), (dict(patch_size=(7, 0)), 'patch_size must be'),
    (dict(lookup_mlp_ratio=0), 'lookup_mlp_ratio must be a number by which .* at width .*, got 0'),
    (dict(lookup_mlp_ratio='1'), "got '1'"), (dict(lookup_mlp_ratio=True), 'got True'),
    (dict(drop_path_rate=1.0), r'drop_path_rate must be in \[0, 1\), got 1.0'),
    (dict(out_indices=(3, )), 'out_indices must be ascending block indices from -3 to 2'),
    (dict(frozen_layers=4), r'frozen_layers must be from -1 \(none\) to 3')])
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(False, **arguments)


def test_a_misspelt_argument_is_a_type_error():
    with pytest.raises(TypeError, match='num_compressed_tokens'):
        build(num_compressed_tokens=9)
    with pytest.raises(TypeError):
        LookupViT('base')  # keywords only: MMSegmentation configs have no positions


def test_the_papers_parameters():
    """90 M of base with a linear classifier of 1000 classes, by a shared exchange (the ViTTM paper's Table 1)."""
    with torch.device('meta'):
        backbone = LookupViT(arch='base', share_exchange=True)
    count = sum(weight.numel() for weight in backbone.parameters()) + 768 * 1000 + 1000
    assert round(count / 1e6) == 90
