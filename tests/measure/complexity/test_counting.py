"""Counting: every multiply-add, by hand for ViT and ViTTM, and as fvcore does."""
import copy

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from tiny_models import ROOT, TINY, tiny_encoder
from torch import nn

from mmseg_vittm import ALGM
from mmseg_vittm.measure.complexity.counting import (
    count_activations,
    count_parameters,
    fvcore_multiply_adds,
    group_of,
    meta_copy,
    multiply_adds,
    parameters_by_group,
    varies_with_image,
)


def vit_blocks(tokens: int, dims: int, blocks: int) -> int:
    """qkv, the two products of attention, its projection, and the MLP of ratio 4."""
    return blocks * (3 * tokens * dims**2 + 2 * tokens**2 * dims + tokens * dims**2 + 8 * tokens * dims**2)


def build(name: str) -> nn.Module:
    return MODELS.build(Config.fromfile(ROOT / 'configs' / name).model).eval()


@pytest.fixture(scope='module')
def segmenter_vit():
    from mmengine.registry import DefaultScope
    with DefaultScope.overwrite_default_scope('mmseg'):
        return build('segmenter_vit_b_ade20k.py')


def test_vit_b_at_512_by_hand(segmenter_vit):
    """ViT-B/16: 32 x 32 patches and a class token; Segmenter: two blocks over patches and 150 classes."""
    dims, patches, classes = 768, 1024, 150
    backbone = patches * 3 * 16 * 16 * dims + vit_blocks(patches + 1, dims, 12)
    head = (2 * patches + classes) * dims**2 + vit_blocks(patches + classes, dims, 2) + patches * classes * dims
    shape = (1, 3, 512, 512)
    assert multiply_adds(segmenter_vit.backbone, shape)[0] == backbone
    assert multiply_adds(segmenter_vit, shape)[0] == backbone + head
    assert (backbone + head) / 1e9 == pytest.approx(129.294, abs=1e-3)


def test_fvcore_misses_attention(segmenter_vit):
    vit, shape, attention = segmenter_vit.backbone, (1, 3, 512, 512), 12 * 2 * 1025**2 * 768
    norms = (24 * 1025 + 1024) * 768 * 5  # fvcore counts five per element; the class token is gone before the last
    counted = multiply_adds(vit, shape)[0]
    assert fvcore_multiply_adds(vit, shape) - norms == counted - attention
    assert attention / counted == pytest.approx(0.18, abs=0.01)


def test_vittm_by_hand():
    """Two grids: 16 process and 64 memory tokens of 48 channels, queries and keys of 12, 4 attention heads."""
    dims, latent, layers, process, memory = TINY['embed_dims'], 12, TINY['num_layers'], 16, 64
    encoder = tiny_encoder(process_patch_size=14, memory_patch_size=7)
    embedding = process * 3 * 14**2 * dims + memory * 3 * 7**2 * dims

    def head(targets, sources):
        linear = targets * dims * latent + sources * dims * latent  # q and k
        summary = sources * latent * dims + latent * dims * dims // 4  # k^T x, projected per attention head
        return linear + summary + targets * latent * dims // 4

    blocks = layers * (head(process, memory) + head(memory, process)) + vit_blocks(process, dims, layers)
    assert multiply_adds(encoder, (1, 3, 56, 56))[0] == embedding + blocks


def test_multihead_attention_is_counted_whole():
    """nn.MultiheadAttention has a fast path for inference, one operation that says nothing of its products."""
    dims, tokens = 32, 10
    layer = nn.TransformerEncoderLayer(dims, 4, 4 * dims, batch_first=True).eval()
    assert multiply_adds(layer, (1, tokens, dims))[0] == vit_blocks(tokens, dims, 1)
    assert torch.backends.mha.get_fastpath_enabled()
    assert multiply_adds(layer, (3, tokens, dims))[0] == 3 * vit_blocks(tokens, dims, 1)


