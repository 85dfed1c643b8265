"""RevViT: the paper's equations, gradients through inverted blocks, and how little is stored for them."""
import copy
import math
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from tiny_models import ROOT, assert_no_dead_parameters, images, random_loss, save_weights
from warm_starts import random_vit

from mmseg_vittm.backbones.reversible import run_blocks
from mmseg_vittm.backbones.revvit import RevViT
from mmseg_vittm.errors import CheckpointError, InputError
from mmseg_vittm.vittm.streams import resample_positions

ARCH = dict(embed_dims=48, num_layers=12, num_heads=4, mlp_ratio=4.0)
THREE = ARCH | dict(num_layers=3)


def build(**changes) -> RevViT:
    torch.manual_seed(0)
    return MODELS.build(dict(type='RevViT', arch=ARCH, img_size=56, patch_size=14) | changes)


def strong(backbone: RevViT, scale: float = 12.0) -> RevViT:
    """Branches that give as much as those of a trained model, so that streams grow with depth."""
    with torch.no_grad():
        for name, weight in backbone.layers.named_parameters():
            if weight.ndim == 2:
                weight.mul_(scale)
            elif name.endswith('bias'):
                weight.normal_(std=0.1)
    return backbone


def gradients(backbone: RevViT, x: torch.Tensor, seed: int = 3, passes: int = 1, autocast: bool = False,
              within: bool = False) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor | None]]:
    """Maps of the last pass, and the gradients of every parameter and of the images, accumulated over passes."""
    x = x.clone().requires_grad_()
    torch.manual_seed(seed)  # of drop path
    for _ in range(passes):
        with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
            maps = backbone(x)
            loss = random_loss([tensor.float() for tensor in maps])
            if within:
                loss.backward()
        if not within:
            loss.backward()
    return maps, {'images': x.grad, **{name: weight.grad for name, weight in backbone.named_parameters()}}


def assert_equal_gradients(got: dict, expected: dict, tolerance: float = 1e-5) -> None:
    """Every gradient's difference is small beside its own size."""
    assert got.keys() == expected.keys()
    far = {name: float((got[name] - gradient).norm() / gradient.norm()) for name, gradient in expected.items()}
    assert max(far.values()) < tolerance, {name: value for name, value in far.items() if not value < tolerance}


def assert_like_plain_autograd(x: torch.Tensor, tolerance: float = 1e-5, **options) -> None:
    """Maps and gradients of `reversible=True` are those of `reversible=False`."""
    how = {key: options.pop(key) for key in ('passes', 'autocast', 'within') if key in options}
    (maps, got), (plain, expected) = (gradients(build(reversible=reversible, **options).train(), x, **how)
                                      for reversible in (True, False))
    torch.testing.assert_close(maps, plain, atol=tolerance, rtol=tolerance)
    assert_equal_gradients(got, expected, tolerance)


# The equations, written out: nothing below calls the backbone, or timm.

def normed(tokens, weights, name):
    mean, variance = tokens.mean(-1, keepdim=True), tokens.var(-1, keepdim=True, unbiased=False)
    return (tokens - mean) / (variance + 1e-6).sqrt() * weights[f'{name}.weight'] + weights[f'{name}.bias']


def linear(tokens, weights, name):
    return torch.einsum('bnc,dc->bnd', tokens, weights[f'{name}.weight']) + weights[f'{name}.bias']


def attention_branch(tokens, weights, i, heads=4):
    batch, count, dims = tokens.shape
    qkv = linear(normed(tokens, weights, f'layers.{i}.norm1'), weights, f'layers.{i}.attn.qkv')
    q, k, v = qkv.reshape(batch, count, 3, heads, dims // heads).unbind(2)
    scores = torch.einsum('bqhc,bkhc->bhqk', q, k) / math.sqrt(dims // heads)
    read = torch.einsum('bhqk,bkhc->bqhc', scores.softmax(-1), v)
    return linear(read.reshape(batch, count, dims), weights, f'layers.{i}.attn.proj')


def mlp_branch(tokens, weights, i):
    hidden = linear(normed(tokens, weights, f'layers.{i}.norm2'), weights, f'layers.{i}.mlp.fc1')
    return linear(hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2))), weights, f'layers.{i}.mlp.fc2')


