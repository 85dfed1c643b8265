"""Weight files through `timm.create_model(checkpoint_path=...)`: the authors', timm's and our own, strictly."""
import json
import logging

import pytest
import timm
import torch
from malicious_files import Attack
from safetensors.torch import save_file
from timm.utils import CheckpointSaver, ModelEmaV3
from tiny_models import DATA, WRAPPINGS, Golden, images, read_golden

from mmseg_vittm.classification.pretrained import load_network

NAMES = ('cross_attention_add', 'latent_attention_add_erase', 'linear_add_equal_grid', 'linear_add_memory_mlp',
         'linear_add_resampled_rect', 'linear_add_unequal_grid', 'token_summary_erase')
UNEQUAL = 'linear_add_unequal_grid'


def classifier(golden: Golden, path=None, **changes) -> torch.nn.Module:
    """A golden's model out of timm, in evaluation."""
    torch.manual_seed(0)
    return timm.create_model('vittm_tiny_patch28_224', checkpoint_path=path, **golden.arguments | dict(
        num_classes=7) | changes).eval()


def saved(state: dict, folder) -> str:
    torch.save(state, folder / 'weights.pth')
    return str(folder / 'weights.pth')


@pytest.fixture
def golden(shared) -> Golden:
    return read_golden(shared / 'goldens' / f'{UNEQUAL}.safetensors')


@pytest.mark.parametrize('name', NAMES)
@torch.no_grad()
def test_logits_of_the_authors_files(name, shared, tmp_path):
    golden = read_golden(shared / 'goldens' / f'{name}.safetensors')
    path = saved(golden.state, tmp_path)
    process, memory = golden.expected['process_logits'], golden.expected['memory_logits']
    assert (process - memory).abs().max() > 0.01
    for head, expected in dict(memory=memory, process=process, mean=(process + memory) / 2).items():
        logits = classifier(golden, path, head=head)(golden.images)
        assert (logits - expected).abs().max() <= 1e-4
    with torch.enable_grad():
        both = classifier(golden, path).train()(golden.images)
    assert max((both.process - process).abs().max(), (both.memory - memory).abs().max()) <= 1e-4


@pytest.mark.parametrize('wrapping', WRAPPINGS)
@torch.no_grad()
def test_wrappings_of_the_authors_files(wrapping, tmp_path):
    golden = read_golden(DATA / 'linear_add_resampled_rect.safetensors')
    logits = classifier(golden, saved(WRAPPINGS[wrapping](golden.state), tmp_path))(golden.images)
    assert (logits - golden.expected['memory_logits']).abs().max() <= 1e-4


@pytest.mark.parametrize('name,manifest', [
    ('vittm_base_patch28_224', 'vittm_b_64_64'), ('vittm_base_patch32_16_224', 'vittm_b_49_196'),
    ('vittm_small_patch28_224', 'vittm_s_64_64')])
def test_names_and_shapes_of_the_released_files(name, manifest, caplog):
    shapes = json.loads((DATA / 'manifests' / f'{manifest}.json').read_text())
    with torch.device('meta'):
        state = {key: torch.empty(shape) for key, shape in shapes.items()}
        timm.create_model(name).load_state_dict(state)
    assert not caplog.text  # nothing is resampled or left out


@torch.no_grad()
def test_our_own_files(golden, tmp_path):
    model = classifier(golden)
    expected = model(golden.images)
    save_file(model.state_dict(), tmp_path / 'own.safetensors')
    trained = {f'network.{name}': weight for name, weight in model.state_dict().items()}
    for path in (tmp_path / 'own.safetensors', saved(model.state_dict(), tmp_path),
                 saved(dict(state_dict=trained, epoch=3), tmp_path)):
        again = classifier(golden)
        torch.nn.init.zeros_(again.memory_head.weight)
        timm.models.load_checkpoint(again, str(path))
        assert torch.equal(again(golden.images), expected)
    load_network(again, saved(golden.state, tmp_path))
    assert (again(golden.images) - golden.expected['memory_logits']).abs().max() <= 1e-4


@torch.no_grad()
def test_checkpoints_of_timms_training(golden, tmp_path):
    model = classifier(golden)
    average = ModelEmaV3(model, decay=0.5)
    for weight in model.parameters():
        weight.add_(0.1)
    average.update(model)
    saver = CheckpointSaver(model, torch.optim.SGD(model.parameters(), 0.1), model_ema=average,
                            checkpoint_dir=str(tmp_path))
    saver.save_checkpoint(0, 1.0)
    path = str(tmp_path / 'last.pth.tar')
    assert torch.equal(classifier(golden, path)(golden.images), average.module(golden.images))  # timm takes the average
    again = classifier(golden)
    timm.models.load_checkpoint(again, path, use_ema=False)
    assert torch.equal(again(golden.images), model(golden.images))


@torch.no_grad()
def test_another_number_of_classes(golden, tmp_path, caplog):
    path = saved(golden.state, tmp_path)
    whole, model = classifier(golden, path), classifier(golden, path, num_classes=3)
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ['The classifiers of 7 classes are left out: this model has 3, and keeps its own weights there']
    assert model(golden.images).shape == (2, 3)
    for one, other in zip(model.forward_tokens(golden.images), whole.forward_tokens(golden.images), strict=True):
        assert torch.equal(one, other)
    fresh = classifier(golden, num_classes=3)
    assert torch.equal(model.memory_head.weight, fresh.memory_head.weight)
    none = classifier(golden, path, num_classes=0)
    assert torch.equal(none(golden.images), whole.forward_head(whole.forward_features(golden.images), pre_logits=True))


