"""ALGM as a backbone: windows, then pairs, against loops; images that do not meet; thresholds that learn."""
import copy
import math
import multiprocessing
from pathlib import Path

import pytest
import timm
import torch
from mmseg.registry import MODELS
from tiny_models import assert_no_dead_parameters, images, random_loss, save_weights

from mmseg_vittm.backbones.algm import ALGM, Statistics, window_parents, window_similarity
from mmseg_vittm.errors import CheckpointError
from mmseg_vittm.vittm.merging import Merged

NAME = 'vit_tiny_patch16_224'
TINY = dict(model_name=NAME, img_size=48, patch_size=8, num_layers=4)  # 6 x 6 patches
FIXED = dict(local_threshold=0.1, global_threshold=0.5, global_layer=2)


def build(kind: str = 'ALGM', lively: bool = True, **changes) -> ALGM:
    """A backbone whose weights are all random: fresh norms and class tokens would hide a wrong order."""
    torch.manual_seed(0)
    backbone = MODELS.build(dict(type=kind) | TINY | (FIXED if kind == 'ALGM' else {}) | changes)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in backbone.parameters() if lively else ():
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    return backbone.eval()


def adaptive(**changes) -> ALGM:
    return build(**dict(local_threshold='adaptive', global_threshold='adaptive') | changes)


def scenes(height: int = 48, width: int = 48, batch: int = 4, seed: int = 5) -> torch.Tensor:
    """Images of large and small patterns: of some images more merges than of others."""
    generator = torch.Generator().manual_seed(seed)
    coarse = [torch.nn.functional.interpolate(torch.randn(1, 3, *[2 + 3 * image] * 2, generator=generator),
                                              (height, width), mode='bilinear') for image in range(batch)]
    return torch.cat(coarse) + 0.05 * torch.randn(batch, 3, height, width, generator=generator)


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(one @ other) / math.sqrt(float(one @ one) * float(other @ other))


def windows(grid: tuple[int, int], window: int) -> list[list[int]]:
    """The places of the tokens of each whole window."""
    return [[(top + y) * grid[1] + left + x for y in range(window) for x in range(window)]
            for top in range(0, grid[0] - window + 1, window) for left in range(0, grid[1] - window + 1, window)]


def mean_likeness(tokens: torch.Tensor) -> float:
    """The mean cosine of all pairs of tokens (n, C)."""
    pairs = [cosine(tokens[i], tokens[j]) for i in range(len(tokens)) for j in range(i)]
    return sum(pairs) / len(pairs)


