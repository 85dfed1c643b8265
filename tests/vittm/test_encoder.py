"""The encoder: every choice forward and backward, any input size, compiling, exporting, wrong arguments."""
import math

import pytest
import torch
from timm.layers import resample_abs_pos_embed_nhwc
from tiny_models import TINY, assert_no_dead_parameters, images, random_loss, tiny_encoder

from mmseg_vittm.vittm import FUSIONS, HEADS, ViTTMEncoder
from mmseg_vittm.vittm.encoder import PROCESS_INITS
from mmseg_vittm.vittm.streams import nearest_grid, resample_positions, tokens_to_map

# A softmax over tokens does not see what is added to all of them.
INVARIANT = dict(linear=(), cross=('k_norm.bias', ), latent=('k_norm.bias', ), token_summary=('mlp.fc2.bias', ))


@pytest.mark.parametrize('memory_mlp_ratio', [None, 0.5])
@pytest.mark.parametrize('process_init', PROCESS_INITS)
@pytest.mark.parametrize('fusion', FUSIONS)
@pytest.mark.parametrize('read_write_head', HEADS)
def test_every_choice_runs_and_leaves_no_parameter_dead(read_write_head, fusion, process_init, memory_mlp_ratio):
    encoder = tiny_encoder(read_write_head=read_write_head, fusion=fusion, process_init=process_init,
                           memory_mlp_ratio=memory_mlp_ratio, process_patch_size=28)
    process, memory = encoder(images())
    assert process.shape == (2, 4, 48) and memory.shape == (2, 16, 48)
    assert process.isfinite().all() and memory.isfinite().all()
    # With erase, most of the stream is forgotten at each block; what reaches the input is small, but there.
    assert_no_dead_parameters(encoder, (process, memory), INVARIANT[read_write_head], 1e-12)


@pytest.mark.parametrize('fusion', FUSIONS)
@pytest.mark.parametrize('read_write_head', HEADS)
def test_without_the_last_write(read_write_head, fusion):
    choice = dict(read_write_head=read_write_head, fusion=fusion, memory_mlp_ratio=0.5)
    encoder, whole = tiny_encoder(**choice, write_last=False), tiny_encoder(**choice)
    process, memory = encoder(images())
    assert memory is None
    assert_no_dead_parameters(encoder, (process, ), INVARIANT[read_write_head], 1e-12)
    whole.load_state_dict(encoder.state_dict() | {
        name: weight for name, weight in whole.state_dict().items() if name not in encoder.state_dict()})
    torch.testing.assert_close(whole(images())[0], process)


@pytest.mark.parametrize('fusion', FUSIONS)
def test_a_single_block_without_its_write(fusion):
    encoder = tiny_encoder(arch=TINY | dict(num_layers=1), fusion=fusion, write_last=False)
    assert_no_dead_parameters(encoder, encoder(images()), ())


def test_in_double_precision_the_batch_does_not_mix():
    encoder, x = tiny_encoder().double(), images(batch=3).double()
    for whole, alone in zip(encoder(x), encoder(x[1:2]), strict=True):
        torch.testing.assert_close(whole[1:2], alone, atol=1e-12, rtol=0)


@pytest.mark.parametrize('arch,dims,layers', [('tiny', 192, 12), ('small', 384, 12), ('base', 768, 12),
                                              ('large', 1024, 24)])