@torch.no_grad()
def test_timms_way_of_pretrained_weights(golden, tmp_path):
    path = saved(golden.state, tmp_path)
    arguments = dict(pretrained=True, pretrained_cfg_overlay=dict(file=path, num_classes=7))
    model, expected = classifier(golden, **arguments), golden.expected['memory_logits']
    assert (model(golden.images) - expected).abs().max() <= 1e-4
    whole = classifier(golden, path)
    for changes in (dict(num_classes=4), dict(features_only=True, out_indices=(0, -1))):
        model = classifier(golden, **arguments, **changes)
        tokens = getattr(model, 'model', model).encoder(golden.images)
        assert torch.equal(tokens[1], whole.encoder(golden.images)[1])
    grey = classifier(golden, **arguments, in_chans=1)
    name = 'encoder.memory_stream.proj.weight'
    torch.testing.assert_close(grey.state_dict()[name], whole.state_dict()[name].sum(1, keepdim=True))


@torch.no_grad()
def test_another_input_size_and_patch_size(golden, tmp_path, caplog):
    path = saved(golden.state, tmp_path)
    whole, x = classifier(golden, path), images(96, 192)
    larger = classifier(golden, path, img_size=(96, 192))
    torch.testing.assert_close(larger(x), whole(x))
    assert larger.encoder.memory_stream.pos_embed.grid != whole.encoder.memory_stream.pos_embed.grid
    said = caplog.text
    for stream in ('process', 'memory'):
        old, new = (getattr(model.encoder, f'{stream}_stream').pos_embed.grid for model in (whole, larger))
        assert (f'encoder.{stream}_stream.pos_embed.weight is resampled from {old[0]}x{old[1]} to '
                f'{new[0]}x{new[1]}') in said
    patch = golden.arguments['process_patch_size']
    doubled = classifier(golden, path, process_patch_size=2 * patch)
    assert f'patches of {patch}x{patch} to {2 * patch}x{2 * patch} pixels' in caplog.text
    # Twice the patch sees what the patch does in an image of half the size.
    small = torch.nn.functional.avg_pool2d(x, 2)
    blocky = torch.nn.functional.interpolate(small, scale_factor=2, mode='bicubic', antialias=True)
    a, b = doubled.encoder.process_stream.proj(blocky), whole.encoder.process_stream.proj(small)
    assert torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] > 0.95


def test_it_is_strict(golden, tmp_path):
    for change, problem in (
            (lambda state: state.pop('read_norm.0.weight'), 'Missing .*encoder.blocks.0.read_norm.weight'),
            (lambda state: state.update(extra=torch.ones(2)), 'Unexpected .*"extra"'),
            (lambda state: state.pop('head.weight'), 'Missing .*memory_head.weight'),
            (lambda state: state.update({'head.weight': torch.ones(7, 3)}), 'size mismatch for memory_head.weight'),
            (lambda state: state.update(memory_pos_embed=torch.ones(1, 7, 48)),
             'memory_stream.pos_embed.weight holds 7 positions, which are no square grid')):
        state = dict(golden.state)
        change(state)
        with pytest.raises((RuntimeError, ValueError), match=problem.replace('.*', r'[\s\S]*')):
            classifier(golden, saved(state, tmp_path))


@pytest.mark.parametrize('changes', [dict(num_classes=9), dict(features_only=True), {}],
                         ids=['classes', 'features', 'same'])
def test_timms_way_is_strict_too(changes, golden, tmp_path):
    block = 'blocks.1.norm1.weight'
    for change, problem in (
            (lambda state: {name.replace('memory', 'wings'): weight for name, weight in state.items()},
             'Missing in the weights: encoder.*; Unexpected in the weights: '),
            (lambda state: {name: weight for name, weight in state.items() if name != block},
             'Missing in the weights: encoder.blocks.1.encoder.norm1.weight$'),
            (lambda state: state | dict(extra=torch.ones(2)), 'Unexpected in the weights: extra$'),
            (lambda state: timm.create_model('vit_tiny_patch16_224', depth=1, embed_dim=24, num_heads=3).state_dict(),
             'Missing in the weights: encoder.blocks.0')):
        path = saved(change(golden.state), tmp_path)
        with pytest.raises(RuntimeError, match=problem):
            classifier(golden, pretrained=True, pretrained_cfg_overlay=dict(file=path, num_classes=7), **changes)


def test_no_code_of_a_file_runs(golden, tmp_path):
    marker = tmp_path / 'marker'
    path = saved(dict(golden.state, evil=Attack(open, str(marker), 'w')), tmp_path)
    with pytest.raises(RuntimeError, match='weights_only=True blocked'):
        classifier(golden, path)
    assert not marker.exists()


def test_no_weights_are_published(golden):
    for name in timm.list_models('vittm*'):
        with pytest.raises(RuntimeError, match=f'no weights are published under the name {name}: .* checkpoint_path'):
            timm.create_model(name, pretrained=True)
