"""convert_checkpoint: files in our names that compute the same, written whole or not at all."""
import json
import os
import resource
import signal

import pytest
import torch
from mmseg.registry import MODELS
from safetensors import safe_open
from safetensors.torch import load_file
from tiny_models import DATA, WRAPPINGS, images, read_golden, save_weights

from mmseg_vittm.errors import CheckpointError, InputError, OutputError
from mmseg_vittm.weights.convert import convert_checkpoint

GOLDENS = {name: read_golden(DATA / f'{name}.safetensors') for name in (
    'linear_add_resampled_rect', 'latent_attention_add_erase', 'token_summary_erase')}
GOLDEN = GOLDENS['linear_add_resampled_rect']


def maps(path, golden, **changes) -> tuple[torch.Tensor, ...]:
    init_cfg = dict(type='Pretrained', checkpoint=str(path))
    backbone = MODELS.build(dict(type='ViTTM', init_cfg=init_cfg) | golden.arguments | changes).eval()
    backbone.init_weights()
    with torch.no_grad():
        return backbone(golden.images)


@pytest.mark.parametrize('name', GOLDENS)
@pytest.mark.parametrize('wrapping', ['plain', 'state_dict_averaged_compiled'])
def test_converted_files_compute_the_same(name, wrapping, tmp_path):
    golden, target = GOLDENS[name], tmp_path / 'new' / 'ours.safetensors'
    source = save_weights(WRAPPINGS[wrapping](golden.state), tmp_path / 'theirs.pth')
    said = convert_checkpoint(source, str(target))
    assert str(target) in said and source in said and '\n' not in said
    torch.testing.assert_close(maps(target, golden), maps(source, golden), atol=0, rtol=0)
    weights = load_file(target)
    assert all(key.startswith('encoder.') for key in weights)
    assert f'{len(weights)} tensors' in said and 'dropped' in said
    assert [path.name for path in target.parent.iterdir()] == ['ours.safetensors']  # no partial file stays


def test_positions_stay_as_they_were_trained(tmp_path):
    """Converting does not resample: another img_size later resamples once, from the original."""
    source = save_weights(GOLDEN.state, tmp_path / 'theirs.pth')
    convert_checkpoint(source, str(tmp_path / 'ours.safetensors'))
    resized = dict(img_size=(42, 98))
    torch.testing.assert_close(maps(tmp_path / 'ours.safetensors', GOLDEN, **resized), maps(source, GOLDEN, **resized))


def test_timm_vit(tmp_path):
    backbone = MODELS.build(dict(type='ViTBackbone', model_name='vit_tiny_patch16_224', img_size=64))
    theirs = {name.removeprefix('vit.'): weight for name, weight in backbone.state_dict().items()}
    source = save_weights(theirs | {'head.weight': torch.zeros(5, 192), 'head.bias': torch.zeros(5)},
                          tmp_path / 'timm.pth')
    assert 'dropped 2 tensors' in convert_checkpoint(source, str(tmp_path / 'ours.safetensors'))
    twin = MODELS.build(dict(type='ViTBackbone', model_name='vit_tiny_patch16_224', img_size=64, init_cfg=dict(
        type='Pretrained', checkpoint=str(tmp_path / 'ours.safetensors'))))
    twin.init_weights()
    torch.testing.assert_close(twin(images(64, 64)), backbone(images(64, 64)))


def test_whole_model_keeps_its_head_and_classes(tmp_path):
    state = {'backbone.encoder.x': torch.randn(2, 3).t(), 'decode_head.conv_seg.bias': torch.randn(4)}
    meta = dict(iter=3, dataset_meta=dict(classes=('sky', 'sea'), palette=[[1, 2, 3], [4, 5, 6]], other=object))
    meta['dataset_meta'].pop('other')
    source = save_weights({'state_dict': state, 'meta': meta, 'optimizer': {'lr': 0.1}}, tmp_path / 'iter_3.pth')
    convert_checkpoint(source, str(tmp_path / 'whole.safetensors'))
    weights = load_file(tmp_path / 'whole.safetensors')
    assert weights.keys() == state.keys() and all(torch.equal(weights[key], state[key]) for key in state)
    with safe_open(tmp_path / 'whole.safetensors', 'pt') as file:
        assert json.loads(file.metadata()['dataset_meta']) == dict(classes=['sky', 'sea'],
                                                                   palette=[[1, 2, 3], [4, 5, 6]])


def test_weights_that_share_their_memory(tmp_path):
    """Views of one buffer and tied weights are what `torch.save` keeps and .safetensors refuses."""
    flat = torch.cat([tensor.flatten() for tensor in GOLDEN.state.values()])
    pieces = flat.split([tensor.numel() for tensor in GOLDEN.state.values()])
    views = {name: piece.view_as(tensor) for (name, tensor), piece in zip(GOLDEN.state.items(), pieces, strict=True)}
    source = save_weights(views, tmp_path / 'views.pth')
    convert_checkpoint(source, str(tmp_path / 'ours.safetensors'))
    torch.testing.assert_close(maps(tmp_path / 'ours.safetensors', GOLDEN), maps(source, GOLDEN))
    tied = torch.randn(3)
    source = save_weights({'state_dict': {'backbone.a': tied, 'decode_head.b': tied}}, tmp_path / 'tied.pth')
    convert_checkpoint(source, str(tmp_path / 'tied.safetensors'))
    assert load_file(tmp_path / 'tied.safetensors').keys() == {'backbone.a', 'decode_head.b'}


