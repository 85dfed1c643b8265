"""Names of timm's: checked without a download, nearest ones named, and taken with all that timm knows of the model."""
import pytest
import timm
import torch
from warm_starts import ARCH, FAMILIES, encoder_for, random_vit

from mmseg_vittm import ViTTM
from mmseg_vittm.errors import CheckpointError, InputError
from mmseg_vittm.weights.warm_start.fit import warm_start_encoder
from mmseg_vittm.weights.warm_start.images import IMAGENET
from mmseg_vittm.weights.warm_start.timm_names import check_source, read_any_source, rope_of

NAME = 'vit_small_patch16_224.augreg_in21k'


@pytest.fixture
def downloads(monkeypatch):
    """Has timm 'download' a given model; returns what it was asked for."""
    asked = []

    def give(model):
        model.pretrained_cfg = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

        def create(name, pretrained):
            asked.extend([name] * pretrained)
            return model
        monkeypatch.setattr(timm, 'create_model', create)
        return asked
    return give


@pytest.fixture
def no_download(monkeypatch):
    """Has timm build models without weights alone."""
    create = timm.create_model

    def without_weights(name, pretrained):
        assert not pretrained
        return create(name, pretrained=False)
    monkeypatch.setattr(timm, 'create_model', without_weights)


@pytest.mark.parametrize(('name', 'said'), [
    ('vit_smal_patch16_224.augreg_in21k', rf'nearest are {NAME}, .*give one of these, or the path of a file'),
    ('vit_small_patch16_224.augreg_in22k', rf'nearest are vit_small_patch16_224\..*{NAME}'),
    ('vit_small_patch16_36x1_224', 'timm has this model, but no weights of it'),
    ('qqqqqqqqq', r'give one of timm.list_pretrained\(\)'), ('vit.pth', 'vit.pth: there is no such file'),
    ('weights/vit', 'there is no such file'), ('~/vit.safetensors', 'there is no such file'), ('', 'must be a file or'),
    (3, 'must be a file or a name')])
def test_a_name_or_file_that_is_not_there(name, said):
    with pytest.raises(InputError, match=said):
        check_source(name)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match='it is a folder'):
        check_source(str(tmp_path))


@pytest.mark.parametrize('name', [NAME, 'vit_small_patch16_224', 'vit_small_patch16_dinov3.lvd1689m'])
def test_a_good_name_downloads_nothing(name, no_download):
    before = torch.get_rng_state()
    check_source(name)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize('name', ['resnet50.a1_in1k', 'swin_tiny_patch4_window7_224.ms_in1k'])
def test_other_models_are_refused_before_a_download(name, no_download):
    with pytest.raises(CheckpointError, match=f'{name}: .* has no plain ViT blocks'):
        check_source(name)


def test_another_width_or_depth_is_refused_before_a_download(no_download):
    with pytest.raises(CheckpointError, match='has width 384 and 12 layers, this model width 64 and 2 layers'):
        ViTTM(arch=ARCH, img_size=64).warm_start(NAME)


def test_a_file_named_like_a_model_is_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(random_vit('vit').state_dict(), tmp_path / NAME)
    source, report = read_any_source(NAME)
    assert source.width == 64 and report.source == "timm's ViT"


def test_a_download(downloads):
    asked = downloads(random_vit('deit3'))
    source, report = read_any_source(NAME)
    assert asked == [NAME]
    assert (source.num_heads, source.activation, source.rope) == (4, 'gelu', False)
    torch.testing.assert_close(torch.tensor(source.images), torch.tensor(IMAGENET))
    encoder = encoder_for('deit3')
    warm_start_encoder(encoder, source, report, 2)
    assert report.path == NAME and report.source == "timm's VisionTransformer"


def test_the_grid_of_its_positions_is_known(downloads):
    downloads(random_vit('vit', img_size=(32, 128)))
    source, report = read_any_source(NAME)
    assert source.prefix_and_grid(None, report.path)[1].shape == (1, 2, 8, 64)


def test_other_heads_are_an_error(downloads):
    downloads(random_vit('vit'))
    source, report = read_any_source(NAME)
    with pytest.raises(CheckpointError, match='has 4 attention heads, this model 2; give arch num_heads=4'):
        warm_start_encoder(encoder_for('vit', arch=ARCH | dict(num_heads=2)), source, report, 2)


@pytest.mark.parametrize('family', [name for name in FAMILIES if 'rope' in FAMILIES[name][2]])
def test_which_rotary_positions_is_known(family, downloads):
    """The presets are those of timm's models, and another one is refused with the right one as the remedy."""
    downloads(random_vit(family))
    source, report = read_any_source('vit_small_patch16_dinov3.lvd1689m')
    warm_start_encoder(encoder_for(family), source, report, 2)
    right = FAMILIES[family][2]['rope']
    other = dict(type='cat', temperature=50.0, ref_grid=(7, 7))
    with pytest.raises(CheckpointError, match=f"other rotary positions; give rope='{right}'"):
        warm_start_encoder(encoder_for(family, rope=other), source, report, 2)


@pytest.mark.parametrize(('name', 'preset'), [
    ('vit_small_patch16_dinov3', 'dinov3'), ('eva02_tiny_patch14_224', 'eva02'),
    ('vit_small_patch16_rope_224', 'rope_vit')])
def test_presets_are_those_of_timms_own_models(name, preset):
    from mmseg_vittm.vittm.vit_block import resolve_rope
    with torch.device('meta'):
        model = timm.create_model(name)
    assert rope_of(model) == resolve_rope(preset)


def test_no_network(monkeypatch):
    create = timm.create_model

    def fails(name, pretrained):
        if pretrained:
            raise OSError('no route to host')
        return create(name, pretrained=False)
    monkeypatch.setattr(timm, 'create_model', fails)
    with pytest.raises(InputError, match=r'could not get these weights \(OSError: no route to host\); download'):
        read_any_source(NAME)


def test_other_blocks_than_a_plain_vits(downloads):
    from timm.models.vision_transformer import ResPostBlock
    downloads(random_vit('vit', block_fn=ResPostBlock, init_values=0.1))
    with pytest.raises(CheckpointError, match='no plain ViT blocks'):
        read_any_source(NAME)


def test_an_activation_of_another_kind(downloads):
    downloads(random_vit('vit', act_layer=torch.nn.ReLU))
    with pytest.raises(CheckpointError, match='the activation ReLU'):
        read_any_source(NAME)
