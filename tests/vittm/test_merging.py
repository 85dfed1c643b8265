"""Token merging against loops over single tokens: matching, means, attention by sizes, and the way back."""
import math

import pytest
import torch
from timm.models.eva import EvaBlock
from timm.models.vision_transformer import Block, ParallelScalingBlock, ResPostBlock
from torch import nn

from mmseg_vittm.vittm import HEADS
from mmseg_vittm.vittm.linear_attention import linear_attention, linear_attention_reference
from mmseg_vittm.vittm.merging import (
    Merged,
    alike,
    check_merge_tokens,
    merge,
    merge_likest,
    merge_pairs,
    merged_per_block,
    pair_up,
)
from mmseg_vittm.vittm.merging_vit import attend, check_mergeable, run_merging, transform

DIMS = 24
SIZES = torch.tensor([[3.0, 1.0, 2.0, 5.0, 1.0, 1.0], [1.0, 7.0, 1.0, 1.0, 2.0, 1.0]])


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(one @ other) / math.sqrt(float(one @ one) * float(other @ other))


def best_pairs(metric: torch.Tensor, prefix: int = 0) -> list[tuple[float, int, int]]:
    """Of an image's vectors (M, c): every other one's cosine with its likest of those between, itself and that one."""
    metric, pairs = metric.detach(), []
    for own in range(prefix, len(metric), 2) if len(metric) > prefix + 1 else ():
        cosines = {other: cosine(metric[own], metric[other]) for other in range(prefix + 1, len(metric), 2)}
        partner = max(cosines, key=cosines.get)
        pairs.append((cosines[partner], own, partner))
    return pairs


def grouped(values: list, members: list[list[int]], pairs: list[tuple[int, int]]) -> tuple[list, list[list[int]]]:
    """Merges tokens that stand for lists of first tokens: the values, and what they stand for, in their old order."""
    into = {place: [place] for place in range(len(values))}
    for own, partner in pairs:
        into[partner] += into.pop(own)
    means = [sum(len(members[i]) * values[i] for i in group) / sum(len(members[i]) for i in group)
             for group in into.values()]
    return means, [[first for i in group for first in members[i]] for group in into.values()]


def assert_holds(merged: Merged, image: int, values: list, members: list[list[int]]) -> None:
    """An image's tokens are these, each standing for these first ones; what follows fills up."""
    count = len(values)
    torch.testing.assert_close(merged.tokens[image, :count], torch.stack(values), atol=1e-5, rtol=1e-5)
    assert merged.sizes[image].tolist() == [*map(len, members), *[0] * (merged.tokens.shape[1] - count)]
    for place, firsts in enumerate(members):
        assert (merged.source[image] == place).nonzero().flatten().tolist() == sorted(firsts)


@pytest.mark.parametrize('length,prefix', [(12, 0), (13, 0), (14, 1), (17, 1), (21, 5), (2, 0), (3, 1)])
@pytest.mark.parametrize('count', [1, 3, 100])
def test_bipartite_matching_equals_a_loop(length, prefix, count):
    """Three times in a row, so that tokens have sizes; 100 is half of the tokens at most."""
    first = random(2, length, DIMS)
    merged, values = Merged(first), [list(image) for image in first]
    members = [[[i] for i in range(length)] for _ in first]
    for step in range(3):
        metric = random(2, merged.tokens.shape[1], 6, seed=step + 1)
        merged = merge_likest(merged, metric, count, prefix)
        for image in range(2):
            most = min(count, (len(values[image]) - prefix) // 2)
            pairs = sorted(best_pairs(metric[image], prefix), reverse=True)[:most]
            values[image], members[image] = grouped(values[image], members[image], [pair[1:] for pair in pairs])
            if merged.sizes is not None:
                assert_holds(merged, image, values[image], members[image])
    if length > prefix + 1:
        assert merged.sizes.dtype == torch.float32 and (merged.sizes.sum(dim=1) == length).all()
        assert torch.equal(merged.tokens[:, :prefix], first[:, :prefix])
        for image, sources in zip(range(2), merged.source, strict=True):  # each is the plain mean of its first tokens
            for place, token in enumerate(merged.tokens[image]):
                torch.testing.assert_close(token, first[image, sources == place].mean(dim=0), atol=1e-5, rtol=1e-5)


def test_the_likest_merge_and_not_the_first():
    """Tokens 4 and 5 are alike, and so, a little less, are 2 and 1; tokens 0 and 3 are like none."""
    tokens = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 2, 0.2], [-1, 0, -1], [0, 0, 2], [0, 0, 4]])[None]
    assert merge_likest(Merged(tokens), tokens, 1).source.tolist() == [[0, 1, 2, 3, 4, 4]]
    merged = merge_likest(Merged(tokens), tokens, 2)
    assert merged.source.tolist() == [[0, 1, 1, 2, 3, 3]] and merged.sizes.tolist() == [[1, 2, 1, 2]]
    torch.testing.assert_close(merged.tokens[0, 1], torch.tensor([0, 1.5, 0.1]))
    torch.testing.assert_close(merged.unmerged()[0], merged.tokens[0, [0, 1, 1, 2, 3, 3]])


