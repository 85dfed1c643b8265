"""ToMe's classifiers, as timm knows them: the plain ViT where nothing merges, and what merges, written out."""
import pytest
import timm
import torch
from merged_by_loops import likest
from tiny_models import assert_no_dead_parameters, images, random_loss, save_weights

import mmseg_vittm.vittm  # noqa: F401  (registers)

NAME, PLAIN = 'tome_vit_tiny_patch16_224', 'vit_tiny_patch16_224'
SMALL = dict(img_size=96, depth=3, num_classes=5)  # 6 x 6 patches


def lively(model: torch.nn.Module) -> torch.nn.Module:
    """All weights random: fresh norms, biases and class tokens would hide a wrong order."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    return model.eval()


def build(merge_tokens: int | float = 5, **changes) -> torch.nn.Module:
    torch.manual_seed(0)
    return lively(timm.create_model(NAME, merge_tokens=merge_tokens, **SMALL | changes))


def plain(**changes) -> torch.nn.Module:
    torch.manual_seed(0)
    return lively(timm.create_model(PLAIN, **SMALL | changes))


@torch.no_grad()
def written_out(model: torch.nn.Module, x: torch.Tensor, count: int) -> tuple[torch.Tensor, list[list[list[int]]]]:
    """timm's ViT on all tokens, in which the patches that merged go on as equal ones: nobody need count sizes.

    Returns the tokens before the final norm, and for each image the patches that each token stands for.
    """
    tokens, prefix = model.norm_pre(model._pos_embed(model.patch_embed(x))), model.num_prefix_tokens
    together = [[[place] for place in range(prefix, tokens.shape[1])] for _ in x]
    for block in model.blocks:
        normed = block.norm1(tokens)
        keys = block.attn.qkv(normed).unflatten(2, (3, block.attn.num_heads, -1))[:, :, 1].mean(dim=2)
        tokens = tokens + block.attn(normed)
        for image, groups in enumerate(together):
            pairs = likest(torch.stack([keys[image, group[0]] for group in groups]), min(count, len(groups) // 2))
            for own, partner in pairs:
                groups[partner] = groups[partner] + groups[own]
            together[image] = [group for place, group in enumerate(groups) if place not in dict(pairs)]
            for group in together[image]:
                tokens[image, group] = tokens[image, group].mean(dim=0)
        tokens = tokens + block.mlp(block.norm2(tokens))
    return tokens, together


@torch.no_grad()
def test_without_merging_it_is_the_plain_vit_bit_for_bit():
    torch.manual_seed(0)
    model = timm.create_model(NAME).eval()
    torch.manual_seed(0)
    reference, x = timm.create_model(PLAIN).eval(), images(224, 224)
    assert len(model.blocks) == 12 and model.num_classes == 1000
    assert list(model.state_dict()) == list(reference.state_dict())
    assert torch.equal(model(x), reference(x))
    assert torch.equal(build(0)(images(96, 96)), plain()(images(96, 96)))
    assert torch.equal(build(0.0)(images(96, 96)), plain()(images(96, 96)))


@pytest.mark.parametrize('count,left,changes', [
    (5, 21, {}), (11, 7, {}), (1, 33, dict(reg_tokens=3)), (7, 15, dict(class_token=False, global_pool='avg'))])
def test_equals_merging_written_out(count, left, changes):
    """Where 11 merge in each block, the last has but 14, of which half merge."""
    model, x = build(count, **changes), images(96, 96)
    tokens, together = written_out(model, x, count)
    assert [len(groups) for groups in together] == [left] * 2
    with torch.no_grad():
        torch.testing.assert_close(model.forward_features(x), model.norm(tokens), atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(model(x), model.forward_head(model.norm(tokens)), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize('merge_tokens,number', [(0.25, 9), (4, 4), (0.125, 4)])
def test_each_block_merges_so_many(merge_tokens, number):
    model, lengths = build(merge_tokens, global_pool='avg'), []
    for block in model.blocks:
        block.mlp.register_forward_hook(lambda module, args, out: lengths.append(out.shape[1]))
    assert model.forward_features(images(96, 96)).shape == (2, 37, 192)
    assert lengths == [37 - number, 37 - 2 * number, 37 - 3 * number]


@torch.no_grad()
def test_pooling_is_the_mean_weighed_by_sizes():
    model, x = build(8, global_pool='avg'), images(96, 96)
    tokens, together = written_out(model, x, 8)
    means = []
    for image, groups in enumerate(together):
        total = sum(len(group) * model.norm(tokens)[image, group[0]] for group in groups)
        means.append(total / sum(map(len, groups)))
        assert max(map(len, groups)) > 2 and sum(map(len, groups)) == 36
    torch.testing.assert_close(model.forward_head(model.forward_features(x), pre_logits=True),
                               model.fc_norm(torch.stack(means)), atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_weights_of_a_trained_vit(tmp_path):
    reference, x = plain(), images(96, 96)
    path = save_weights(reference.state_dict(), tmp_path / 'vit.pth')
    for merge_tokens in (0, 5):
        model = timm.create_model(NAME, merge_tokens=merge_tokens, checkpoint_path=path, **SMALL).eval()
        assert all(torch.equal(weight, reference.state_dict()[name]) for name, weight in model.state_dict().items())
        assert torch.equal(model(x), reference(x)) == (merge_tokens == 0)


def test_names():
    names = {f'tome_vit_{size}_patch16_224' for size in ('tiny', 'small', 'base')}
    assert names <= set(timm.list_models('tome*'))
    for name in names:
        own, theirs = (timm.models.get_pretrained_cfg(one) for one in (name, name.removeprefix('tome_')))
        assert (own.hf_hub_id, own.mean, own.input_size) == (theirs.hf_hub_id, theirs.mean, theirs.input_size)
    with torch.device('meta'):
        for name in names:
            twin = timm.create_model(name.removeprefix('tome_'))
            shapes = {key: weight.shape for key, weight in timm.create_model(name).state_dict().items()}
            assert shapes == {key: weight.shape for key, weight in twin.state_dict().items()}


@pytest.mark.parametrize('global_pool', ['token', 'avg'])
def test_no_dead_parameters(global_pool):
    model = build(5, global_pool=global_pool).train()
    assert_no_dead_parameters(model, [model(images(96, 96))], (), 1e-9)


def test_images_of_other_sizes():
    model = build(6, dynamic_img_size=True, dynamic_img_pad=True)
    for height, width, patches in ((96, 96, 36), (50, 70, 20), (1, 1, 1), (33, 16, 3)):
        tokens = model.forward_features(images(height, width))
        assert tokens.shape == (2, 1 + patches, 192) and tokens.isfinite().all()


def test_attention_masks_are_refused():
    with pytest.raises(ValueError, match='tokens that merge take no attention mask; set merge_tokens=0'):
        build(5).forward_features(images(96, 96), attn_mask=torch.zeros(37, 37))
    with pytest.raises(ValueError, match='no attention mask'):
        build(5).forward_features(images(96, 96), is_causal=True)
    assert build(5).forward_features(images(96, 96), attn_mask=None, is_causal=False).shape == (2, 37, 192)


def test_maps_of_blocks_are_the_backbones():
    """timm's loop over the blocks would not merge; without merging it is the plain ViT's."""
    for run in ('forward_intermediates', 'get_intermediate_layers'):
        with pytest.raises(ValueError, match='mmseg_vittm.ToMe'):
            getattr(build(), run)(images(96, 96))
    made = [timm.create_model(name, features_only=True, out_indices=(0, 2), img_size=96, depth=3)
            for name in (NAME, PLAIN)]
    made[0].load_state_dict(made[1].state_dict())
    with torch.no_grad():
        torch.testing.assert_close(*(model.eval()(images(96, 96)) for model in made), atol=0, rtol=0)


def test_recomputed_blocks_give_the_same_gradients():
    gradients, calls = [], []
    for recompute in (False, True):
        model = build().train()
        model.set_grad_checkpointing(recompute)
        count = [0]
        model.blocks[0].norm1.register_forward_hook(lambda *_, count=count: count.__setitem__(0, count[0] + 1))
        random_loss([model(images(96, 96))]).backward()
        gradients.append([weight.grad for weight in model.parameters()])
        calls.append(count[0])
    torch.testing.assert_close(*gradients)
    assert calls == [1, 2]


def test_stochastic_depth_and_dropped_patches_train():
    torch.manual_seed(1)
    model = build(2, drop_path_rate=0.5, patch_drop_rate=0.5, proj_drop_rate=0.1, attn_drop_rate=0.1).train()
    random_loss([model(images(96, 96))]).backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize('arguments,message', [
    (dict(merge_tokens=12), r'merge_tokens=12 in each of 3 blocks merges 36 of 36 tokens away'),
    (dict(merge_tokens=0.4), r'merges 42 of 36'), (dict(merge_tokens=-1), 'merge_tokens must be'),
    (dict(block_fn=timm.models.vision_transformer.ParallelScalingBlock), 'plain ViT blocks alone')])
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**dict(merge_tokens=5) | arguments)


def test_other_blocks_do_where_nothing_merges():
    build(0, block_fn=timm.models.vision_transformer.ParallelScalingBlock)(images(96, 96))