@torch.no_grad()
def written_out(backbone: ALGM, image: torch.Tensor, local: float, everywhere: float) -> tuple[list, list[list[int]]]:
    """timm's ViT on all tokens, in which those that merged go on as equal ones: nobody need count sizes.

    Returns the maps of an image (1, 3, H, W), and the patches that each of the last tokens stands for.
    """
    vit, maps, window = backbone.vit, [], backbone.window
    grid = tuple(-(-side // vit.patch_embed.patch_size[0]) for side in image.shape[2:])
    tokens, prefix = vit.norm_pre(vit._pos_embed(vit.patch_embed(image)))[0], vit.num_prefix_tokens
    groups = [[place] for place in range(grid[0] * grid[1])]
    for index, block in enumerate(vit.blocks):
        tokens = tokens + block.attn(block.norm1(tokens[None]))[0]
        patches = tokens[prefix:]
        if index == backbone.local_layer:
            for places in windows(grid, window):
                if mean_likeness(patches[places]) > local:
                    groups = [places if group == [places[0]] else group for group in groups
                              if group == [places[0]] or group[0] not in places]
        if index == backbone.global_layer:
            joined = {own: [own] for own in range(len(groups))}
            for own in range(0, len(groups), 2) if len(groups) > 1 else ():
                likeness = {other: cosine(patches[groups[own][0]], patches[groups[other][0]])
                            for other in range(1, len(groups), 2)}
                best = max(likeness, key=likeness.get)
                if likeness[best] > everywhere:
                    joined[best] += joined.pop(own)
            groups = [[place for one in several for place in groups[one]] for several in joined.values()]
        for group in groups:
            patches[group] = patches[group].mean(dim=0)  # of `tokens` too
        tokens = tokens + block.mlp(block.norm2(tokens))
        if index in backbone.out_indices:
            normed = vit.norm(tokens) if index == backbone.arch_layers - 1 else tokens
            maps.append(normed[prefix:].T.reshape(-1, *grid))
    return maps, groups


@torch.no_grad()
def assert_written_out(backbone: ALGM, x: torch.Tensor, local: float, everywhere: float) -> list[int]:
    """A batch's maps are those of its images, written out; returns how many tokens each image is left with."""
    maps, last = backbone(x), backbone.intermediates(x, [len(backbone.vit.blocks) - 1])[0]
    left = []
    for image in range(len(x)):
        expected, groups = written_out(backbone, x[image:image + 1], local, everywhere)
        for got, tensor in zip(maps, expected, strict=True):
            torch.testing.assert_close(got[image], tensor, atol=2e-5, rtol=1e-4)
        count = len(groups)
        left.append(count)
        sizes = torch.ones(last.tokens.shape[1]) if last.sizes is None else last.sizes[image]
        assert sizes[:count + 1].tolist() == [1, *map(len, groups)] and not sizes[count + 1:].any()
        assert sizes.sum() == 1 + sum(map(len, groups))
        source = torch.arange(len(sizes)) if last.source is None else last.source[image]
        for place, group in enumerate(groups):
            assert (source == place + 1).nonzero().flatten().tolist() == [1 + one for one in sorted(group)]
    assert last.tokens.shape[1] == 1 + max(left)
    return left


# Nothing to merge.

@pytest.mark.parametrize('thresholds', [(1, 1), (1.0, 1.0)])
@torch.no_grad()
def test_thresholds_of_one_are_the_plain_vit_bit_for_bit(thresholds):
    options = dict(local_threshold=thresholds[0], global_threshold=thresholds[1], out_indices=(0, 3))
    backbone, plain = build(**options), build('ViTBackbone', out_indices=(0, 3))
    assert list(backbone.state_dict()) == list(plain.state_dict())
    constant = torch.full((2, 3, 48, 48), 0.3)
    for model in (backbone, plain):
        model.vit.pos_embed.zero_()
    for x in (images(48, 48), images(20, 91, 1), constant, constant + 1e-6 * images(48, 48)):
        assert all(torch.equal(*pair) for pair in zip(backbone(x), plain(x), strict=True))


@pytest.mark.parametrize('changes', [dict(local_threshold=1, global_threshold=0.999999),
                                     dict(local_threshold=0.999999, global_threshold=1.0)])
@torch.no_grad()
def test_one_threshold_of_one_merges_nothing_of_equal_tokens_there(changes):
    backbone = build(**changes)
    backbone.vit.pos_embed.zero_()
    merged = backbone.intermediates(torch.full((1, 3, 48, 48), 0.3), [3])[0]
    assert merged.tokens.shape[1] == 1 + (18 if changes['local_threshold'] == 1 else 9)


@pytest.mark.parametrize('threshold,left', [(1, 36), (0.999, 9)])
def test_windows_at_a_similarity_of_just_the_threshold_stay(threshold, left):
    tokens = torch.eye(192)[:1].expand(2, 37, -1)  # whose cosines are 1 without any rounding
    merged = build(local_threshold=threshold).merge(0, Merged(tokens), tokens, (6, 6))
    assert merged.tokens.shape == (2, 1 + left, 192) and torch.equal(merged.unmerged(), tokens)


@torch.no_grad()
def test_a_constant_image_stays_constant():
    backbone, plain, x = build(), build('ViTBackbone'), torch.full((1, 3, 40, 72), 0.3)
    for model in (backbone, plain):
        model.vit.pos_embed.zero_()
    (tensor, ) = backbone(x)
    torch.testing.assert_close(tensor, tensor[..., :1, :1].expand_as(tensor), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tensor, plain(x)[0], atol=1e-4, rtol=1e-4)


# What merges.

@pytest.mark.parametrize('grid,window', [((4, 6), 2), ((5, 7), 2), ((6, 6), 3), ((7, 5), 3), ((2, 2), 2), ((4, 9), 4)])
def test_window_similarity_is_the_mean_over_pairs(grid, window):
    patches = 10 * images(grid[0] * grid[1], 8, 2)[:, 0]
    expected = [[mean_likeness(one[places]) for places in windows(grid, window)] for one in patches]
    similarity = window_similarity(patches, grid, window)
    assert similarity.shape == (2, grid[0] // window, grid[1] // window)
    torch.testing.assert_close(similarity.flatten(1), torch.tensor(expected), atol=1e-6, rtol=1e-5)
    assert float(window_similarity(patches[:, :1].expand_as(patches), grid, window).max()) <= 1


def test_windows_become_their_first_token_and_what_is_left_over_stays():
    alike = torch.tensor([[[True, False]], [[False, True]]])
    parents = window_parents(alike, (3, 5), 2, prefix=2)
    before, last = [0, 1], [12, 13, 14, 15, 16]
    assert parents.tolist() == [[*before, 2, 2, 4, 5, 6, 2, 2, 9, 10, 11, *last],
                                [*before, 2, 3, 4, 4, 6, 7, 8, 4, 4, 11, *last]]


@pytest.mark.parametrize('local,everywhere', [(0.1, 0.5), (0.3, 1), (1, 0.8), (-1, 0.6), (0.2, -1), (1, -1)])
def test_equals_merging_written_out(local, everywhere):
    backbone = build(local_threshold=local, global_threshold=everywhere, out_indices=(0, 1, 2, 3))
    left = assert_written_out(backbone, scenes(), local, everywhere)
    assert len(set(left)) == {(0.1, 0.5): 3, (0.3, 1): 4, (1, 0.8): 4, (-1, 0.6): 2, (0.2, -1): 3, (1, -1): 1}[
        local, everywhere]  # images keep numbers of their own


@pytest.mark.parametrize('height,width,batch', [(45, 77, 1), (70, 40, 3), (24, 8, 2), (1, 1, 2), (9, 8, 1), (8, 65, 2)])
def test_odd_sizes(height, width, batch):
    """Windows that an edge cuts off are left alone; a line of patches has none at all, a single patch no pair."""
    assert_written_out(build(out_indices=(0, 3)), scenes(height, width, batch), 0.1, 0.5)


@pytest.mark.parametrize('changes', [dict(window=3), dict(local_layer=1, global_layer=-1),
                                     dict(model_name='vit_xsmall_patch16_clip_224')])
def test_other_windows_and_layers(changes):
    backbone = build(**changes)
    assert min(assert_written_out(backbone, scenes(), 0.1, 0.5)) < 30


def test_the_layers_of_other_depths():
    """The paper merges everywhere in the fifth block of twelve."""
    for layers, expected in ((12, 4), (24, 9), (6, 1), (2, 1)):
        backbone = build(num_layers=layers, global_layer=None, lively=False)
        assert (backbone.local_layer, backbone.global_layer) == (0, expected)
    assert build(local_layer=-4, global_layer=-1).global_layer == 3


@torch.no_grad()
def test_images_of_a_batch_do_not_meet():
    backbone, x = build(out_indices=(0, 2, 3)), scenes(batch=5)
    trained = adaptive(out_indices=(0, 2, 3)).train()
    trained(scenes(seed=6)), trained(scenes(seed=7))
    for model in (backbone, trained.eval()):
        counts = {len(model.intermediates(x[i:i + 1], [3])[0].tokens[0]) for i in range(5)}
        assert len(counts) > 2
        for order in (slice(None), [4, 0, 2], [1, 1, 1, 3]):
            for got, alone in zip(model(x[order]), zip(*(model(one[None]) for one in x[order]), strict=True),
                                  strict=True):
                torch.testing.assert_close(got, torch.cat(alone), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_what_fills_up_has_no_influence(monkeypatch):
    """Tokens of size 0, of whatever value from the first block's merging on."""
    backbone, x, merge = build(), scenes(), ALGM.merge
    (expected, ) = backbone(x)

    def filled(self, index, merged, keys, grid):
        merged = merge(self, index, merged, keys, grid)
        if merged.sizes is None:
            return merged
        absent = (merged.sizes == 0).unsqueeze(2)
        assert absent.any()
        return merged.holding(merged.tokens.where(~absent, 30 * images(*merged.tokens.shape[1:], 4)[:, 0]))
    monkeypatch.setattr(ALGM, 'merge', filled)
    torch.testing.assert_close(backbone(x)[0], expected, atol=1e-6, rtol=1e-6)


# Thresholds that learn.

def test_statistics_are_running_means():
    """Plain averages of the first hundred batches, then an exponential one; of infinite similarities nothing."""
    statistics, mean, square = Statistics().train(), 0.0, 0.0
    for number in range(1, 131):
        values = images(3, 5, 1, seed=number)[0, 0] * 0.3
        values[1, 2] = -torch.inf
        finite = values[values.isfinite()].double()
        share = max(1 / number, 0.01)
        mean += share * (float(finite.mean()) - mean)
        square += share * (float((finite**2).mean()) - square)
        got = statistics(values)
        for value, expected in zip(got, (mean, math.sqrt(square - mean**2)), strict=True):
            torch.testing.assert_close(value, torch.full((3, ), expected), atol=1e-5, rtol=0)
    assert int(statistics.batches) == 130
    held = copy.deepcopy(statistics.state_dict())
    statistics(torch.full((2, 3), -torch.inf))  # nothing to learn from
    statistics(torch.ones(2, 0))
    learned = statistics.eval()(torch.ones(1, 7))
    assert float(learned[0]) == pytest.approx(mean, abs=1e-5)
    torch.testing.assert_close(statistics.state_dict(), held, atol=0, rtol=0)


def learn_in_process(rank: int, folder: Path) -> None:
    """Learns two batches beside another process, which has others, and saves what it learned."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    statistics = Statistics().train()
    for seed in (6, 7):
        statistics(parts(seed)[rank])
    torch.save(statistics.state_dict(), folder / f'{rank}.pth')


def parts(seed: int) -> list[torch.Tensor]:
    """Similarities of two processes: of other numbers of images, and of the first one's second batch none."""
    values = images(3, 5, 3, seed=seed)[:, 0] * 0.3
    if seed == 7:
        values[:1] = -torch.inf
    return [values[:1], values[1:]]


def test_statistics_are_of_all_processes(tmp_path):
    """Each would learn a threshold of its own otherwise, and the first one's would be saved."""
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=learn_in_process, args=(rank, tmp_path)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    alone = Statistics().train()
    for seed in (6, 7):
        alone(torch.cat(parts(seed)))
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f'{rank}.pth'), alone.state_dict(), atol=1e-7, rtol=1e-6)


def test_statistics_of_what_is_nearly_equal_are_precise():
    values = 0.999 + 1e-4 * images(1, 4000, 1)[0, 0]
    _, deviation = Statistics().eval()(values)
    assert float(deviation) == pytest.approx(float(values.double().std(correction=0)), rel=0.01)


def test_statistics_before_any_training_are_each_images():
    values = images(4, 4, 1)[0, 0].view(4, 2, 2)
    mean, deviation = Statistics().eval()(values)
    torch.testing.assert_close((mean, deviation), (values.mean(dim=(1, 2)), values.std(dim=(1, 2), correction=0)))
    none = Statistics().eval()(torch.full((2, 3), -torch.inf))
    torch.testing.assert_close(none, (torch.ones(2), torch.zeros(2)))  # nothing is above


@torch.no_grad()
def test_before_any_training_an_images_map_is_its_own():
    backbone, x = adaptive().eval(), scenes()
    alone = torch.cat([backbone(one[None])[0] for one in x])
    torch.testing.assert_close(backbone(x)[0], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('deviations', [0.0, 0.7, -0.5])
def test_adaptive_thresholds_learn_in_training_alone(deviations):
    """After two batches they are the mean of what windows and pairs met there, and so many deviations."""
    backbone, met = adaptive(deviations=deviations, drop_path_rate=0.0).train(), {'local': [], 'global': []}
    for stage, statistics in backbone.statistics.items():
        statistics.register_forward_hook(lambda module, args, out, stage=stage: met[stage].append(args[0].detach()))
    for seed in (6, 7):
        backbone(scenes(seed=seed))
    thresholds = {}
    for stage, batches in met.items():
        moments = [(values[values.isfinite()].mean(), values[values.isfinite()].square().mean()) for values in batches]
        mean, square = (float(sum(values) / 2) for values in zip(*moments, strict=True))
        thresholds[stage] = mean + deviations * math.sqrt(square - mean**2)
    assert met['local'][0].shape == (4, 3, 3)
    held = {name: value.clone() for name, value in backbone.state_dict().items()}
    left = assert_written_out(backbone.eval(), scenes(), thresholds['local'], thresholds['global'])
    assert min(left) < 36
    torch.testing.assert_close(backbone.state_dict(), held, atol=0, rtol=0)


def test_more_deviations_merge_less():
    counts = []
    for deviations in (-1.0, 0.0, 1.0):
        counts.append(adaptive(deviations=deviations).intermediates(scenes(batch=1), [3])[0].tokens.shape[1])
    assert counts[0] < counts[1] < counts[2]


def test_training_in_bfloat16_learns_as_in_float32():
    """All in bfloat16, as some train: moments near 1 would have no digits left in it."""
    states = []
    for dtype in (torch.float32, torch.bfloat16):
        backbone = adaptive(drop_path_rate=0.0).to(dtype).train()
        maps = backbone(scenes().to(dtype))
        random_loss([one.float() for one in maps]).backward()
        assert maps[0].dtype == dtype and maps[0].isfinite().all()
        states.append(backbone.statistics.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name].float(), value.float(), atol=0.02, rtol=0.02)


@torch.no_grad()
def test_statistics_are_in_the_checkpoint(tmp_path):
    backbone = adaptive().train()
    backbone(scenes())
    names = {f'statistics.{stage}.{value}' for stage in ('local', 'global') for value in ('moments', 'batches')}
    assert names == {name for name in backbone.state_dict() if 'statistics' in name}
    assert all(backbone.state_dict()[name].any() for name in names)
    own = save_weights(backbone.state_dict(), tmp_path / 'own.safetensors')
    whole = save_weights({f'backbone.{name}': weight for name, weight in backbone.state_dict().items()},
                         tmp_path / 'whole.pth')
    for path in (own, whole):
        loaded = adaptive(init_cfg=dict(type='Pretrained', checkpoint=path))
        loaded.init_weights()
        assert torch.equal(loaded(scenes(seed=9))[0], backbone.eval()(scenes(seed=9))[0])


@pytest.mark.parametrize('changes', [{}, dict(local_threshold=0.9)])
def test_a_plain_vits_weights_leave_statistics_as_they_begin(tmp_path, changes):
    reference = timm.create_model(NAME, patch_size=8, depth=4, img_size=48)
    plain = build('ViTBackbone')
    paths = [save_weights(state, tmp_path / f'{name}.pth') for name, state in (
        ('timm', reference.state_dict()), ('own', plain.state_dict()),
        ('whole', {f'backbone.{name}': weight for name, weight in plain.state_dict().items()}))]
    for path in paths:
        backbone = adaptive(init_cfg=dict(type='Pretrained', checkpoint=path), **changes).train()
        backbone(scenes())  # they have seen a batch, of other weights
        backbone.init_weights()
        assert len(backbone.statistics) == 2 - len(changes)
        for statistics in backbone.statistics.values():
            assert not statistics.moments.any() and statistics.batches == 0
        expected = reference.pos_embed if path == paths[0] else plain.vit.pos_embed
        assert torch.equal(backbone.vit.pos_embed, expected)
        backbone.load_state_dict(plain.state_dict())  # strictly, as PyTorch does
    lost = {name: weight for name, weight in plain.state_dict().items() if name != 'vit.cls_token'}
    with pytest.raises(CheckpointError, match=r'missing \(1\): vit.cls_token'):
        adaptive(init_cfg=dict(type='Pretrained', checkpoint=save_weights(lost, tmp_path / 'lost.pth'))).init_weights()


# As a backbone.

@pytest.mark.parametrize('out_indices', [(2, ), (1, 3)])
@pytest.mark.parametrize('make', [build, adaptive])
def test_no_dead_parameters(out_indices, make):
    backbone = make(out_indices=out_indices).train()
    assert_no_dead_parameters(backbone, backbone(scenes()), (), 1e-9)


@pytest.mark.parametrize('make', [build, adaptive])
def test_recomputed_blocks_give_the_same_gradients(make):
    gradients, states, runs = [], [], []
    for with_cp in (False, True):
        backbone = make(with_cp=with_cp, out_indices=(0, 3), drop_path_rate=0.3).train()
        backbone.vit.blocks[1].attn.qkv.register_forward_hook(lambda *args: runs.append(1))
        torch.manual_seed(3)
        random_loss(backbone(scenes())).backward()
        gradients.append([weight.grad for weight in backbone.parameters()])
        states.append(backbone.state_dict())
    assert len(runs) == 3  # once, and twice
    torch.testing.assert_close(*gradients)
    torch.testing.assert_close(*states, atol=0, rtol=0)  # nothing is learned twice


@pytest.mark.parametrize('make', [build, adaptive])
def test_the_same_every_time(make):
    found = []
    for _ in range(2):
        backbone = make(drop_path_rate=0.3).train()
        torch.manual_seed(3)
        maps = backbone(scenes())
        random_loss(maps).backward()
        found.append((maps, backbone.state_dict(), [weight.grad for weight in backbone.parameters()]))
    torch.testing.assert_close(*found, atol=0, rtol=0)


@pytest.mark.parametrize('frozen_layers', [-1, 0, 2, 4])
def test_frozen_layers(frozen_layers):
    backbone = adaptive(frozen_layers=frozen_layers, drop_path_rate=0.5).train()
    trained = {name for name, weight in backbone.named_parameters() if weight.requires_grad}
    held = () if frozen_layers < 0 else ('vit.patch_embed', 'vit.cls_token', 'vit.pos_embed', *(
        f'vit.blocks.{i}.' for i in range(frozen_layers)), *['vit.'] * (frozen_layers == 4))
    assert trained == {name for name, _ in backbone.named_parameters() if not name.startswith(held or '\0')}
    maps = backbone(scenes())
    if trained:
        random_loss(maps).backward()
    assert {name for name, weight in backbone.named_parameters() if weight.grad is not None} == trained
    learns = {int(statistics.batches) for statistics in backbone.statistics.values()}
    assert learns == ({0} if frozen_layers == 4 else {1})  # where all is frozen, thresholds are as well


@torch.no_grad()
def test_out_indices():
    backbone = build(out_indices=(0, 1, 2, 3))
    maps = backbone(scenes())
    for index in (2, 3):
        single = build(out_indices=(index, ))
        single.load_state_dict({name: backbone.state_dict()[name] for name in single.state_dict()})
        assert len(single.vit.blocks) == index + 1
        torch.testing.assert_close(single(scenes())[0], maps[index], atol=0, rtol=0)


def test_the_metas_number_of_tokens_is_the_plain_vits():
    """Where nothing can be counted, none merges."""
    with torch.device('meta'):
        backbone = MODELS.build(dict(type='ALGM') | TINY | FIXED).eval()
        assert backbone(torch.empty(2, 3, 45, 77))[0].shape == (2, 192, 6, 10)
        assert isinstance(backbone.intermediates(torch.empty(1, 3, 48, 48), [3])[0], Merged)


@pytest.mark.parametrize('arguments,message', [
    (dict(local_threshold=1.1), r'local_threshold must be a cosine similarity from -1 to 1, or .adaptive., got 1.1'),
    (dict(global_threshold='learned'), "global_threshold must be .* got 'learned'"),
    (dict(global_threshold=True), 'global_threshold must be .* got True'),
    (dict(local_threshold=None), 'local_threshold must be'), (dict(local_threshold=float('nan')), 'got nan'),
    (dict(deviations='1'), "deviations must be a number, got '1'"), (dict(deviations=float('nan')), 'deviations'),
    (dict(window=4), 'window must be .* got 4 for a grid of 6 x 6 patches'),
    (dict(window=1), 'window must be'), (dict(window=2.0), 'window must be'),
    (dict(img_size=(40, 48)), r'got 2 for a grid of 5 x 6 patches; give another window or img_size'),
    (dict(local_layer=2), 'local_layer must be before global_layer, got 2 and 2'),
    (dict(local_layer=-1), 'local_layer must be before global_layer, got -1 and 2'),
    (dict(global_layer=4), 'from -4 to 3'),
    (dict(out_indices=(1, )), r'global_layer=2 is after block 1, the last that out_indices=\(1,\) needs'),
    (dict(num_layers=12, global_layer=None, out_indices=(1, 3)), r'global_layer=4 \(its default\) is after block 3'),
    (dict(num_layers=4, global_layer=None, local_layer=1), r'got 1 and 1 \(its default\)'),
    (dict(model_name='vit_small_patch16_18x2_224'), 'plain ViT blocks alone'),
    (dict(num_layers=1, global_layer=None), 'merges in two blocks.*num_layers=1'),
    (dict(local_layer=True), 'local_layer must be a block from -4 to 3, got True'),
    (dict(frozen_layers=5), 'frozen_layers')])
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(lively=False, **arguments)


def test_a_misspelt_argument_is_a_type_error():
    with pytest.raises(TypeError, match='threshold'):
        build(threshold=0.8)
    with pytest.raises(TypeError):
        ALGM(0.8)  # keywords only: MMSegmentation configs have no positions