def test_several_go_into_one():
    tokens = torch.tensor([[1.0, 0.1], [1, 0], [1, 0.2], [-1, 0], [1, 0.3]])[None]
    merged = merge_likest(Merged(tokens, torch.tensor([[1.0, 2, 3, 4, 5]])), tokens, 100)
    assert merged.source.tolist() == [[0, 0, 0, 1, 2]]  # 2 of 5 merge at most: half of them, rounded down
    assert merged.sizes.tolist() == [[6, 4, 5]]
    torch.testing.assert_close(merged.tokens[0, 0], torch.tensor([1, (0.1 + 3 * 0.2) / 6]))


def test_nothing_to_merge_is_the_same_object():
    merged = Merged(random(2, 6, DIMS))
    assert merge_likest(merged, merged.tokens, 0) is merged and merged.unmerged() is merged.tokens
    assert merge_likest(merged, merged.tokens, 3, prefix=5) is merged and merged.attention_bias() is None


@pytest.mark.parametrize('threshold', [-1.0, 0.1, 0.6, 1.0])
def test_merging_by_a_threshold_equals_a_loop(threshold):
    """Twice: images of fewer tokens are filled up, and what fills up is in no pair after that."""
    first = random(3, 11, 4)
    merged, values = Merged(first), [list(image) for image in first]
    members = [[[i] for i in range(11)] for _ in first]
    for step in range(2):
        metric = random(3, merged.tokens.shape[1], 3, seed=step + 7)
        pairs = pair_up(merged, metric, prefix=1)
        merged = merge_pairs(merged, pairs, pairs.similarity > threshold)
        for image in range(3):
            likest = best_pairs(metric[image, :len(values[image])], 1)
            chosen = [pair[1:] for pair in likest if pair[0] > threshold]
            values[image], members[image] = grouped(values[image], members[image], chosen)
            assert_holds(merged, image, values[image], members[image])
        assert merged.tokens.shape[1] == max(map(len, values))
    assert len({len(image) for image in values}) > 1 or threshold in (-1.0, 1.0)


def test_what_fills_up_has_no_influence():
    tokens, sizes = random(2, 6, DIMS), SIZES.clone()
    sizes[0, 4:] = 0
    block, metric, results = build_block(), random(2, 6, 5, seed=2), []
    for value in (0.0, 1e3):
        filled, metric = tokens.clone(), metric.clone()
        filled[0, 4:], metric[0, 4:] = value, value
        merged, keys = attend(block, Merged(filled, sizes))
        assert (merged.attention_bias()[0, 0, 0, 4:] == -torch.inf).all()
        pairs = pair_up(merged, metric)
        assert (pairs.similarity[0, 2] == -torch.inf) and (pairs.partner[0, :2] < 4).all()
        merged = transform(block, merge_pairs(merged, pairs, pairs.similarity > -0.5))
        results.append((merged.tokens * (merged.sizes > 0).unsqueeze(2), merged.sizes, merged.unmerged()[:, :4]))
    torch.testing.assert_close(*results, atol=0, rtol=0)


def test_merging_by_hand():
    tokens = torch.tensor([[[1.0], [2], [4], [8]], [[1], [2], [4], [8]]])
    merged = merge(Merged(tokens), torch.tensor([[3, 1, 3, 3], [0, 1, 2, 1]]))
    assert merged.source.tolist() == [[1, 0, 1, 1], [0, 1, 2, 1]]
    torch.testing.assert_close(merged.tokens.flatten(1), torch.tensor([[2, 13 / 3, 0], [1, 5, 4]]))
    assert merged.sizes.tolist() == [[1, 3, 0], [1, 2, 1]]
    torch.testing.assert_close(merged.unmerged().flatten(1), torch.tensor([[13 / 3, 2, 13 / 3, 13 / 3], [1, 5, 4, 5]]))


def test_gradients_are_those_of_the_mean():
    tokens = random(1, 4, 3).requires_grad_()
    merged = merge(Merged(tokens, torch.tensor([[1.0, 2, 5, 1]])), torch.tensor([[1, 1, 2, 1]]))
    weights = torch.tensor([[10.0], [1.0]])
    (merged.tokens[0] * weights).sum().backward()
    torch.testing.assert_close(tokens.grad[0, :, 0], torch.tensor([2.5, 5.0, 1.0, 2.5]))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float64])