def embedded(x, weights, patch=14):
    x = F.pad(x, (0, -x.shape[3] % patch, 0, -x.shape[2] % patch))
    grid = x.shape[2] // patch, x.shape[3] // patch
    patches = F.unfold(x, patch, stride=patch).transpose(1, 2)
    kernel = weights['patch_stream.proj.weight'].flatten(1)
    positions = resample_positions(weights['patch_stream.pos_embed.weight'], grid).flatten(1, 2)
    return patches @ kernel.T + weights['patch_stream.proj.bias'] + positions, grid


def written_out(x, weights, outputs, layers):
    x1, grid = embedded(x, weights)
    x2, maps = x1, []
    for i in range(layers):
        y1 = x1 + attention_branch(x2, weights, i)
        y2 = x2 + mlp_branch(y1, weights, i)
        x1, x2 = y1, y2
        if i in outputs:
            both = torch.cat([x1, x2], -1)
            both = normed(both, weights, 'norm') if i == 11 else both
            maps.append(both.transpose(1, 2).reshape(len(x), -1, *grid))
    return tuple(maps)


@pytest.mark.parametrize('mode', ['reversible', 'plain', 'eval'])
@pytest.mark.parametrize('height,width,batch', [(56, 56, 2), (45, 71, 1)])
def test_equals_the_equations_written_out(mode, height, width, batch):
    backbone = strong(build(out_indices=(1, 6, 11), reversible=mode != 'plain')).double().train(mode != 'eval')
    x, weights = images(height, width, batch).double(), copy.deepcopy(dict(backbone.named_parameters()))
    expected = written_out(x, weights, (1, 6, 11), 12)
    maps = backbone(x)
    assert all(tensor.is_contiguous() for tensor in maps)
    torch.testing.assert_close(maps, expected, atol=1e-10, rtol=1e-10)
    random_loss(expected).backward()
    random_loss(maps).backward()
    assert_equal_gradients({name: weight.grad for name, weight in backbone.named_parameters()},
                           {name: weight.grad for name, weight in weights.items()}, 1e-9)


