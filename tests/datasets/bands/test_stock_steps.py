"""MMSegmentation's steps on images of many bands: what they do to each band alone."""
import numpy as np
import pytest
from mmseg.registry import TRANSFORMS

STEPS = [dict(type='Resize', scale=(70, 90), keep_ratio=True), dict(type='Resize', scale=(33, 21)),
         dict(type='RandomResize', scale=(60, 50), ratio_range=(0.5, 2.0), keep_ratio=True),
         dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=1.0, direction='vertical'),
         dict(type='RandomCrop', crop_size=(20, 24)), dict(type='BandJitter', per_band=False, offset=0.0)]


@pytest.mark.parametrize('bands', [1, 2, 4, 5, 8, 13])
@pytest.mark.parametrize('step', STEPS, ids=lambda step: step['type'])
def test_bands_are_treated_alike(step, bands):
    image = np.random.default_rng(0).random((50, 60, bands)).astype(np.float32) * 60000

    def run(img):
        np.random.seed(3)
        results = dict(img=img, img_shape=img.shape[:2], ori_shape=img.shape[:2], seg_fields=['gt_seg_map'],
                       gt_seg_map=np.zeros(img.shape[:2], np.uint8))
        return TRANSFORMS.build(dict(step))(results)['img']

    together = run(image)
    together = together.reshape(*together.shape[:2], bands)  # of one band, OpenCV drops the axis
    for band in range(bands):
        alone = run(image[..., [band] * 3])[..., 0]
        assert np.abs(together[..., band] - alone).max() <= 3e-6 * 60000  # float32


def test_resizing_is_bilinear_for_any_number_of_bands():
    """PyTorch's, in float64, is the reference."""
    import torch
    image = np.random.default_rng(0).random((50, 60, 13)) * 60000
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(planes, (90, 70), mode='bilinear')
    for bands in (1, 2, 3, 4, 5, 8, 13):
        step = TRANSFORMS.build(dict(type='Resize', scale=(70, 90)))
        found = step(dict(img=image[..., :bands].astype(np.float32).copy()))['img'].reshape(90, 70, bands)
        assert np.abs(found - expected[0, :bands].permute(1, 2, 0).numpy()).max() < 5e-6 * 60000