def test_types(dtype):
    tokens = random(2, 9, DIMS).to(dtype)
    merged = merge_likest(Merged(tokens), tokens, 3)
    assert merged.tokens.dtype == merged.attention_bias().dtype == dtype and merged.sizes.dtype == torch.float32
    whole = merge_likest(Merged(tokens.float()), tokens.float(), 3)
    torch.testing.assert_close(merged.tokens.float(), whole.tokens, atol=1e-2, rtol=1e-2)
    assert torch.equal(merged.source, whole.source)


def test_likeness_is_a_cosine_in_float32():
    one, other = 1e3 * random(2, 5, DIMS), 1e-3 * random(2, 4, DIMS, seed=1)
    expected = torch.tensor([[[cosine(a, b) for b in others] for a in ones]
                             for ones, others in zip(one, other, strict=True)])
    with torch.autocast('cpu', torch.bfloat16):
        scores = alike(one, other)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, expected, atol=1e-6, rtol=1e-5)
    same = random(1, 500, 7)
    assert float(alike(same, same).max()) <= 1  # so that nothing is above a threshold of 1


def test_shapes_on_the_meta_device():
    tokens = torch.empty(2, 11, DIMS, device='meta')
    assert merge_likest(Merged(tokens), tokens, 3, 1).tokens.shape == (2, 8, DIMS)
    pairs = pair_up(Merged(tokens), tokens, 1)
    assert merge_pairs(Merged(tokens), pairs, pairs.similarity > 0).tokens.shape == (2, 11, DIMS)  # none to count


# Attention by sizes: a token of size s is s equal tokens.

def build_block(**changes) -> Block:
    torch.manual_seed(0)
    block = Block(DIMS, 3, **dict(qkv_bias=True, qk_norm=True, init_values=0.5) | changes)
    for weight in block.parameters():
        nn.init.normal_(weight, std=0.3)
    return block.eval()


