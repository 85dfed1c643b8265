"""BandJitter: gain and offset as it says, and the same for all bands unless told otherwise."""
import numpy as np
import pytest

from mmseg_vittm.datasets import BandJitter
from mmseg_vittm.errors import InputError


def fitted(image, changed):
    """Gain and offset of each band, by least squares; and how far off they are."""
    found = []
    for band in range(image.shape[2]):
        inputs = np.stack([image[..., band].ravel(), np.ones(image[..., band].size)], axis=1)
        (gain, offset), *_ = np.linalg.lstsq(inputs, changed[..., band].ravel(), rcond=None)
        assert np.abs(inputs @ (gain, offset) - changed[..., band].ravel()).max() < 1e-2
        found.append((gain, offset / image[..., band].std()))
    return np.array(found)


@pytest.mark.parametrize('per_band', [False, True])
@pytest.mark.parametrize('bands,kind', [(1, 'uint8'), (3, 'uint16'), (8, 'float32')])
def test_a_gain_and_an_offset(per_band, bands, kind):
    np.random.seed(0)
    image = (np.random.default_rng(0).random((20, 30, bands)) * 200).astype(kind)
    drawn = []
    for _ in range(60):
        results = BandJitter(0.3, 0.1, per_band)(dict(img=image.copy()))
        assert results['img'].dtype == np.float32
        drawn.append(fitted(image, results['img']))
    gains, offsets = np.moveaxis(np.array(drawn), 2, 0)
    assert 0.7 <= gains.min() < 0.75 and 1.25 < gains.max() <= 1.3001
    assert -0.1001 <= offsets.min() < -0.07 and 0.07 < offsets.max() <= 0.1001
    if bands > 1:
        assert (np.ptp(gains, axis=1) < 1e-3).all() != per_band


def test_gray_images_and_rare_changes():
    np.random.seed(0)
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    changed = [not np.array_equal(BandJitter(prob=0.3)(dict(img=image))['img'], image) for _ in range(200)]
    assert 40 < sum(changed) < 80
    assert np.array_equal(BandJitter(0, 0)(dict(img=image))['img'], image)


@pytest.mark.parametrize('arguments', [dict(gain=1), dict(gain=-0.1), dict(offset=-1), dict(prob=2)])
def test_wrong_arguments(arguments):
    with pytest.raises(InputError, match='BandJitter: gain must be'):
        BandJitter(**arguments)
