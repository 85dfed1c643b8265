"""ViTTM whose process tokens merge: against blocks on all tokens, of which those that merged go on as equal ones."""
import pytest
import torch
from merged_by_loops import likest
from mmseg.registry import MODELS
from tiny_models import TINY, assert_no_dead_parameters, images, random_loss, save_weights

from mmseg_vittm import ViTTM
from mmseg_vittm.vittm.streams import concat_maps

HEADS = ('linear', 'cross', 'latent')


def build(lively: bool = True, **changes) -> ViTTM:
    """A backbone whose weights are all random: fresh norms and biases would hide a wrong order."""
    torch.manual_seed(0)
    backbone = MODELS.build(dict(type='ViTTM', arch=TINY, img_size=56, process_patch_size=14, memory_patch_size=7,
                                 merge_tokens=3) | changes)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in backbone.parameters() if lively else ():
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    return backbone.eval()


@torch.no_grad()
def written_out(backbone: ViTTM, x: torch.Tensor, count: int) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
    """Both streams after each block: no token goes away, but groups of process tokens have one value, their mean."""
    encoder, streams = backbone.encoder, []
    process, memory = encoder.embed(x)
    together = [[[place] for place in range(process.shape[1])] for _ in x]
    for block in encoder.blocks:
        process, memory = block.read_norm(process), block.read_norm(memory)
        process = encoder.read_fusion(process, block.read_head(target=process, source=memory)).clone()
        vit = block.encoder
        normed = vit.norm1(process)
        keys = vit.attn.k_norm(vit.attn.qkv(normed).unflatten(2, (3, vit.attn.num_heads, -1))[:, :, 1])
        process = process + vit.ls1(vit.attn(normed))
        for image, groups in enumerate(together):
            representatives = torch.stack([keys[image, group[0]].mean(dim=0) for group in groups])
            pairs = likest(representatives, min(count, len(groups) // 2))
            for own, partner in pairs:
                groups[partner] = groups[partner] + groups[own]
            together[image] = [group for place, group in enumerate(groups) if place not in dict(pairs)]
            for group in together[image]:
                process[image, group] = process[image, group].mean(dim=0)
        process = process + vit.ls2(vit.mlp(vit.norm2(process)))
        process = block.write_norm(process)
        if block.write_head is None:
            streams.append((process, None))
            break
        memory = block.write_norm(memory)
        memory = block.memory_mlp(encoder.write_fusion(memory, block.write_head(target=memory, source=process)))
        streams.append((process, memory))
    return streams


def as_map(tokens: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *grid)


def assert_written_out(backbone: ViTTM, x: torch.Tensor, count: int) -> None:
    expected, (process_grid, memory_grid) = written_out(backbone, x, count), backbone.encoder.grids(*x.shape[2:])
    with torch.no_grad():
        maps = backbone(x)
    for index, tensor in zip(backbone.out_indices, maps, strict=True):
        process, memory = expected[index]
        parts = [as_map(process, process_grid)] * (backbone.out_tokens != 'memory')
        parts += [as_map(memory, memory_grid)] * (backbone.out_tokens != 'process') if memory is not None else []
        torch.testing.assert_close(tensor, concat_maps(*parts) if len(parts) == 2 else parts[0], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize('read_write_head', HEADS)
@pytest.mark.parametrize('fusion', ['add', 'erase'])
@pytest.mark.parametrize('out_tokens', ['concat', 'process', 'memory'])
def test_equals_merging_written_out(read_write_head, fusion, out_tokens):
    backbone = build(read_write_head=read_write_head, fusion=fusion, out_tokens=out_tokens, out_indices=(0, 2))
    assert_written_out(backbone, images(), 3)


@pytest.mark.parametrize('changes', [
    dict(memory_mlp_ratio=0.5), dict(layer_scale=0.3, qk_norm=True), dict(mlp='swiglu_norm'), dict(merge_tokens=0.25),
    dict(process_init='downsample', num_process_tokens=16), dict(process_init='latent', num_process_tokens=12),
    dict(memory_patch_size=14), dict(activation='quick_gelu')])
def test_other_options(changes):
    assert_written_out(build(**changes), images(), 4 if 'merge_tokens' in changes else 3)


@pytest.mark.parametrize('height,width,batch', [(45, 71, 1), (112, 63, 2), (14, 90, 1), (14, 14, 3), (1, 1, 2)])
@pytest.mark.parametrize('merge_tokens', [3, 4])
def test_odd_sizes(height, width, batch, merge_tokens):
    """Where there are fewer tokens than so many pairs need, half of them merge in each block."""
    assert_written_out(build(merge_tokens=merge_tokens, out_indices=(0, 2)), images(height, width, batch), merge_tokens)


@pytest.mark.parametrize('changes', [dict(merge_tokens=0), dict(merge_tokens=0.0)])
@torch.no_grad()
def test_without_merging_it_is_the_plain_vittm_bit_for_bit(changes):
    for more in ({}, dict(read_write_head='cross', out_tokens='process'), dict(rope='eva02', merge_tokens=0)):
        plain = {name: value for name, value in more.items() if name != 'merge_tokens'}
        backbone, reference = build(**changes | more), build(**plain | dict(merge_tokens=0))
        assert all(torch.equal(*pair) for pair in zip(backbone(images()), reference(images()), strict=True))


@torch.no_grad()
def test_fewer_tokens_are_encoded_and_written():
    backbone, seen = build(merge_tokens=4), []
    for block in backbone.encoder.blocks:
        block.encoder.norm1.register_forward_hook(lambda module, args, out: seen.append(out.shape[1]))
        block.write_head.register_forward_hook(
            lambda module, args, kwargs, out: seen.append((kwargs['source'].shape[1], kwargs['sizes'].sum(1).tolist())),
            with_kwargs=True)
    backbone(images())
    assert seen == [16, (12, [16, 16]), 12, (8, [16, 16]), 8, (4, [16, 16])]
    share = build(merge_tokens=0.25)
    share.load_state_dict(backbone.state_dict())  # weights are the same
    assert torch.equal(share(images())[0], backbone(images())[0])


@torch.no_grad()
def test_a_constant_image_stays_constant():
    plain, backbone = build(merge_tokens=0), build(merge_tokens=4)
    for model in (plain, backbone):
        for stream in (model.encoder.process_stream, model.encoder.memory_stream):
            stream.pos_embed.weight.zero_()
    x = torch.full((1, 3, 70, 98), 0.7)
    (tensor, ) = backbone(x)
    torch.testing.assert_close(tensor, tensor[..., :1, :1].expand_as(tensor), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tensor, plain(x)[0], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_images_of_a_batch_do_not_meet():
    backbone, x = build(out_indices=(0, 1, 2)), images(batch=4)
    one_by_one = [backbone(one[None]) for one in x]
    for together, alone in zip(backbone(x), map(torch.cat, zip(*one_by_one, strict=True)), strict=True):
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_out_indices():
    backbone = build(out_indices=(0, 1, 2))
    maps = backbone(images())
    for index in range(3):
        single = build(out_indices=(index, ))
        single.load_state_dict({name: backbone.state_dict()[name] for name in single.state_dict()})
        assert torch.equal(single(images())[0], maps[index]) and len(single.encoder.blocks) == index + 1
    build(out_indices=(0, ), merge_tokens=8)  # one block is built, so that 8 are left


@pytest.mark.parametrize('read_write_head', HEADS)
@pytest.mark.parametrize('out_indices', [(0, ), (1, ), (0, 2)])
@pytest.mark.parametrize('out_tokens', ['concat', 'process', 'memory'])
def test_no_dead_parameters(read_write_head, out_indices, out_tokens):
    backbone = build(False, read_write_head=read_write_head, out_indices=out_indices, out_tokens=out_tokens,
                     memory_mlp_ratio=0.5).train()
    invariant = ('k_norm.bias', ) if read_write_head != 'linear' else ()  # a softmax over tokens cancels it
    assert_no_dead_parameters(backbone, backbone(images()), invariant, 1e-12)


def test_gradients_are_those_of_merging_written_out():
    """With sizes, of the same pairs: by the mean of each group's tokens."""
    backbone = build(out_indices=(0, 2)).double()
    maps = backbone(images().double())
    random_loss(maps).backward()
    weight = backbone.encoder.process_stream.proj.weight
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(4)).double()
    with torch.no_grad():  # the slope along a direction, by the values of `written_out`
        losses = []
        for step in (1e-5, -1e-5):
            weight.add_(step * direction)
            streams = written_out(backbone, images().double(), 3)
            grids = backbone.encoder.grids(56, 56)
            losses.append(random_loss([concat_maps(*(as_map(tokens, grid) for tokens, grid in zip(
                streams[index], grids, strict=True))) for index in (0, 2)]))
            weight.sub_(step * direction)
    slope = float(losses[0] - losses[1]) / 2e-5
    assert float((weight.grad * direction).sum()) == pytest.approx(slope, rel=1e-3)


@pytest.mark.parametrize('read_write_head', HEADS)
def test_recomputed_blocks_give_the_same_gradients(read_write_head):
    gradients, runs = [], []
    for with_cp in (False, True):
        backbone = build(with_cp=with_cp, out_indices=(0, 2), drop_path_rate=0.3, read_write_head=read_write_head)
        backbone.train()
        backbone.encoder.blocks[1].read_norm.register_forward_hook(lambda *args: runs.append(1))
        torch.manual_seed(3)
        random_loss(backbone(images())).backward()
        gradients.append([weight.grad for weight in backbone.parameters()])
    assert len(runs) == 2 * 3  # two streams' norms, once, and twice
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize('frozen_layers', [-1, 0, 2, 3])
def test_frozen_layers(frozen_layers):
    backbone = build(frozen_layers=frozen_layers, drop_path_rate=0.5).train()
    trained = {name for name, weight in backbone.named_parameters() if weight.requires_grad}
    held = () if frozen_layers < 0 else ('encoder.process_stream', 'encoder.memory_stream', *(
        f'encoder.blocks.{i}.' for i in range(frozen_layers)), *['encoder.'] * (frozen_layers == 3))
    assert trained == {name for name, _ in backbone.named_parameters() if not name.startswith(held or '\0')}
    if trained:
        random_loss(backbone(images())).backward()
    assert {name for name, weight in backbone.named_parameters() if weight.grad is not None} == trained


@torch.no_grad()
def test_weights_of_a_plain_vittm(tmp_path):
    plain = build(merge_tokens=0)
    for name, state in (('own', plain.state_dict()),
                        ('whole', {f'backbone.{name}': weight for name, weight in plain.state_dict().items()})):
        path = save_weights(state, tmp_path / f'{name}.pth')
        backbone = build(init_cfg=dict(type='Pretrained', checkpoint=path))
        backbone.init_weights()
        assert all(torch.equal(*pair) for pair in zip(backbone.state_dict().values(), plain.state_dict().values(),
                                                      strict=True))
        assert (backbone(images())[0] - plain(images())[0]).abs().max() > 0.01


@pytest.mark.parametrize('arguments,message', [
    (dict(merge_tokens=5), r'merge_tokens=5 in each of 3 blocks merges 15 of 16 tokens away.*give 4 or less'),
    (dict(merge_tokens=0.5), r'merge_tokens=0.5 in each of 3 blocks merges 24 of 16'),
    (dict(merge_tokens=4, process_init='latent', num_process_tokens=12), r'merges 12 of 12.*give 3 or less'),
    (dict(merge_tokens=0.01), 'merge_tokens=0.01 of 16 tokens is none; give a larger share, or 0'),
    (dict(merge_tokens=-1), 'merge_tokens must be'), (dict(merge_tokens=True), 'merge_tokens must be'),
    (dict(rope='eva02'), "merge_tokens=3 changes .* which rope='eva02' cannot have"),
    (dict(fusion='add_erase'), "which fusion='add_erase' cannot have; take .* fusion 'add' or 'erase'"),
    (dict(read_write_head='token_summary'), "which read_write_head='token_summary' cannot have"),
    (dict(read_write_head='token_summary', fusion='add_erase', rope='dinov3'),
     "read_write_head='token_summary' and fusion='add_erase' and rope='dinov3' cannot have"),
    (dict(read_write_head='cell'), "which read_write_head='cell' cannot have.*or merge_tokens=0")])
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(False, **arguments)
    build(False, **arguments | dict(merge_tokens=0))