def repeated(tokens: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Tokens (M, C) of an image, each as often as its size says, in a batch of one."""
    return tokens.repeat_interleave(sizes.long(), dim=0)[None]


def firsts(sizes: torch.Tensor) -> torch.Tensor:
    """Where the first of each token's copies lies."""
    return (sizes.cumsum(0) - sizes).long()


@pytest.mark.parametrize('changes', [{}, dict(qk_norm=False, init_values=None), dict(scale_attn_norm=True)])
def test_attention_to_sizes_is_attention_to_so_many_copies(changes):
    block, tokens = build_block(**changes).double(), random(2, 6, DIMS).double()
    merged, keys = attend(block, Merged(tokens, SIZES))
    whole = transform(block, merged)
    for image in range(2):
        copies, at = repeated(tokens[image], SIZES[image]), firsts(SIZES[image])
        after = copies + block.ls1(block.attn(block.norm1(copies)))
        torch.testing.assert_close(merged.tokens[image], after[0, at], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(whole.tokens[image], block(copies)[0, at], atol=1e-6, rtol=1e-6)
        projected = block.attn.qkv(block.norm1(tokens[image]))[:, DIMS:2 * DIMS]
        of_heads = [block.attn.k_norm(projected[:, 8 * head:8 * head + 8]) for head in range(3)]
        torch.testing.assert_close(keys[image], sum(of_heads) / 3)


def test_tokens_of_no_size_are_not_there():
    block, tokens, sizes = build_block().double(), random(2, 6, DIMS).double(), SIZES.clone()
    sizes[0, 2] = sizes[0, 5] = 0
    there = [0, 1, 3, 4]
    merged, _ = attend(block, Merged(tokens, sizes))
    alone, _ = attend(block, Merged(tokens[:1, there], sizes[:1, there]))
    torch.testing.assert_close(merged.tokens[:1, there], alone.tokens)


def test_a_block_without_merging_is_timms():
    for changes in ({}, dict(drop_path=0.5, attn_drop=0.3, proj_drop=0.3)):
        block, tokens = build_block(**changes).train(), random(4, 7, DIMS)
        torch.manual_seed(1)
        expected = block(tokens)
        torch.manual_seed(1)
        assert torch.equal(run_merging(block, Merged(tokens), 0).tokens, expected)


def test_a_block_merges_by_the_keys_between_attention_and_mlp():
    block, tokens = build_block(), random(1, 8, DIMS)
    after, keys = attend(block, Merged(tokens, torch.tensor([[1.0, 2, 1, 3, 1, 1, 1, 1]])))
    members, start = [], 0
    for size in after.sizes[0].long().tolist():
        members.append([*range(start, start + size)])
        start += size
    chosen = [pair[1:] for pair in sorted(best_pairs(keys[0], 1), reverse=True)[:2]]
    values, members = grouped(list(after.tokens[0]), members, chosen)
    got = run_merging(block, Merged(tokens, after.sizes), 2, prefix=1)
    values = torch.stack(values)[None]
    torch.testing.assert_close(got.tokens, values + block.ls2(block.mlp(block.norm2(values))), atol=1e-5, rtol=1e-5)
    assert got.sizes.tolist() == [[*map(len, members)]]


@pytest.mark.parametrize('name', ['linear', 'cross', 'latent'])
def test_heads_take_a_source_of_a_size_for_so_many_copies(name):
    torch.manual_seed(0)
    head = HEADS[name](DIMS, 3, 12, num_targets=5).double()
    for weight in head.parameters():
        nn.init.normal_(weight, std=0.5)
    target, source = random(2, 5, DIMS, seed=3).double(), random(2, 6, DIMS, seed=4).double()
    got = head(target=target, source=source, sizes=SIZES)
    for image in range(2):
        copies = head(target=target[image:image + 1], source=repeated(source[image], SIZES[image]))
        torch.testing.assert_close(got[image:image + 1], copies, atol=1e-6, rtol=1e-6)
    absent = SIZES.clone()
    absent[:, 4:] = 0
    torch.testing.assert_close(head(target, source, absent), head(target, source[:, :4], absent[:, :4]))
    torch.testing.assert_close(head(target, source, torch.ones(2, 6)), head(target, source))
    if name == 'linear':
        head.projects_tokens = True
        torch.testing.assert_close(head(target, source, SIZES), got)


@pytest.mark.parametrize('attention', [linear_attention, linear_attention_reference])
def test_linear_attention_to_sizes(attention):
    q, k, v = random(2, 5, 12).double(), random(2, 6, 12, seed=1).double(), random(2, 6, DIMS, seed=2).double()
    got = attention(q, k, v, 3, SIZES)
    for image in range(2):
        copies = [repeated(part[image], SIZES[image]) for part in (k, v)]
        torch.testing.assert_close(got[image:image + 1], attention(q[image:image + 1], *copies, 3))


# What is refused.

def gated() -> Block:
    block = Block(DIMS, 3)
    block.attn.gate = nn.Linear(DIMS, DIMS)
    return block


@pytest.mark.parametrize('block', [
    lambda: EvaBlock(DIMS, 3, attn_type='rope'), lambda: ParallelScalingBlock(DIMS, 3), lambda: ResPostBlock(DIMS, 3),
    lambda: nn.Linear(3, 3), gated])
def test_other_blocks_are_refused(block):
    with pytest.raises(ValueError, match='tokens merge in plain ViT blocks alone, .* these are of'):
        check_mergeable(block())
    check_mergeable(Block(DIMS, 3))


@pytest.mark.parametrize('value', [-1, True, False, None, '4', 0.51, -0.1, 1.0, float('nan'), [4], 2j])
def test_what_is_no_number_and_no_share(value):
    with pytest.raises(ValueError, match='merge_tokens must be a number of tokens .* a float from 0.0 to 0.5; got'):
        check_merge_tokens(value, 64, 4)


@pytest.mark.parametrize('value,blocks,message', [
    (16, 4, r'merge_tokens=16 in each of 4 blocks merges 64 of 64 tokens away.*fewer than two; give 15 or less'),
    (63, 1, r'merges 63 of 64 tokens away.*give 62 or less'),
    (0.5, 2, r'merge_tokens=0.5 in each of 2 blocks merges 64 of 64 tokens away.*give 0.476 or less'),
    (1, 64, r'merges 64 of 64 .*fewer than two; give 0, a larger'), (0.1, 64, 'give 0, a larger'),
    (0.007, 4, 'merge_tokens=0.007 of 64 tokens is none; give a larger share, or 0')])
def test_too_many_are_refused_with_both_numbers(value, blocks, message):
    with pytest.raises(ValueError, match=message):
        check_merge_tokens(value, 64, blocks)


def test_what_just_fits():
    for value, blocks in ((15, 4), (62, 1), (0.48, 2), (0.476, 2), (0.009, 62), (0, 99), (0.0, 99), (31, 2)):
        check_merge_tokens(value, 64, blocks)
    check_merge_tokens(0, 1, 12)
    assert [merged_per_block(value, 50) for value in (7, 0, 0.25, 0.5, 0.0, 0.13)] == [7, 0, 12, 25, 0, 6]
