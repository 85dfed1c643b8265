"""What an encoder takes of a ViT, and with what it starts where the ViT has nothing for it."""
import itertools
from contextlib import nullcontext

import pytest
import torch
from timm.layers import resample_patch_embed
from warm_starts import ARCH, WIDTH, begun, encoder_for, images, random_vit

from mmseg_vittm.errors import CheckpointError
from mmseg_vittm.vittm.streams import resample_positions
from mmseg_vittm.weights.report import LoadReport
from mmseg_vittm.weights.warm_start.fit import warm_start_encoder
from mmseg_vittm.weights.warm_start.source import source_of
from mmseg_vittm.weights.warm_start.vit_fit import warm_start_vit


def test_blocks_patches_and_positions():
    """Each stream's own patch size and grid, by timm's resize and ours."""
    vit = random_vit('vit').state_dict()
    encoder = encoder_for('vit', process_patch_size=32, memory_patch_size=8)
    _, report, _ = begun(encoder, vit)
    state = encoder.state_dict()
    for name in ('attn.qkv.weight', 'mlp.fc2.bias', 'norm2.weight'):
        assert torch.equal(state[f'blocks.1.encoder.{name}'], vit[f'blocks.1.{name}'])
    positions = vit['pos_embed'][:, 1:].unflatten(1, (4, 4))
    for stream, patch, grid in (('process', 32, (2, 2)), ('memory', 8, (8, 8))):
        assert torch.equal(state[f'{stream}_stream.proj.weight'],
                           resample_patch_embed(vit['patch_embed.proj.weight'], [patch, patch]))
        assert torch.equal(state[f'{stream}_stream.pos_embed.weight'], resample_positions(positions, grid))
    assert report.resampled == [
        'patches 16x16 -> 32x32 (process)', 'positions 4x4 -> 2x2 (process)',
        'patches 16x16 -> 8x8 (memory)', 'positions 4x4 -> 8x8 (memory)']


def test_larger_patches_see_a_larger_image_as_the_vit_sees_the_image():
    """The pseudo-inverse resize: a patch of 32 of an image stretched by 2 embeds as the patch of 16 of the image."""
    vit = random_vit('vit')
    encoder = encoder_for('vit', process_patch_size=32, img_size=128)
    begun(encoder, vit.state_dict())
    small = images()
    large = torch.nn.functional.interpolate(small.unflatten(2, (4, 16)).unflatten(4, (4, 16)).permute(
        0, 2, 4, 1, 3, 5).flatten(0, 2), (32, 32), mode='bicubic', antialias=True)  # patch by patch
    with torch.no_grad():
        ours = encoder.process_stream.proj(large).flatten(1)
        theirs = vit.patch_embed.proj(small).permute(0, 2, 3, 1).flatten(0, 2)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_norms_of_the_vit_are_those_that_do_the_same():
    vit = random_vit('clip').state_dict()
    encoder = encoder_for('clip')
    begun(encoder, vit)
    for theirs, ours in (('norm_pre', encoder.blocks[0].read_norm), ('norm', encoder.blocks[-1].write_norm)):
        assert torch.equal(ours.weight, vit[f'{theirs}.weight']) and torch.equal(ours.bias, vit[f'{theirs}.bias'])
    assert encoder.blocks[0].write_norm.weight.eq(1).all() and encoder.blocks[1].read_norm.bias.eq(0).all()


@pytest.mark.parametrize('head,fusion', [*itertools.product(('linear', 'cross', 'latent'), ('add', 'add_erase')),
                                         ('cell', 'add')])
def test_reading_and_writing_add_nothing(head, fusion):
    encoder = encoder_for('vit', process_patch_size=32 if head == 'cell' else 16, read_write_head=head, fusion=fusion,
                          memory_mlp_ratio=1.0)
    begun(encoder, random_vit('vit').state_dict())
    process, memory = (torch.randn(2, 16, WIDTH, generator=torch.Generator().manual_seed(n)) for n in (1, 2))
    with torch.no_grad():
        for block in encoder.blocks:
            for part, fuse in ((block.read_head, encoder.read_fusion), (block.write_head, encoder.write_fusion)):
                update = part(target=process, source=memory)
                assert update.abs().max() < 1e-6
                fused = fuse(process, update)
                kept = 1.0 if fusion == 'add' else 1 - torch.sigmoid(torch.tensor(-4.0))
                torch.testing.assert_close(fused, process * kept)
            assert torch.equal(block.memory_mlp(memory), memory)


def test_what_adds_nothing_still_learns():
    """After one step the values have moved, and after two every parameter has had a gradient."""
    encoder = encoder_for('vit', read_write_head='cross', memory_mlp_ratio=1.0).train()
    begun(encoder, random_vit('vit').state_dict())
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    largest = {name: 0.0 for name, _ in encoder.named_parameters()}
    for _ in range(3):
        process, memory = encoder(images())
        generator = torch.Generator().manual_seed(4)
        loss = sum((stream * torch.randn(stream.shape, generator=generator)).mean() for stream in (process, memory))
        optimizer.zero_grad()
        loss.backward()
        for name, weight in encoder.named_parameters():
            largest[name] = max(largest[name], weight.grad.abs().max().item())
        optimizer.step()
    # The keys' bias is the same for all keys of a query, which softmax does not see; here it is part of one tensor.
    without = [name for name, value in largest.items() if value == 0.0]
    assert not without, without