@torch.no_grad()
def test_the_inverse_restores_what_went_in():
    backbone = strong(build()).double()
    weights = dict(backbone.named_parameters())
    before = images(16, 48, 2, seed=4)[:, :2].double().unbind(1)
    after = run_blocks(backbone.layers, *before)
    x1, x2 = after
    for i in reversed(range(12)):
        x2 = x2 - mlp_branch(x1, weights, i)
        x1 = x1 - attention_branch(x2, weights, i)
    assert (after[0] - before[0]).norm() > before[0].norm()
    torch.testing.assert_close((x1, x2), before, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize('drop_path_rate', [0.0, 0.3])
@pytest.mark.parametrize('autocast', [False, True])
def test_blocks_recompute_from_the_very_tokens_they_had(autocast, drop_path_rate):
    """At full strength a loss of 1e-7 in inversion becomes one of 100%, under bfloat16, within these 12 blocks."""
    backbone, taken = strong(build(drop_path_rate=drop_path_rate)).train(), {}
    for block in backbone.layers:
        for norm in (block.norm1, block.norm2):
            norm.register_forward_pre_hook(lambda norm, args: taken.setdefault(norm, []).append(args[0].detach()))
    computed = []
    backbone.layers[0].mlp.fc1.register_forward_hook(lambda *args: computed.append(args[-1].dtype))
    gradients(backbone, images(), autocast=autocast)
    assert computed == [torch.bfloat16 if autocast else torch.float32] * 2 and len(taken) == 24
    for forward, backward in taken.values():
        assert forward.dtype == backward.dtype == torch.float32
        assert (forward - backward).norm() <= 1e-6 * forward.norm()


# Gradients, against plain autograd.

@pytest.mark.parametrize('options', [
    dict(), dict(out_indices=(2, 5, 11)), dict(out_indices=(0, 7)), dict(drop_path_rate=0.3),
    dict(drop_path_rate=0.3, out_indices=(3, 4, -1)), dict(passes=2, drop_path_rate=0.3)])
def test_gradients_are_those_of_plain_autograd(options):
    assert_like_plain_autograd(images(), **options)


@pytest.mark.parametrize('height,width,batch', [(45, 71, 1), (14, 14, 1), (57, 28, 3), (1, 100, 2)])
def test_gradients_at_odd_sizes(height, width, batch):
    assert_like_plain_autograd(images(height, width, batch), out_indices=(4, -1))


@pytest.mark.parametrize('within', [False, True])
def test_gradients_under_autocast(within):
    """The backward pass is outside autocast, or inside. To 1e-2: a sum's last bit can be another bfloat16."""
    assert_like_plain_autograd(images(), 1e-2, autocast=True, within=within, drop_path_rate=0.3, passes=2)


def test_recomputation_has_the_forward_passs_autocast_and_not_the_backward_passs():
    x, found = images(), []
    for reversible in (True, False):
        backbone = strong(build(reversible=reversible)).train()
        loss = random_loss(backbone(x))
        with torch.autocast('cpu', torch.bfloat16, enabled=reversible):
            loss.backward()
        found.append({name: weight.grad for name, weight in backbone.named_parameters()})
    assert_equal_gradients(*found, tolerance=2e-2)  # the casts of what autograd itself runs, in either
    assert all(gradient.dtype == torch.float32 for gradient in found[0].values())


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('dtype', [None, torch.bfloat16, torch.float16])
def test_gradients_on_a_gpu(dtype):
    found, x = [], images().cuda()
    for reversible in (True, False):
        backbone = build(reversible=reversible, drop_path_rate=0.3).cuda().train()
        torch.manual_seed(3)
        with torch.autocast('cuda', dtype, enabled=dtype is not None):
            loss = backbone(x)[0].float().pow(2)[:, ::3].mean()
        state = torch.cuda.get_rng_state()
        loss.backward()
        assert torch.equal(torch.cuda.get_rng_state(), state)
        found.append({name: weight.grad for name, weight in backbone.named_parameters()})
    assert_equal_gradients(*found, tolerance=1e-3 if dtype is None else 5e-2)


def test_drop_path_differs_from_pass_to_pass_and_the_backward_pass_draws_nothing():
    backbone = build(drop_path_rate=0.5).train()
    torch.manual_seed(3)
    first, second = backbone(images())[0], backbone(images())[0]
    assert not torch.allclose(first, second)
    state = torch.get_rng_state()
    random_loss([first]).backward()
    assert torch.equal(torch.get_rng_state(), state)


def test_autograd_grad_leaves_the_weights_alone_and_hooks_run_once():
    backbone, plain, x = build().train(), build(reversible=False).train(), images()
    called, weight = [], backbone.layers[3].attn.qkv.weight
    weight.register_hook(lambda grad: called.append('hook') or 2 * grad)
    weight.register_post_accumulate_grad_hook(lambda weight: called.append('accumulated'))
    wanted = [weight, backbone.patch_stream.proj.weight]
    got = torch.autograd.grad(random_loss(backbone(x)), wanted)
    assert called == ['hook'] and all(weight.grad is None for weight in backbone.parameters())
    expected = gradients(plain, x)[1]
    torch.testing.assert_close(got[0], 2 * expected['layers.3.attn.qkv.weight'], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got[1], expected['patch_stream.proj.weight'], rtol=1e-4, atol=1e-5)
    random_loss(backbone(x)).backward()
    assert called == ['hook', 'hook', 'accumulated']


def test_distributed_training():
    torch.distributed.init_process_group('gloo', store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        backbone = build(out_indices=(5, 11), frozen_layers=2).train()
        parallel = torch.nn.parallel.DistributedDataParallel(backbone)
        for _ in range(2):  # DDP refuses the second step where the first left out a parameter
            random_loss(parallel(images())).backward()
        with parallel.no_sync():
            random_loss(parallel(images())).backward()
    finally:
        torch.distributed.destroy_process_group()
    plain = build(out_indices=(5, 11), frozen_layers=2, reversible=False).train()
    for _ in range(3):
        random_loss(plain(images())).backward()
    assert_equal_gradients(*({name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad}
                             for model in (backbone, plain)))


def test_a_second_derivative_is_refused():
    x = images().requires_grad_()
    (gradient, ) = torch.autograd.grad(random_loss(build().train()(x)), x, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        gradient.sum().backward()


def test_weights_changed_between_the_passes_are_an_error():
    backbone = build().train()
    loss = random_loss(backbone(images()))
    with torch.no_grad():
        backbone.layers[5].mlp.fc1.weight.add_(1)
    with pytest.raises(RuntimeError, match='modified by an inplace operation'):
        loss.backward()


@pytest.mark.parametrize('training', [False, True])
def test_nothing_is_recomputed_in_evaluation_or_without_gradients(training):
    backbone, calls = build(arch=THREE).train(training), []
    backbone.layers[0].norm1.register_forward_pre_hook(lambda *args: calls.append(torch.is_grad_enabled()))
    random_loss(backbone(images())).backward()
    assert calls == ([False, True] if training else [True])  # the blocks' own pass is without autograd, or with it
    with torch.no_grad():
        assert not backbone(images())[0].requires_grad


# What is stored.

class Ledger:
    """Counts the bytes that autograd stores, but for those of some tensors, each storage once."""

    def __init__(self, *without: torch.Tensor):
        self.without = {tensor.untyped_storage().data_ptr() for tensor in without}
        self.live, self.sizes, self.peak = Counter(), {}, 0

    def hooks(self):
        return torch.autograd.graph.saved_tensors_hooks(lambda tensor: Stored(self, tensor), lambda held: held.tensor)

    @property
    def total(self) -> int:
        return sum(self.sizes[place] for place, count in self.live.items() if count)


class Stored:
    """A stored tensor, in the ledger as long as it is stored."""

    def __init__(self, ledger: Ledger, tensor: torch.Tensor):
        storage = tensor.untyped_storage()
        self.ledger, self.tensor, self.place = ledger, tensor, storage.data_ptr()
        if self.place not in ledger.without:
            ledger.live[self.place] += 1
            ledger.sizes[self.place] = storage.nbytes()
            ledger.peak = max(ledger.peak, ledger.total)

    def __del__(self):
        if self.place not in self.ledger.without:
            self.ledger.live[self.place] -= 1


def stored(depth: int, reversible: bool) -> tuple[float, float]:
    """What a pass stores for its backward pass, and the most at any time of both, in float32 streams (B, N, C)."""
    backbone = build(arch=ARCH | dict(num_layers=depth), img_size=112, reversible=reversible).train()
    x = images(112, 112)
    ledger = Ledger(x, *backbone.parameters())
    with ledger.hooks():
        maps = backbone(x)
        after_forward = ledger.total
        maps[0].sum().backward()
    assert ledger.total == 0
    stream = 4 * 2 * 64 * 48
    return after_forward / stream, ledger.peak / stream


def test_what_is_stored_does_not_grow_with_depth():
    four, twelve, plain_four, plain_twelve = (stored(depth, reversible) for reversible in (True, False)
                                              for depth in (4, 12))
    assert four == twelve
    assert twelve[0] < 6.1  # two streams in float64, and the final norm's input of two in float32
    assert twelve[1] < 20  # besides, one branch's, while it is recomputed
    assert plain_twelve[0] > 2.8 * plain_four[0] and plain_twelve[0] > 20 * twelve[0]
    assert plain_twelve[1] > 2.8 * plain_four[1] and plain_twelve[1] > 8 * twelve[1]


def steps_behind(tensor: torch.Tensor) -> list:
    """The nodes of reversible steps in a tensor's graph."""
    found, left = set(), {tensor.grad_fn}
    while left:
        node = left.pop()
        found.add(node)
        left |= {other for other, _ in node.next_functions if other is not None} - found
    return [node for node in found if hasattr(node, 'states')]


def test_all_that_grows_with_depth_are_random_states():
    """They are no tensors that autograd stores, so a `Ledger` does not see them."""
    steps = steps_behind(build(out_indices=(9, ), drop_path_rate=0.1).train()(images())[0])
    states = [state for step in steps for states in step.states for state in states]
    assert len(steps) == 10 and len(states) == 20
    assert {state.nbytes for state in states} == {torch.get_rng_state().nbytes}


def test_nothing_is_held_after_the_backward_pass():
    """Though the loss still is, and so its graph."""
    loss = random_loss(build(out_indices=(5, 11)).train()(images()))
    steps = steps_behind(loss)
    loss.backward()
    assert len(steps) == 12 and len({id(step.run) for step in steps}) == 2
    assert all(step.run.restored is None for step in steps)


def test_a_second_pass_over_the_same_graph():
    backbone, plain = build(out_indices=(5, 11)).train(), build(out_indices=(5, 11), reversible=False).train()
    for model in (backbone, plain):
        loss = random_loss(model(images()))
        torch.autograd.grad(loss, model.layers[8].mlp.fc1.weight, retain_graph=True)  # stops half-way
        loss.backward(retain_graph=True)
        loss.backward()
    assert_equal_gradients(*({name: weight.grad for name, weight in model.named_parameters()}
                             for model in (backbone, plain)))


# As a backbone.

@pytest.mark.parametrize('out_indices', [(0, ), (1, ), (0, 2), -1])
@pytest.mark.parametrize('reversible', [False, True])
def test_no_dead_parameters(out_indices, reversible):
    backbone = build(arch=THREE, out_indices=out_indices, reversible=reversible).train()
    assert_no_dead_parameters(backbone, backbone(images()), (), 1e-12)
    last = max(backbone.out_indices)
    assert len(backbone.blocks()) == last + 1 and bool(list(backbone.norm.parameters())) == (last == 2)


@pytest.mark.parametrize('frozen_layers', [-1, 0, 1, 2, 3])
def test_frozen_layers(frozen_layers):
    options = dict(arch=THREE, frozen_layers=frozen_layers, drop_path_rate=0.5, out_indices=(1, 2))
    backbone, plain = (build(reversible=reversible, **options).train() for reversible in (True, False))
    held = () if frozen_layers < 0 else ('patch_stream', *(f'layers.{i}.' for i in range(frozen_layers)))
    held = ('patch_stream', 'layers', 'norm') if frozen_layers == 3 else held
    trained = {name for name, weight in backbone.named_parameters() if weight.requires_grad}
    assert trained == {name for name, _ in backbone.named_parameters() if not name.startswith(held or '\0')}
    calls = []
    backbone.layers[0].norm1.register_forward_pre_hook(lambda *args: calls.append(1))
    if trained:
        for model in (backbone, plain):
            torch.manual_seed(3)
            random_loss(model(images())).backward()
        assert len(calls) == (1 if frozen_layers > 0 else 2)  # frozen blocks are not recomputed
        got, expected = ({name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
                         for model in (backbone, plain))
        assert got.keys() == trained
        assert_equal_gradients(got, expected)
    else:
        assert not any(module.training for module in backbone.modules())
        assert not backbone(images())[0].requires_grad


def test_frozen_layers_pass_the_images_gradient_on():
    got, expected = ({'images': gradients(build(frozen_layers=4, reversible=reversible).train(), images())[1]['images']}
                     for reversible in (True, False))
    assert_equal_gradients(got, expected)


def test_weights_frozen_by_hand():
    found = []
    for reversible in (True, False):
        backbone = build(arch=THREE, reversible=reversible).train()
        backbone.patch_stream.requires_grad_(False)
        backbone.layers[1].attn.requires_grad_(False)
        random_loss(backbone(images())).backward()
        found.append({name: weight.grad for name, weight in backbone.named_parameters() if weight.grad is not None})
    assert not any(name.startswith(('patch_stream', 'layers.1.attn')) for name in found[0])
    assert_equal_gradients(*found)


def test_base_has_the_papers_parameters():
    """87.3 M, with a linear classifier of 1000 classes on both streams."""
    with torch.device('meta'):
        backbone = build(arch='base', img_size=224, patch_size=16).eval()
        (tensor, ) = backbone(torch.empty(1, 3, 224, 224))
    assert tensor.shape == (1, 1536, 14, 14)
    count = sum(weight.numel() for weight in backbone.parameters()) + 1536 * 1000 + 1000
    assert round(count / 1e6, 1) == 87.3


def test_initial_weights():
    state = build(arch='tiny').state_dict()
    for name, weight in state.items():
        if name.endswith('bias') and 'proj.bias' not in name.replace('attn.proj', ''):
            assert not weight.any(), name
        elif name.startswith('layers') and weight.ndim == 2:
            assert abs(float(weight.std()) - 0.02) < 1e-3, name


def test_drop_path_rises_to_that_of_the_last_block_of_the_architecture():
    rates = [getattr(block.drop_path2, 'drop_prob', 0) for block in build(drop_path_rate=0.22).layers]
    assert rates == pytest.approx([0.02 * i for i in range(12)])
    early = build(drop_path_rate=0.22, out_indices=(5, ))
    assert [getattr(block.drop_path1, 'drop_prob', 0) for block in early.layers] == pytest.approx(rates[:6])


@pytest.mark.parametrize('arguments,message', [
    (dict(arch='huge'), "arch must be one of .* got 'huge'"),
    (dict(arch=dict(embed_dims=48)), 'arch must be one of .* got the keys'),
    (dict(arch=ARCH | dict(num_heads=5)), 'embed_dims must be a multiple of num_heads, got 48 and 5'),
    (dict(img_size=0), 'img_size must be a positive integer'),
    (dict(patch_size=(14, -1)), 'patch_size must be a positive integer'),
    (dict(out_indices=(12, )), 'out_indices must be ascending block indices from -12 to 11'),
    (dict(drop_path_rate=1.0), r'drop_path_rate must be in \[0, 1\), got 1.0'),
    (dict(frozen_layers=13), r'frozen_layers must be from -1 \(none\) to 12')])
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_a_misspelt_argument_is_a_type_error():
    with pytest.raises(TypeError, match='model_name'):
        build(model_name='vit_tiny_patch16_224')
    with pytest.raises(TypeError):
        RevViT('base')  # keywords only: MMSegmentation configs have no positions


def test_training_on_another_device_is_refused():
    with torch.device('meta'):
        with pytest.raises(ValueError, match='reversible=True trains on CPU and CUDA, .* got images on meta'):
            build(arch=THREE).train()(torch.empty(1, 3, 56, 56))
        assert build(arch=THREE, reversible=False).train()(torch.empty(1, 3, 56, 56))[0].shape == (1, 96, 4, 4)


def test_a_warm_start_is_refused(tmp_path):
    path = save_weights(random_vit('vit').state_dict(), tmp_path / 'vit.pth')
    backbone = build(arch=dict(embed_dims=64, num_layers=2, num_heads=4, mlp_ratio=4.0),
                     init_cfg=dict(type='WarmStart', checkpoint=path))
    with pytest.raises(InputError, match="is for ViTTM.*ToMe and ALGM.*vit.pth.*init_cfg type='Pretrained'"):
        backbone.init_weights()


# Weight files.

def load(path: str, **changes) -> RevViT:
    backbone = build(arch=THREE, init_cfg=dict(type='Pretrained', checkpoint=path), **changes).eval()
    backbone.init_weights()
    return backbone


@pytest.mark.parametrize('ending', ['.pth', '.safetensors'])
@torch.no_grad()
def test_own_and_whole_checkpoints(tmp_path, ending):
    backbone = strong(build(arch=THREE)).eval()
    own = save_weights(backbone.state_dict(), tmp_path / f'own{ending}')
    whole = {f'backbone.{name}': weight for name, weight in backbone.state_dict().items()}
    whole = save_weights(whole | {'decode_head.bias': torch.zeros(3)}, tmp_path / f'whole{ending}')
    for path in (own, whole):
        torch.testing.assert_close(load(path)(images()), backbone(images()), atol=0, rtol=0)


def test_what_a_shorter_model_leaves_out(tmp_path, log_lines):
    path = save_weights(build(arch=THREE, out_indices=(0, 2)).state_dict(), tmp_path / 'own.pth')
    assert len(load(path, out_indices=(0, )).layers) == 1
    assert any('for outputs that this model does not give' in line for line in log_lines.of('INFO'))


def test_positions_are_resampled(tmp_path):
    weights = build(arch=THREE).state_dict()
    path = save_weights(weights, tmp_path / 'own.pth')
    expected = resample_positions(weights['patch_stream.pos_embed.weight'], (3, 8))
    torch.testing.assert_close(load(path, img_size=(42, 112)).patch_stream.pos_embed.weight, expected)


def test_what_does_not_fit_is_refused(tmp_path):
    weights = build(arch=THREE).state_dict()
    cut = {name: weight for name, weight in weights.items() if name != 'layers.1.norm2.weight'}
    with pytest.raises(CheckpointError, match=r'missing \(1\): layers.1.norm2.weight'):
        load(save_weights(cut, tmp_path / 'cut.pth'))
    with pytest.raises(CheckpointError, match=r'unexpected \(1\): layers.3.norm1.weight'):
        load(save_weights(weights | {'layers.3.norm1.weight': torch.ones(48)}, tmp_path / 'more.pth'))
    with pytest.raises(CheckpointError, match='neither MMSegmentation checkpoint, nor our backbone weights'):
        load(save_weights({'encoder.blocks.0.read_norm.weight': torch.ones(48)}, tmp_path / 'vittm.pth'))


@torch.no_grad()
def test_copies_are_equal_and_apart():
    backbone = build(arch=THREE, frozen_layers=1)
    twin, before = copy.deepcopy(backbone), backbone(images())
    torch.testing.assert_close(twin(images()), before, atol=0, rtol=0)
    for weight in twin.parameters():
        weight.add_(1)
    torch.testing.assert_close(backbone(images()), before, atol=0, rtol=0)


def test_trains_in_segmenter(mmseg_scope):
    cfg = Config.fromfile(ROOT / 'configs' / 'segmenter_vit_b_ade20k.py')
    cfg.model.backbone = dict(type='RevViT', arch=THREE, img_size=56, patch_size=14, drop_path_rate=0.1)
    cfg.model.decode_head.update(in_channels=96, channels=48, embed_dims=48, num_heads=3, num_classes=5)
    cfg.model.data_preprocessor.size = (56, 56)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    labels = torch.arange(56 * 56).reshape(1, 56, 56) // 800
    sample = SegDataSample(metainfo=dict(ori_shape=(56, 56), img_shape=(56, 56)))
    sample.gt_sem_seg = PixelData(data=labels)
    losses = []
    for _ in range(5):
        found = model.loss(images(batch=1), [sample])
        losses.append(sum(value for name, value in found.items() if 'loss' in name))
        optimizer.zero_grad()
        losses[-1].backward()
        assert all(weight.grad is not None for weight in model.backbone.parameters())
        optimizer.step()
    assert losses[-1] < losses[0]
