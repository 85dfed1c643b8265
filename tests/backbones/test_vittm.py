"""ViTTM as an MMSegmentation backbone: which maps come out, what is built for them, frozen layers."""
import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from tiny_models import TINY, assert_no_dead_parameters, images, random_loss

from mmseg_vittm import ViTTM
from mmseg_vittm.vittm.streams import tokens_to_map


def build(**changes) -> ViTTM:
    torch.manual_seed(0)
    return MODELS.build(dict(type='ViTTM', arch=TINY, img_size=56, process_patch_size=14,
                             memory_patch_size=14) | changes)


def streams(backbone: ViTTM, x: torch.Tensor, index: int) -> list[torch.Tensor]:
    """The maps of both streams after a block, laid out by hand."""
    (tokens, ) = backbone.encoder.intermediates(x, [index])
    maps = []
    for stream, (height, width) in zip(tokens, backbone.encoder.grids(*x.shape[2:]), strict=True):
        maps.append(torch.stack([stream[:, row * width:(row + 1) * width].transpose(1, 2) for row in range(height)], 2))
    return maps


@pytest.mark.parametrize('out_indices,expected', [
    (-1, (2, )), (0, (0, )), ((0, 2), (0, 2)), ((-3, -2, -1), (0, 1, 2)), ([1], (1, )), ((-2, ), (1, )),
    ((0, -1), (0, 2))])
@torch.no_grad()
def test_out_indices_count_from_either_end(out_indices, expected):
    whole, backbone = build(out_indices=(0, 1, 2)), build(out_indices=out_indices)
    backbone.load_state_dict({name: whole.state_dict()[name] for name in backbone.state_dict()})
    maps, all_maps = backbone(images()), whole(images())
    assert isinstance(maps, tuple) and len(maps) == len(expected)
    assert len(backbone.encoder.blocks) == expected[-1] + 1  # no block that nothing needs
    for tensor, index in zip(maps, expected, strict=True):
        torch.testing.assert_close(tensor, all_maps[index])


@pytest.mark.parametrize('out_indices', [(3, ), (-4, ), (), (1, 0), (1, 1), (2, -1), (0, 5)])
def test_wrong_out_indices(out_indices):
    with pytest.raises(ValueError, match='out_indices must be ascending block indices from -3 to 2, got'):
        build(out_indices=out_indices)