def test_downsampled_process_tokens_have_their_positions_once():
    encoder = encoder_for('vit', process_init='downsample', memory_patch_size=8)
    _, report, _ = begun(encoder, random_vit('vit').state_dict())
    assert encoder.process_stream.pos_embed.weight.eq(0).all()
    assert "at zero, beside the memory's" in report.started


def test_without_learned_positions_both_streams_start_without():
    encoder = encoder_for('dinov3')
    _, report, _ = begun(encoder, random_vit('dinov3').state_dict())
    assert encoder.memory_stream.pos_embed.weight.eq(0).all()
    assert report.started['at zero, as it has none'][0] == 2 + 2  # and no bias of queries, keys and values


def test_rectangular_positions_of_the_same_image_size():
    vit = random_vit('vit', img_size=(32, 96))
    encoder = encoder_for('vit', img_size=(32, 96), process_patch_size=32)
    _, report, _ = begun(encoder, vit.state_dict())
    assert 'positions 2x6 -> 1x3 (process)' in report.resampled


@pytest.mark.parametrize(('side', 'size'), [(64, (32, 128)), (112, (80, 160))])
def test_square_positions_are_not_taken_for_the_models_own_grid(side, size):
    """16 patches are not 2x8, nor are 49 and a class token 5x10."""
    encoder = encoder_for('vit', img_size=size)
    _, report, _ = begun(encoder, random_vit('vit', img_size=side).state_dict())
    assert f'positions {side // 16}x{side // 16} -> {size[0] // 16}x{size[1] // 16} (process)' in report.resampled


@pytest.mark.parametrize(('name', 'damaged'), [
    ('norm.bias', r"KeyError 'norm\.bias'"), ('norm.weight', r"KeyError 'norm\.weight'"),
    ('blocks.1.attn.qkv.bias', 'lacks blocks.1.attn.qkv.bias, which other blocks have'),
    ('blocks.0.attn.qkv.bias', 'lacks blocks.0.attn.qkv.bias, which other blocks have')])
def test_a_file_that_lacks_a_tensor_is_refused(name, damaged):
    state = random_vit('vit').state_dict()
    del state[name]
    with pytest.raises(CheckpointError, match=damaged):
        begun(encoder_for('vit'), state)


def test_positions_of_no_grid_are_refused():
    with pytest.raises(CheckpointError, match='17 positions beside 1 prefix tokens|no square grid'):
        begun(encoder_for('vit'), random_vit('vit', img_size=(32, 112)).state_dict())


@pytest.mark.parametrize(('changes', 'said'), [
    (dict(arch=ARCH | dict(embed_dims=32)), 'has width 64 and 2 layers, this model width 32 and 2 layers'),
    (dict(arch=ARCH | dict(num_layers=3)), 'has width 64 and 2 layers, this model width 64 and 3 layers'),
    (dict(in_channels=4), 'images of 3 channels, this model of 4; give in_channels=3'),
    (dict(process_init='latent', num_process_tokens=4), "process_init='latent'"),
    (dict(fusion='erase'), "fusion='erase', which replaces"),
    (dict(read_write_head='token_summary'), "never nothing; give fusion='add_erase'")])
def test_what_cannot_begin_says_why_and_stays_as_it_is(changes, said):
    encoder = encoder_for('vit', **changes)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with pytest.raises(CheckpointError, match=said):
        begun(encoder, random_vit('vit').state_dict())
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


@pytest.mark.parametrize(('activation', 'fits'), [('quick_gelu', False), ('gelu', True), (None, True)])
def test_an_activation_that_the_control_has_not(activation, fits):
    report = LoadReport('vit.pth')
    source = source_of(random_vit('vit').state_dict(), report)
    source.activation = activation
    with nullcontext() if fits else pytest.raises(CheckpointError, match='quick_gelu, this model GELU; give'):
        warm_start_vit(random_vit('vit', num_classes=0), source, report, 2)


def test_the_control_takes_zeros_for_biases_that_no_block_has():
    state, report = random_vit('vit').state_dict(), LoadReport('vit.pth')
    state = {name: tensor for name, tensor in state.items() if not name.endswith('qkv.bias')}
    control = random_vit('vit', num_classes=0)
    warm_start_vit(control, source_of(state, report), report, 2)
    assert report.started == {'at zero, as it has none': [2, 2 * 3 * WIDTH]}
    assert control.blocks[1].attn.qkv.bias.eq(0).all() and report.tensors == len(control.state_dict()) - 2


def test_fewer_blocks_than_the_vit():
    """An encoder built for an earlier block takes the first ones, and leaves the last norm."""
    encoder = encoder_for('vit', arch=ARCH | dict(num_layers=1), write_last=False)
    report = LoadReport('vit.pth')
    source = source_of(random_vit('vit').state_dict(), report)
    warm_start_encoder(encoder, source, report, num_layers=2)
    tensors, _ = report.dropped['for outputs that this model does not give']
    assert tensors == 12 + 2 and encoder.blocks[0].write_norm.weight.eq(1).all()
