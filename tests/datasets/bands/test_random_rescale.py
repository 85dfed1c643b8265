"""RandomRescale: factors of the image's own size, of image and label alike."""
import numpy as np
import pytest

from mmseg_vittm.datasets import RandomRescale
from mmseg_vittm.errors import InputError


@pytest.mark.parametrize('size', [(20, 30), (200, 300), (300, 100)])
def test_the_factor_is_of_its_own_size(size):
    np.random.seed(0)
    step, factors = RandomRescale((0.5, 2.0)), []
    for _ in range(200):
        label = np.repeat(np.arange(size[0])[:, None] // 100, size[1], 1).astype(np.uint8)
        found = step(dict(img=np.zeros((*size, 8), np.float32), gt_seg_map=label, seg_fields=['gt_seg_map']))
        assert found['img'].shape[:2] == found['gt_seg_map'].shape and found['img'].shape[2] == 8
        assert set(np.unique(found['gt_seg_map'])) <= set(np.unique(label))
        factors.append(found['img'].shape[0] / size[0])
        assert abs(found['img'].shape[1] / size[1] - factors[-1]) < 0.06
    assert min(factors) >= 0.45 and max(factors) <= 2.05
    assert abs(np.mean(factors) - 1.25) < 0.1 and np.std(factors) > 0.3


@pytest.mark.parametrize('ratios', [(0, 1), (2, 1), (-1, 1), (1, float('inf')), (float('nan'), 1)])
def test_wrong_factors(ratios):
    with pytest.raises(InputError, match='ratio_range must be two factors'):
        RandomRescale(ratios)
