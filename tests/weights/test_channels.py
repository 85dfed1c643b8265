"""Patch embeddings of RGB images on other bands."""
import pytest
import torch
from tiny_models import save_weights, tiny_encoder

from mmseg_vittm import ViTTM
from mmseg_vittm.weights.channels import fit_channels
from mmseg_vittm.weights.report import LoadReport

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