def test_presets_have_the_parameters_that_the_method_says(arch, dims, layers):
    with torch.device('meta'):
        encoder = ViTTMEncoder(arch)
    block = 12 * dims ** 2 + 13 * dims  # a ViT block with qkv bias and MLP ratio 4
    head = 2 * (dims * dims // 4 + dims // 4) + dims ** 2 + dims  # q and k of width d / 4, v of width d
    stream = 3 * 28 ** 2 * dims + dims + 64 * dims  # projection and position embedding
    expected = layers * (block + 2 * head + 4 * dims) + 2 * stream
    assert sum(weight.numel() for weight in encoder.parameters()) == expected
    assert len(encoder.blocks) == layers and encoder.blocks[0].encoder.attn.head_dim == 64


@pytest.mark.parametrize('height,width', [(56, 56), (42, 98), (57, 83), (1, 1), (1, 300), (13, 15)])
@pytest.mark.parametrize('process_patch_size', [14, 28, (28, 14), 8])
@torch.no_grad()
def test_any_size_equals_the_same_image_padded_by_hand(height, width, process_patch_size):
    encoder, x = tiny_encoder(process_patch_size=process_patch_size, img_size=112).eval(), images(height, width)
    units = [math.lcm(14, side) for side in encoder.process_patch_size]
    padded = torch.zeros(2, 3, *(math.ceil(side / unit) * unit for side, unit in zip((height, width), units,
                                                                                    strict=True)))
    padded[:, :, :height, :width] = x
    process_grid, memory_grid = encoder.grids(height, width)
    assert memory_grid == tuple(side // 14 for side in padded.shape[2:])
    for tokens, whole, grid in zip(encoder(x), encoder(padded), (process_grid, memory_grid), strict=True):
        assert tokens.shape == (2, math.prod(grid), 48) and tokens.isfinite().all()
        assert torch.equal(tokens, whole)


def test_grids_of_random_sizes():
    hypothesis = pytest.importorskip('hypothesis')
    side, patch = hypothesis.strategies.integers(1, 700), hypothesis.strategies.sampled_from([7, 8, 14, 16, 28, 32])

    @hypothesis.settings(max_examples=60, deadline=None)
    @hypothesis.given(side, side, patch, patch, hypothesis.strategies.sampled_from(PROCESS_INITS))
    def check(height, width, process_patch_size, memory_patch_size, process_init):
        with torch.device('meta'):
            encoder = ViTTMEncoder(TINY | dict(num_layers=1), 224, 3, max(process_patch_size, memory_patch_size),
                                   memory_patch_size, process_init)
        process, memory = encoder.grids(height, width)
        for length, cells, coarse in zip((height, width), memory, process, strict=True):
            unit = memory_patch_size
            if process_init == 'patch':
                unit = math.lcm(unit, encoder.process_patch_size[0])
                assert cells * memory_patch_size == coarse * encoder.process_patch_size[0]
            assert cells >= 1 and coarse >= 1
            assert 0 <= cells * memory_patch_size - length < unit
            if process_init == 'downsample':
                assert coarse <= cells
        with torch.device('meta'):
            tokens = encoder(torch.empty(1, 3, height, width))
        assert [out.shape[1] for out in tokens] == [math.prod(process), math.prod(memory)]
        if process_init == 'latent':
            assert process == encoder.grids(224, 224)[0]

    check()


@pytest.mark.parametrize('choice', [dict(read_write_head='token_summary'), dict(fusion='add_erase'),
                                    dict(read_write_head='token_summary', fusion='add_erase')])
@pytest.mark.parametrize('height,width,message', [(84, 56, r'\(84, 56\).*\(6, 4\)'), (28, 28, r'\(28, 28\).*\(2, 2\)')])
def test_choices_that_fix_the_token_count_refuse_other_sizes(choice, height, width, message):
    encoder = tiny_encoder(**choice)
    with pytest.raises(ValueError, match=message) as error:
        encoder(images(height, width))
    assert '(56, 56)' in str(error.value) and '(4, 4)' in str(error.value)
    assert all(f'{name}={value!r}' in str(error.value) for name, value in choice.items())
    encoder(images(28, 112))  # another shape with as many tokens
    encoder(images(50, 43))  # padded to 56 x 56


@pytest.mark.parametrize('grid', [(7, 7), (3, 9), (4, 4), (1, 1), (5, 4)])
@pytest.mark.parametrize('old', [(4, 4), (2, 5)])
def test_positions_resampled_as_timm_does(grid, old):
    weight = torch.randn(1, *old, 48, requires_grad=True)
    actual, expected = resample_positions(weight, grid), resample_abs_pos_embed_nhwc(weight, list(grid))
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
    assert (actual is weight) == (grid == old)
    gradients = [torch.autograd.grad(random_loss([out]), weight, retain_graph=True)[0] for out in (actual, expected)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_initial_tokens():
    x = images()
    patch, latent = tiny_encoder(), tiny_encoder(process_init='latent', num_process_tokens=6)
    stream = patch.memory_stream
    expected = torch.stack([  # row by row, each patch's pixels times the weights
        stream.proj.weight.flatten(1) @ x[0, :, 14 * r:14 * r + 14, 14 * c:14 * c + 14].flatten() + stream.proj.bias
        + stream.pos_embed.weight[0, r, c] for r in range(4) for c in range(4)])
    torch.testing.assert_close(patch.embed(x)[1][0], expected, atol=1e-5, rtol=1e-4)
    process, _ = latent.embed(x)
    assert process.shape == (2, 6, 48) and torch.equal(process[0], process[1])
    assert latent.grids(56, 56)[0] in ((2, 3), (3, 2))
    down = tiny_encoder(process_init='downsample', process_patch_size=28)
    process, memory = down.embed(x)
    pooled = tokens_to_map(memory, (4, 4)).unflatten(2, (2, 2)).unflatten(4, (2, 2)).mean(dim=(3, 5))
    torch.testing.assert_close(process - down.process_stream.pos_embed((2, 2)), pooled.flatten(2).transpose(1, 2))


@pytest.mark.parametrize('count,aspect,grid', [(64, 1, (8, 8)), (12, 0.75, (3, 4)), (12, 4 / 3, (4, 3)), (7, 1, (1, 7)),
                                               (1, 5, (1, 1)), (196, 1, (14, 14)), (50, 2, (10, 5))])
def test_nearest_grid(count, aspect, grid):
    assert nearest_grid(count, aspect) in (grid, grid[::-1] if aspect == 1 else grid)


def test_drop_path_acts_in_training_alone_and_rises_with_depth():
    encoder, plain = tiny_encoder(drop_path_rate=0.6, memory_mlp_ratio=0.5), tiny_encoder(memory_mlp_ratio=0.5)
    plain.load_state_dict(encoder.state_dict())
    x = images(batch=8)
    torch.testing.assert_close(encoder.eval()(x), plain.eval()(x))
    outputs = [encoder.train()(x)[0] for _ in range(2)]
    assert not torch.allclose(*outputs) and not torch.allclose(outputs[0], plain(x)[0])
    rates = [getattr(block.encoder.drop_path1, 'drop_prob', 0.0) for block in encoder.blocks]
    assert rates == pytest.approx([0.0, 0.3, 0.6])
    assert [getattr(block.memory_mlp.drop_path, 'drop_prob', 0.0) for block in encoder.blocks] == rates


def test_recomputed_blocks_give_the_same_gradients():
    gradients = []
    for with_cp in (False, True):
        encoder = tiny_encoder(with_cp=with_cp, drop_path_rate=0.5, fusion='add_erase', write_last=False)
        torch.manual_seed(3)
        random_loss(encoder(images(batch=6))).backward()
        gradients.append([weight.grad for weight in encoder.parameters()])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize('indices', [[0], [1], [0, 2], [2]])
def test_intermediates_are_those_of_a_shallower_encoder(indices):
    encoder = tiny_encoder()
    streams = encoder.intermediates(images(), indices)
    assert len(streams) == len(indices)
    shallow = tiny_encoder(arch=TINY | dict(num_layers=indices[0] + 1))
    shallow.load_state_dict({name: encoder.state_dict()[name] for name in shallow.state_dict()})
    torch.testing.assert_close(streams[0], shallow(images()))


@pytest.mark.parametrize('choice,message', [
    (dict(arch='huge'), r"arch must be one of \['base', 'large', 'small', 'tiny'\], got 'huge'"),
    (dict(arch=dict(embed_dims=48)), 'mlp_ratio'),
    (dict(arch=TINY | dict(drop=0.1)), 'drop'),
    (dict(arch=TINY | dict(num_heads=5)), 'multiple of num_heads, got 48 and 5'),
    (dict(arch=TINY | dict(num_heads=0)), 'num_heads'),
    (dict(arch=TINY | dict(num_layers=0)), 'num_layers must be at least 1, got 0'),
    (dict(process_init='pooled'), r"process_init must be one of \['downsample', 'latent', 'patch'\], got 'pooled'"),
    (dict(read_write_head='lin'), r"read_write_head must be one of .*'linear'.*, got 'lin'"),
    (dict(fusion='residual'), r"fusion must be one of \['add', 'add_erase', 'erase'\], got 'residual'"),
    (dict(latent_dims=10), 'latent_dims must be a positive multiple of num_heads = 4, got 10'),
    (dict(latent_dims=0, read_write_head='latent'), 'latent_dims .*got 0'),
    (dict(drop_path_rate=1.0), r'drop_path_rate must be in \[0, 1\), got 1.0'),
    (dict(drop_path_rate=-0.1), 'drop_path_rate'),
    (dict(memory_mlp_ratio=0), 'memory_mlp_ratio must be positive, or None for no MLP, got 0'),
    (dict(img_size=0), 'img_size must be a positive integer .*, got 0'),
    (dict(img_size=(56, 56, 3)), 'img_size'),
    (dict(img_size=56.0), 'img_size'),
    (dict(process_patch_size=-14), 'process_patch_size .*got -14'),
    (dict(memory_patch_size=(14, 0)), 'memory_patch_size'),
    (dict(num_process_tokens=9), r"process_init='patch' gives 16 process tokens at img_size \(56, 56\)"),
    (dict(num_process_tokens=0, process_init='latent'), 'num_process_tokens must be at least 1, got 0'),
    (dict(num_process_tokens=25, process_init='downsample'), r'\(5, 5\) grid is too many'),
    (dict(process_init='downsample', process_patch_size=7), 'process_patch_size'),
    (dict(process_init='latent', process_patch_size=64), 'process_patch_size'),
    (dict(process_init='downsample', process_patch_size=64), 'process_patch_size'),
])
def test_wrong_arguments_are_named(choice, message):
    with pytest.raises(ValueError, match=message):
        tiny_encoder(**choice)


def test_a_misspelt_argument_is_a_type_error():
    with pytest.raises(TypeError, match='memory_ps'):
        tiny_encoder(memory_ps=14)


def test_embed_dims_that_give_no_default_latent_dims_name_the_remedy():
    with pytest.raises(ValueError, match='latent_dims'):
        ViTTMEncoder(TINY | dict(embed_dims=40, num_heads=8), 56)  # 40 / 4 is no multiple of 8
    ViTTMEncoder(TINY | dict(embed_dims=40, num_heads=8), 56, latent_dims=16)