class Branching(nn.Module):
    """Looks at values, which the meta device has not."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 7)

    def forward(self, tokens):
        return self.linear(tokens) if tokens.sum().item() == 0 else tokens


def test_models_that_look_at_values_are_run():
    model = Branching()
    assert multiply_adds(model, (2, 5))[0] == 2 * 5 * 7
    assert model.training and model.linear.weight.requires_grad


def test_a_model_whose_cost_depends_on_the_image_is_counted_on_noise():
    """By hand: 16 tokens, of which four windows become one each, then 4; a prefix token, and no pairs after that."""
    torch.manual_seed(0)
    arguments = dict(model_name='vit_tiny_patch16_224', img_size=64, num_layers=3, global_layer=1)
    plain = ALGM(local_threshold=1.0, global_threshold=1.0, **arguments)
    merging = ALGM(local_threshold=-1.0, global_threshold=1.0, **arguments)
    shape, dims = (1, 3, 64, 64), 192
    attention, mlp = (lambda n: 4 * n * dims * dims + 2 * n * n * dims), (lambda n: 8 * n * dims * dims)
    patches = 16 * 3 * 256 * dims
    assert multiply_adds(plain, shape)[0] == patches + 3 * (attention(17) + mlp(17))
    assert multiply_adds(merging, shape)[0] == pytest.approx(
        patches + attention(17) + mlp(5) + 2 * (attention(5) + mlp(5)), rel=1e-3)  # and the similarities of 2 x 2 pairs
    assert varies_with_image(merging) and not varies_with_image(tiny_encoder())
    assert fvcore_multiply_adds(merging, shape) < 0.6 * fvcore_multiply_adds(plain, shape)


def test_meta_copy_leaves_the_model_alone():
    model = tiny_encoder()
    state = copy.deepcopy(model.state_dict())
    ghost = meta_copy(model)
    assert all(weight.device.type == 'meta' and not weight.requires_grad for weight in ghost.parameters())
    assert {name: tuple(weight.shape) for name, weight in ghost.state_dict().items()} == {
        name: tuple(weight.shape) for name, weight in state.items()}
    assert all(torch.equal(weight, state[name]) for name, weight in model.state_dict().items())
    assert all(weight.requires_grad for weight in model.parameters())


def test_groups():
    assert group_of('backbone.encoder.blocks.3.read_head.q') == 'backbone.encoder.blocks.*.read_head'
    assert group_of('decode_head.cls_emb') == 'decode_head.cls_emb'
    encoder = tiny_encoder()
    groups = parameters_by_group(encoder)
    assert sum(groups.values()) == count_parameters(encoder) == sum(w.numel() for w in encoder.parameters())
    total, macs = multiply_adds(encoder, (1, 3, 56, 56))
    assert sum(macs.get(group, 0) for group in groups) == total
    assert macs['blocks.*.encoder'] == vit_blocks(16, TINY['embed_dims'], TINY['num_layers'])


def test_auxiliary_heads_do_not_count():
    model = nn.ModuleDict(dict(backbone=nn.Linear(2, 3), auxiliary_head=nn.Linear(3, 4)))
    assert count_parameters(model) == 9 and list(parameters_by_group(model)) == ['backbone']


def test_mmengines_copy_counts_as_fvcore_does():
    fvcore = pytest.importorskip('fvcore.nn', reason="to compare mmengine's copy with")
    encoder, shape = tiny_encoder(memory_mlp_ratio=2.0).eval(), (1, 3, 56, 56)
    ours = [fvcore_multiply_adds(encoder, shape), count_activations(encoder, shape)]
    for block in encoder.blocks:
        assert not (block.read_head.projects_tokens or block.write_head.projects_tokens)  # again
        block.read_head.projects_tokens = block.write_head.projects_tokens = True
    theirs = [kind(encoder, torch.zeros(shape)).unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()
              for kind in (fvcore.FlopCountAnalysis, fvcore.ActivationCountAnalysis)]
    assert ours == theirs


@pytest.mark.parametrize('name,params_m,gflops', [
    ('segformer_b2', 27.5, 62.4), ('segformer_b3', 47.3, 79.0), ('segnext_b', 27.6, 34.9), ('segnext_s', 13.9, 15.9)])
def test_peers_are_the_published_ones(name, params_m, gflops, mmseg_scope):
    """Parameters and GFLOPs at 512 x 512 as the SegFormer and SegNeXt papers publish them."""
    model = build(f'peers/{name}_ade20k.py')
    assert count_parameters(model) / 1e6 == pytest.approx(params_m, rel=0.02)
    assert multiply_adds(model, (1, 3, 512, 512))[0] / 1e9 == pytest.approx(gflops, rel=0.02)
