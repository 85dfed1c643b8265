"""The encoder's options of ViT families: off they change nothing, on they compute, export, and have no dead weights."""
import pytest
import torch
from tiny_models import TINY, assert_no_dead_parameters, images, tiny_encoder

from mmseg_vittm.vittm.vit_block import ROPES, ViTOptions, resolve_rope, rotary_embedding

ALL = dict(layer_scale=0.5, qk_norm=True, mlp='swiglu_norm', rope='dinov3')


def test_off_the_names_of_weights_are_as_ever():
    assert not [name for name in tiny_encoder().state_dict() if any(
        word in name for word in ('ls1', 'gamma', 'fc1_g', 'q_norm', 'mlp.norm', 'rope'))]


@pytest.mark.parametrize('options', [dict(layer_scale=True), dict(qk_norm=True), dict(activation='quick_gelu'),
                                     dict(mlp='swiglu'), dict(mlp='swiglu_norm'), dict(rope='eva02'),
                                     dict(rope='rope_vit', mlp='swiglu'), ALL])
def test_on_every_weight_counts_and_changes_what_comes_out(options):
    encoder = tiny_encoder(**options)
    assert all(type(block.encoder).__name__ == ('EvaBlock' if 'rope' in options else 'Block')
               for block in encoder.blocks)
    # Weights of std 0.02 alone: LayerScale of 1e-5 leaves gradients small, not zero.
    assert_no_dead_parameters(encoder, encoder(images()), invariant=('q_norm.bias', 'k_norm.bias'), least=1e-12)
    with torch.no_grad():
        changed = {name: tensor + 0.5 for name, tensor in encoder.state_dict().items() if 'read_head' not in name}
        before = encoder(images())[0]
        encoder.load_state_dict(changed, strict=False)
        assert not torch.allclose(before, encoder(images())[0])


@pytest.mark.parametrize('options', [dict(layer_scale=0.3), dict(layer_scale=0.3, rope='dinov3')])
def test_layer_scale_starts_as_asked(options):
    scales = [tensor for name, tensor in tiny_encoder(**options).state_dict().items() if 'gamma' in name]
    assert len(scales) == 2 * TINY['num_layers'] and all(scale.eq(0.3).all() for scale in scales)


@pytest.mark.parametrize('rope', ROPES)
def test_rotary_positions_are_of_the_process_grid(rope):
    """Any grid; and a token's place matters to attention, which without positions does not see it."""
    encoder = tiny_encoder(rope=rope, process_patch_size=28).eval()
    assert encoder.rotary((2, 3)).shape == (6, 2 * TINY['embed_dims'] // TINY['num_heads'])
    with torch.no_grad():
        encoder.process_stream.pos_embed.weight.zero_()
        process = encoder.embed(images(84, 56))[0]
        block, sines = encoder.blocks[0].encoder, encoder.rotary((3, 2))
        block.attn.qkv.weight.mul_(20)
        order = torch.tensor([5, 3, 1, 0, 2, 4])
        placed, moved = block(process, rope=sines), block(process[:, order], rope=sines)
        unplaced, unmoved = block(process), block(process[:, order])
    torch.testing.assert_close(unmoved, unplaced[:, order], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(moved, placed[:, order], rtol=1e-3, atol=1e-4)
    assert encoder(images(84, 56))[0].shape == (2, 6, TINY['embed_dims'])


def test_positions_stretch_with_the_grid():
    """The corners of a coarse grid and a fine one are near each other, since both are the whole image's."""
    for rope in ('dinov3', 'eva02'):
        embedding = rotary_embedding(rope, 16)
        coarse, fine = (embedding.get_embed(shape=[side, side]) for side in (4, 8))
        fine = fine.unflatten(0, (4, 2, 4, 2)).mean((1, 3)).flatten(0, 1)
        assert (fine - coarse).abs().max() < 1.0 and torch.cosine_similarity(fine, coarse).min() > 0.6


def test_recomputing_blocks_changes_nothing():
    outputs = []
    for with_cp in (False, True):
        encoder = tiny_encoder(**ALL, with_cp=with_cp).train()
        out = encoder(images())[0]
        out.square().sum().backward()
        outputs.append((out, encoder.blocks[0].encoder.attn.qkv.weight.grad))
    for one, other in zip(*outputs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(('options', 'said'), [
    (dict(activation='relu'), 'activation must be one of'), (dict(mlp='glu'), 'mlp must be one of'),
    (dict(mlp='swiglu', activation='quick_gelu'), 'activation of its own'),
    (dict(layer_scale=0), 'layer_scale must be'), (dict(layer_scale=-1.0), 'layer_scale must be'),
    (dict(layer_scale='a'), 'layer_scale must be'), (dict(rope='dino'), "rope must be one of .*'dino'"),
    (dict(rope=dict(type='cat', temperature=3)), 'ref_grid for cat'), (dict(rope=dict(type='mixed')), 'cat or dinov3'),
    (dict(rope=dict(type='dinov3', temperature=1, ref_grid=(1, 1))), 'rope must'), (dict(rope=3), 'rope must be')])
def test_wrong_options(options, said):
    with pytest.raises(ValueError, match=said):
        ViTOptions(**options)


def test_heads_too_narrow_for_rotary_positions():
    with pytest.raises(ValueError, match='multiple of 4, got 6'):
        tiny_encoder(arch=TINY | dict(num_heads=8), rope='dinov3')


def test_a_dict_is_as_good_as_a_preset():
    whole = resolve_rope('eva02')
    assert resolve_rope(dict(type='cat', temperature=10000.0, ref_grid=[16, 16])) == whole