@pytest.mark.parametrize('height,width', [(56, 56), (70, 98), (45, 60)])
@torch.no_grad()
def test_maps_of_each_choice_of_tokens(height, width):
    x = images(height, width)
    concat = build(process_patch_size=28, out_indices=(1, )).eval()
    process, memory = streams(concat, x, 1)
    rows, columns = -(-height // 28), -(-width // 28)
    assert process.shape == (2, 48, rows, columns) and memory.shape == (2, 48, 2 * rows, 2 * columns)
    upsampled = F.interpolate(process, scale_factor=2, mode='bilinear', align_corners=False)
    torch.testing.assert_close(concat(x)[0], torch.cat([upsampled, memory], dim=1))
    for out_tokens, expected in (('process', process), ('memory', memory)):
        backbone = build(process_patch_size=28, out_indices=(1, ), out_tokens=out_tokens).eval()
        backbone.load_state_dict({name: concat.state_dict()[name] for name in backbone.state_dict()})
        (actual, ) = backbone(x)
        torch.testing.assert_close(actual, expected)
        assert actual.is_contiguous()


@torch.no_grad()
def test_concat_upsamples_the_memory_where_it_is_the_coarser_one():
    backbone, x = build(memory_patch_size=28).eval(), images(56, 84)
    process, memory = streams(backbone, x, 2)
    upsampled = F.interpolate(memory, scale_factor=2, mode='bilinear', align_corners=False)
    torch.testing.assert_close(backbone(x)[0], torch.cat([process, upsampled], dim=1))


@pytest.mark.parametrize('process_init,count,grid', [('latent', 6, {(2, 3), (3, 2)}), ('downsample', 4, {(2, 2)}),
                                                     ('latent', None, {(4, 4)}), ('downsample', None, {(4, 4)})])
@pytest.mark.parametrize('out_tokens', ['process', 'memory', 'concat'])
def test_other_process_inits(process_init, count, grid, out_tokens):
    backbone = build(process_init=process_init, num_process_tokens=count, out_tokens=out_tokens)
    (tensor, ) = backbone(images())
    assert tuple(tensor.shape[2:]) in (grid if out_tokens == 'process' else {(4, 4)})
    assert tensor.shape[1] == (96 if out_tokens == 'concat' else 48)
    (other, ) = backbone(images(112, 70))
    expected = dict(latent=grid, downsample={(8, 5)} if count is None else {(4, 2), (4, 3)})[process_init]
    assert tuple(other.shape[2:]) in (expected if out_tokens == 'process' else {(8, 5)})


@pytest.mark.parametrize('fusion', ['add', 'erase', 'add_erase'])
@pytest.mark.parametrize('out_indices', [(0, ), (1, ), (0, 1, 2)])
@pytest.mark.parametrize('out_tokens', ['process', 'memory', 'concat'])
def test_no_dead_parameters(out_tokens, out_indices, fusion):
    backbone = build(out_tokens=out_tokens, out_indices=out_indices, fusion=fusion, memory_mlp_ratio=0.5)
    assert_no_dead_parameters(backbone, backbone(images()), (), 1e-12)


def test_process_tokens_need_no_last_write():
    process, memory = build(out_tokens='process', memory_mlp_ratio=1.0), build(out_tokens='memory')
    assert process.encoder.blocks[-1].write_head is None and memory.encoder.blocks[-1].write_head is not None
    assert not any(name.startswith(('encoder.blocks.2.write_head', 'encoder.blocks.2.memory_mlp'))
                   for name in process.state_dict())


@pytest.mark.parametrize('frozen_layers', [-1, 0, 1, 2, 3])
def test_frozen_layers(frozen_layers):
    backbone = build(frozen_layers=frozen_layers, drop_path_rate=0.5, fusion='add_erase')
    encoder = backbone.encoder
    for _ in range(2):  # a second train() changes nothing
        backbone.train()
        frozen = [] if frozen_layers < 0 else [encoder.process_stream, encoder.memory_stream,
                                               *encoder.blocks[:frozen_layers]]
        free = list(encoder.blocks[max(frozen_layers, 0):]) if frozen_layers < 3 else []
        assert all(not module.training for part in frozen for module in part.modules())
        assert all(module.training for part in free for module in part.modules())
        backbone.eval()
        assert not any(module.training for module in backbone.modules())
    backbone.train()
    trained = {name for name, weight in backbone.named_parameters() if weight.requires_grad}
    expected = {name for name, _ in backbone.named_parameters()}
    if frozen_layers >= 0:
        held = ['encoder.process_stream', 'encoder.memory_stream',
                *(f'encoder.blocks.{i}.' for i in range(frozen_layers))] if frozen_layers < 3 else ['encoder.']
        expected = {name for name in expected if not name.startswith(tuple(held))}
    assert trained == expected
    if trained:
        random_loss(backbone(images())).backward()
        assert {name for name, weight in backbone.named_parameters() if weight.grad is not None} == trained
    else:
        assert not backbone(images())[0].requires_grad
        assert torch.equal(backbone(images())[0], backbone(images())[0])  # no drop path either


@pytest.mark.parametrize('frozen_layers', [-2, 4])
def test_wrong_frozen_layers(frozen_layers):
    with pytest.raises(ValueError, match=rf'frozen_layers must be from -1 \(none\) to 3 .*got {frozen_layers}'):
        build(frozen_layers=frozen_layers)


@torch.no_grad()
def test_maps_of_vittm_b_64_64_have_1536_channels():
    with torch.device('meta'):
        backbone = MODELS.build(dict(type='ViTTM', img_size=504)).eval()
        maps = backbone(torch.empty(1, 3, 504, 504))
    assert [tuple(tensor.shape) for tensor in maps] == [(1, 1536, 18, 18)]


@pytest.mark.parametrize('clone', [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
@torch.no_grad()
def test_copies_are_equal_and_apart(clone):
    backbone = build(frozen_layers=1, out_indices=(0, 2))
    twin = clone(backbone)
    torch.testing.assert_close(twin(images()), backbone(images()), atol=0, rtol=0)
    before = backbone(images())
    for weight in twin.parameters():
        weight.add_(1)
    torch.testing.assert_close(backbone(images()), before, atol=0, rtol=0)
    assert not twin.train().encoder.blocks[0].training


def test_wrong_choices():
    with pytest.raises(ValueError, match=r"out_tokens must be one of \['concat', 'memory', 'process'\], got 'both'"):
        build(out_tokens='both')
    with pytest.raises(TypeError, match='embed_dims'):
        build(embed_dims=48)
    with pytest.raises(TypeError):
        ViTTM('base')  # keywords only: MMSegmentation configs have no positions
    with pytest.raises(ValueError, match=r'fixes the number of tokens.*\(112, 112\)'):
        build(fusion='add_erase')(images(112, 112))


def test_init_weights_without_a_checkpoint_keeps_what_the_constructor_drew():
    backbone, twin = build(), build()
    backbone.init_weights()
    assert all(torch.equal(a, b) for a, b in zip(backbone.state_dict().values(), twin.state_dict().values(),
                                                 strict=True))


def test_tokens_to_map_is_row_major():
    tokens = torch.arange(6.0).reshape(1, 6, 1)
    assert tokens_to_map(tokens, (2, 3)).tolist() == [[[[0, 1, 2], [3, 4, 5]]]]
