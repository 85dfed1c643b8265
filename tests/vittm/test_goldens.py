"""Parity with the ViTTM authors' implementation: every tensor of every golden file within 1e-4."""
import pytest
import torch
from mmseg.registry import MODELS
from safetensors.torch import load_file
from tiny_models import DATA, Golden, read_golden

from mmseg_vittm.classification.pretrained import load_network
from mmseg_vittm.vittm import ViTTMEncoder
from mmseg_vittm.vittm.classifier import ViTTMClassifier

TOLERANCE = 1e-4
COPIED = ['linear_add_resampled_rect', 'latent_attention_add_erase', 'token_summary_erase']
SHARED = ['cross_attention_add', 'latent_attention_add_erase', 'linear_add_equal_grid', 'linear_add_memory_mlp',
          'linear_add_resampled_rect', 'linear_add_unequal_grid', 'token_summary_erase']


@pytest.fixture(params=[f'copied/{name}' for name in COPIED] + [f'shared/{name}' for name in SHARED])
def golden(request) -> Golden:
    place, name = request.param.split('/')
    folder = DATA if place == 'copied' else request.getfixturevalue('shared') / 'goldens'
    return read_golden(folder / f'{name}.safetensors')


@pytest.fixture
def weights(golden, tmp_path) -> str:
    """The golden's weights as a file under the authors' names."""
    torch.save(golden.state, tmp_path / 'authors.pth')
    return str(tmp_path / 'authors.pth')


def assert_parity(actual: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    assert actual.shape == expected.shape, what
    difference = (actual - expected).abs().max().item()
    assert difference <= TOLERANCE, f'{what}: {difference}'
    assert expected.abs().max() > 100 * TOLERANCE, f'{what} is too small to compare'


@torch.no_grad()
def test_tokens_and_logits(golden, weights):
    model = ViTTMClassifier(ViTTMEncoder(**golden.arguments), num_classes=7).eval()
    load_network(model, weights)
    process_tokens, memory_tokens = model.forward_tokens(golden.images)
    process_logits, memory_logits = model(golden.images)
    actual = dict(process_tokens=process_tokens, memory_tokens=memory_tokens, process_logits=process_logits,
                  memory_logits=memory_logits)
    assert set(actual) == {name for name in golden.expected if not name.startswith('backbone_feature.')}
    for name, tensor in actual.items():
        assert_parity(tensor, golden.expected[name], name)


@torch.no_grad()
def test_backbone_maps(golden, weights):
    names = sorted(name for name in golden.expected if name.startswith('backbone_feature.'))
    assert len(names) == golden.arguments['arch']['num_layers'] == 3
    backbone = MODELS.build(dict(
        type='ViTTM', **golden.arguments, out_indices=(0, 1, 2),
        out_tokens='concat' if golden.equal_grids else 'process',
        init_cfg=dict(type='Pretrained', checkpoint=weights))).eval()
    backbone.init_weights()
    maps = backbone(golden.images)
    assert len(maps) == 3
    for tensor, name in zip(maps, names, strict=True):
        assert_parity(tensor, golden.expected[name], name)


@torch.no_grad()
def test_every_weight_shows_in_the_outputs(tmp_path):
    """The parity above could not hold by luck: a change of any one weight of this file breaks it."""
    golden = read_golden(DATA / 'latent_attention_add_erase.safetensors')
    torch.save(golden.state, tmp_path / 'authors.pth')
    model = ViTTMClassifier(ViTTMEncoder(**golden.arguments), num_classes=7).eval()
    load_network(model, tmp_path / 'authors.pth')
    expected = [golden.expected[name] for name in ('process_tokens', 'memory_tokens', 'process_logits',
                                                   'memory_logits')]
    for name, weight in model.named_parameters():
        if name.endswith('k_norm.bias'):  # a softmax over tokens does not see what is added to all of them
            continue
        kept = weight.clone()
        weight.add_(0.5 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
        tensors = [*model.forward_tokens(golden.images), *model(golden.images)]
        weight.copy_(kept)
        assert any((a - b).abs().max() > TOLERANCE for a, b in zip(tensors, expected, strict=True)), name


@pytest.mark.parametrize('name', COPIED)
def test_copies_equal_the_shared_files(name, shared):
    theirs, ours = (load_file(folder / f'{name}.safetensors') for folder in (shared / 'goldens', DATA))
    assert theirs.keys() == ours.keys() and all(torch.equal(theirs[key], ours[key]) for key in theirs)
