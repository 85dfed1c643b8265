"""Patch embeddings of RGB images on other bands."""
import pytest
import torch
from tiny_models import save_weights, tiny_encoder
from warm_starts import ARCH as WARM_ARCH
from warm_starts import random_vit

from mmseg_vittm import ViTTM
from mmseg_vittm.datasets import BandsPreProcessor
from mmseg_vittm.engine.hooks.warm_start_hook import normalisation_of
from mmseg_vittm.errors import InputError
from mmseg_vittm.weights.channels import fit_channels
from mmseg_vittm.weights.report import LoadReport
from mmseg_vittm.weights.warm_start.images import Images
from mmseg_vittm.weights.warm_start.pending import finish

ARCH = dict(embed_dims=48, num_layers=3, num_heads=4, mlp_ratio=4.0)
BUILT = dict(arch=ARCH, img_size=56, process_patch_size=14, memory_patch_size=14)


@pytest.mark.parametrize('bands', [1, 2, 4, 5, 8, 12])
def test_bands_that_are_alike_give_what_gray_images_gave(bands):
    """Where bands are no multiple of 3, up to the one colour that is there more often."""
    kernel, report = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(0)), LoadReport('a.pth')
    fitted = fit_channels('patches', kernel, bands, report)
    assert fitted.shape == (6, bands, 4, 4) and f'patches 3 -> {bands} bands' in str(report)
    expected = kernel.sum(1, keepdim=True) if bands == 1 else torch.stack(
        [kernel[:, band % 3] * 3 / bands for band in range(bands)], dim=1)
    assert torch.allclose(fitted, expected)
    if bands % 3 == 0 or bands == 1:
        assert torch.allclose(fitted.sum(1), kernel.sum(1), atol=1e-5)


def test_others_stay():
    report = LoadReport('a.pth')
    for kernel, bands in ((torch.randn(6, 3, 4, 4), 3), (torch.randn(6, 4, 4, 4), 8), (torch.randn(6, 3), 8)):
        assert fit_channels('x', kernel, bands, report) is kernel
    assert not report.resampled


def test_pretrained_of_rgb_in_a_model_of_8_bands(tmp_path):
    encoder = tiny_encoder()
    state = {f'encoder.{name}': tensor for name, tensor in encoder.state_dict().items()}
    path = save_weights(state, tmp_path / 'rgb.safetensors')
    model = ViTTM(**BUILT, in_channels=8, init_cfg=dict(type='Pretrained', checkpoint=path))
    model.init_weights()
    for stream in ('process_stream', 'memory_stream'):
        own = model.encoder.get_parameter(f'{stream}.proj.weight')
        theirs = encoder.get_parameter(f'{stream}.proj.weight')
        assert torch.allclose(own, torch.stack([theirs[:, band % 3] for band in range(8)], 1) * 3 / 8)
    assert torch.equal(model.encoder.blocks[0].encoder.attn.qkv.weight, encoder.blocks[0].encoder.attn.qkv.weight)
    report = model.load_pretrained(path)
    assert len(report.resampled) == 2 and '3 -> 8 bands' in str(report)
    assert model(torch.randn(1, 8, 56, 56))[0].isfinite().all()


def test_a_warm_start_from_rgb_on_8_bands(tmp_path):
    """Bands count as normalised as the ViT's images were: nothing is folded, nothing is flipped."""
    vit = random_vit('vit')
    path = save_weights(vit.state_dict(), tmp_path / 'vit.safetensors')
    model = ViTTM(arch=WARM_ARCH, img_size=64, process_patch_size=16, memory_patch_size=16, in_channels=8)
    assert '3 -> 8 bands' in str(model.warm_start(path))
    theirs = vit.patch_embed.proj.weight
    expected = torch.stack([theirs[:, band % 3] for band in range(8)], 1) * 3 / 8
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(2, 8, 64, 64, generator=generator) for _ in range(2)]
    said = finish(model, batches, Images((1000., ) * 8, (300., ) * 8))
    assert torch.allclose(model.encoder.memory_stream.proj.weight, expected, atol=1e-6)
    assert 'not known: taken as here' in said[0] and model(batches[0])[0].isfinite().all()


def test_a_normalisation_of_other_channels(tmp_path):
    path = save_weights(random_vit('vit').state_dict(), tmp_path / 'vit.safetensors')
    model = ViTTM(arch=WARM_ARCH, img_size=64, process_patch_size=16, memory_patch_size=16, in_channels=8)
    with pytest.raises(InputError, match='mean and std are of 3 channels, the model takes 8 bands; leave them out'):
        model.warm_start(path, mean=[120.] * 3, std=[60.] * 3)


def test_bands_of_colours_are_rgb():
    """LoadBands reads red, green, blue, where MMSegmentation's own loader gives BGR that is swapped afterwards."""
    model = torch.nn.Module()
    model.data_preprocessor = BandsPreProcessor([1., 2., 3.], [4., 5., 6.])
    assert normalisation_of(model) == (Images((1., 2., 3.), (4., 5., 6.)), True)