def test_an_existing_file_is_kept_unless_told_otherwise(tmp_path):
    source, target = save_weights(GOLDEN.state, tmp_path / 'theirs.pth'), tmp_path / 'ours.safetensors'
    target.write_bytes(b'precious')
    with pytest.raises(InputError, match=r'ours.safetensors: there already; .*overwrite=True'):
        convert_checkpoint(source, str(target))
    assert target.read_bytes() == b'precious'
    convert_checkpoint(source, str(target), overwrite=True)
    assert load_file(target)


@pytest.mark.parametrize('change,message', [
    (lambda state: state | {'blocks_extra': torch.zeros(1)}, 'does not know: blocks_extra'),
    (lambda state: {'weight': torch.zeros(2)}, "neither .*the authors' ViTTM .* begins with weight"),
    (lambda state: state | {'memory_pos_embed': torch.zeros(1, 15, 48)}, '15 positions'),
    (lambda state: {'state_dict': {}}, 'no weights'),
])
def test_sources_of_no_known_kind(change, message, tmp_path):
    source, target = save_weights(change(GOLDEN.state), tmp_path / 'source.pth'), tmp_path / 'ours.safetensors'
    target.write_bytes(b'precious')
    with pytest.raises(CheckpointError, match=message) as error:
        convert_checkpoint(source, str(target), overwrite=True)
    assert source in str(error.value)
    assert target.read_bytes() == b'precious'
    assert {path.name for path in tmp_path.iterdir()} == {'source.pth', 'ours.safetensors'}


@pytest.mark.parametrize('name', ['ours.pth', 'ours', 'ours.safetensors.bak'])
def test_other_endings_are_refused_before_anything_is_read(name, tmp_path):
    with pytest.raises(InputError, match='must end in .safetensors'):
        convert_checkpoint(str(tmp_path / 'missing.pth'), str(tmp_path / name))


@pytest.mark.parametrize('name', ['source.safetensors', 'link.safetensors', 'hard.safetensors', './source.safetensors'])
def test_the_source_stays(name, tmp_path):
    convert_checkpoint(save_weights(GOLDEN.state, tmp_path / 'theirs.pth'), str(tmp_path / 'ours.safetensors'))
    source = tmp_path / 'source.safetensors'
    os.replace(tmp_path / 'ours.safetensors', source)
    before = source.read_bytes()
    (tmp_path / 'link.safetensors').symlink_to(source)
    os.link(source, tmp_path / 'hard.safetensors')
    with pytest.raises(InputError, match='the file to convert, which stays as it is'):
        convert_checkpoint(str(source), os.path.join(tmp_path, name), overwrite=True)
    assert source.read_bytes() == before


def test_targets_that_cannot_be_written(tmp_path):
    """Known before the source is read, which here takes long, in one line; nothing is left."""
    source = save_weights(GOLDEN.state, tmp_path / 'theirs.pth')
    (tmp_path / 'folder.safetensors').mkdir()
    for name in ('theirs.pth/x.safetensors', 'theirs.pth/below/x.safetensors', f'{"x" * 300}.safetensors',
                 'folder.safetensors', f'{"y" * 300}/x.safetensors'):
        with pytest.raises(OutputError, match='cannot be written') as error:
            convert_checkpoint(source, str(tmp_path / name), overwrite=True)
        assert '\n' not in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == {'theirs.pth', 'folder.safetensors'}


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_folders_that_may_not_be_written_to(tmp_path):
    source = save_weights(GOLDEN.state, tmp_path / 'theirs.pth')
    (tmp_path / 'closed').mkdir(mode=0o500)
    with pytest.raises(OutputError, match='Permission denied'):
        convert_checkpoint(source, str(tmp_path / 'closed' / 'x.safetensors'))


def test_a_full_disk(tmp_path):
    """Of which safetensors has an error of its own; here a limit on the size of files."""
    source, target = save_weights(GOLDEN.state, tmp_path / 'theirs.pth'), tmp_path / 'ours.safetensors'
    limits, before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        with pytest.raises(OutputError, match=f'{target}: cannot be written .*; make room') as error:
            convert_checkpoint(source, str(target))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert '\n' not in str(error.value) and [path.name for path in tmp_path.iterdir()] == ['theirs.pth']


@pytest.mark.parametrize('state', [
    {'backbone.a\udcff': torch.ones(1)}, {'backbone.a': torch.ones(1), '__metadata__': torch.ones(1)},
    {'backbone.a': torch.ones(2).to(torch.complex128)}], ids=['name', 'metadata', 'kind'])
def test_what_safetensors_cannot_hold(state, tmp_path):
    source = save_weights({'state_dict': state, 'meta': {}}, tmp_path / 'source.pth')
    try:
        convert_checkpoint(source, str(tmp_path / 'out.safetensors'))
    except CheckpointError as error:
        assert source in str(error) and '\n' not in str(error)
        assert [path.name for path in tmp_path.iterdir()] == ['source.pth']
    else:
        assert load_file(tmp_path / 'out.safetensors').keys() == state.keys()
