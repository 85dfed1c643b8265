"""The calibration: the process stream is the ViT's again, the memory keeps what it holds, images are folded."""
import pytest
import torch
from warm_starts import begun, encoder_for, images, random_vit

from mmseg_vittm.weights.warm_start.anchor import POWER
from mmseg_vittm.weights.warm_start.calibration import calibrate
from mmseg_vittm.weights.warm_start.closeness import closeness, compare, memory_closeness
from mmseg_vittm.weights.warm_start.images import IMAGENET, Images, fold_images

BATCHES = [images(4), images(6).flip(3)]


def calibrated(family: str = 'siglip', outputs: tuple = (1, ), anchor: float = POWER, **changes):
    """An encoder of a family, how close it was to the ViT, how close it is now, and what was set."""
    encoder = encoder_for(family, process_patch_size=32, memory_patch_size=16, **changes)
    _, _, teacher = begun(encoder, random_vit(family).state_dict())
    goals = [teacher.features(batch) for batch in BATCHES]
    before = closeness(encoder, BATCHES, goals)
    done = calibrate(teacher, BATCHES, anchor, outputs)
    return encoder, before, closeness(encoder, BATCHES, goals), done


@pytest.mark.parametrize('changes', [dict(), dict(read_write_head='cross'), dict(read_write_head='latent'),
                                     dict(read_write_head='cell'), dict(process_init='downsample'),
                                     dict(memory_mlp_ratio=1.0)])
def test_without_prefix_tokens_the_stream_is_the_vits(changes):
    """Where the ViT has no class token, nothing but the norms stands between the two."""
    _, before, after, done = calibrated(**changes)
    assert all(one.cosine > 0.99 for one in after) and min(one.cosine for one in before[1:]) < 0.98
    assert after[-1].error < 0.5 * before[-1].error
    assert [fit.name for fit in done.fits] == ['blocks.0.read_norm', 'blocks.0.write_norm', 'blocks.1.read_norm']
    assert all(fit.after < fit.before for fit in done.fits)


@pytest.mark.parametrize('family', ['vit', 'clip', 'dinov3', 'eva02_base'])
def test_it_brings_every_family_nearer(family):
    _, before, after, _ = calibrated(family)
    assert after[-1].error < before[-1].error and after[-1].cosine > before[-1].cosine


def test_anchors_come_nearer_than_least_squares_alone():
    _, before, plain, done = calibrated(anchor=0.0)
    assert plain[-1].error < before[-1].error and not done.biases
    _, _, anchored, done = calibrated()
    assert anchored[-1].error < plain[-1].error
    assert done.biases == ['process_stream.proj.bias', 'memory_stream.proj.bias', 'blocks.0.encoder.mlp.fc2.bias',
                           'blocks.0.write_head.v.bias', 'blocks.1.write_head.v.bias']


def test_the_first_norm_of_clip_is_left_as_it_is():
    encoder, _, _, done = calibrated('clip')
    assert 'blocks.0.read_norm' not in [fit.name for fit in done.fits]
    assert torch.equal(encoder.blocks[0].read_norm.weight, random_vit('clip').norm_pre.weight)


@pytest.mark.parametrize('changes', [dict(), dict(read_write_head='cross'), dict(drop_path_rate=0.5),
                                     dict(outputs=(0, 1))])
def test_the_memory_keeps_what_it_holds(changes):
    """The norms are the process stream's; memory tokens of other images are still what they were, mean and all."""
    others = [images(12)[10:].flip(2)]
    embedded = encoder_for('siglip', process_patch_size=32)
    begun(embedded, random_vit('siglip').state_dict())
    with torch.no_grad():
        embedded = [embedded.embed(batch)[1] for batch in others]
    encoder, *_ = calibrated(**changes)
    assert memory_closeness(encoder, others, embedded).cosine > 0.97
    with torch.no_grad():
        last = encoder(others[0])[1]
    assert compare(last.flatten(0, 1), embedded[0].flatten(0, 1)).cosine > 0.9


def test_maps_of_earlier_blocks_have_no_anchor():
    encoder, *_ = calibrated(outputs=(0, 1))
    _, _, teacher = begun(encoder_for('siglip', process_patch_size=32), random_vit('siglip').state_dict())
    with torch.no_grad():
        ours, theirs = encoder.intermediates(images(), [0])[0][0], teacher.features(images())[1]
    assert compare(ours.flatten(0, 1), theirs.flatten(0, 1)).cosine > 0.95


def test_where_a_branch_is_dropped_in_training_it_holds_no_anchor():
    _, _, after, done = calibrated(drop_path_rate=0.5)
    assert 'blocks.0.encoder.mlp.fc2.bias' in done.biases  # the first block drops nothing
    encoder, _, _, done = calibrated('deit3')
    assert 'blocks.0.encoder.mlp.fc2.bias' in done.biases
    assert after[-1].cosine > 0.98 and encoder.blocks[0].encoder.mlp.fc2.bias.abs().max() < 1e4


def test_a_layer_scale_that_would_need_a_bias_beyond_float16():
    state = random_vit('deit3').state_dict()
    state = {name: 2e-3 + 0 * tensor if name.endswith('ls2.gamma') else tensor * (1000 if name == 'pos_embed' else 1)
             for name, tensor in state.items()}
    encoder = encoder_for('deit3', process_patch_size=32)
    _, _, teacher = begun(encoder, state)
    assert 'blocks.0.encoder.mlp.fc2.bias' not in calibrate(teacher, BATCHES).biases
    assert encoder.blocks[0].encoder.mlp.fc2.bias.abs().max() < 1e4


def test_it_is_the_same_every_time():
    one, other = calibrated()[0].state_dict(), calibrated()[0].state_dict()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize('has_bias', [True, False])
def test_images_of_another_normalisation_give_the_same_features(has_bias):
    embedding = torch.nn.Conv2d(3, 8, 16, 16, bias=has_bias)
    pixels, ours = 255 * torch.rand(2, 3, 32, 48), Images((127.5, 100.0, 90.0), (127.5, 60.0, 50.0))
    positions = torch.nn.Parameter(torch.zeros(1, 7, 8))

    def embedded(normalisation: Images) -> torch.Tensor:
        mean, std = (torch.tensor(values)[:, None, None] for values in normalisation)
        return embedding((pixels - mean) / std).flatten(2).transpose(1, 2) + positions[:, 1:]

    with torch.no_grad():
        before = embedded(Images(*IMAGENET))
        fold_images(embedding, Images(*IMAGENET), ours, (positions, 1))
        torch.testing.assert_close(embedded(ours), before, rtol=1e-4, atol=1e-4)
    assert has_bias == bool(positions[:, 1:].eq(0).all()) and positions[:, 0].eq(0).all()
