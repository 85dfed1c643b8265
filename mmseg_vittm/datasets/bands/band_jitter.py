"""BandJitter: images brighter or darker in training, of any number of bands and bits."""
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ...errors import InputError


@TRANSFORMS.register_module()
class BandJitter(BaseTransform):
    """Multiplies an image by a random gain and adds a random offset: what `PhotoMetricDistortion` is to colours.

    That one works on 3 bands of 8 bits alone. Here a gain is drawn evenly from 1 - gain to 1 + gain, an offset from
    -offset to offset times the standard deviation of the image's band.

    Args:
        gain: The largest change of the gain, 0 to below 1.
        offset: The largest offset, in standard deviations of the band; 0 for none.
        per_band: Draw anew for each band, as sensors and hazes differ; False draws once for all.
        prob: How often an image is changed.

    Raises:
        InputError: An argument is out of range.
    """

    def __init__(self, gain: float = 0.2, offset: float = 0.2, per_band: bool = False, prob: float = 1.0):
        if not 0 <= gain < 1 or not 0 <= offset < float('inf') or not 0 <= prob <= 1:
            raise InputError('BandJitter: gain must be from 0 to below 1, offset 0 or more, prob from 0 to 1, got '
                             f'{gain}, {offset} and {prob}')
        self.gain, self.offset, self.per_band, self.prob = gain, offset, per_band, prob

    def transform(self, results: dict) -> dict:
        """Changes `img` (H, W, C), or (H, W), which is float32 after it."""
        if np.random.rand() >= self.prob:
            return results
        image = results['img'].astype(np.float32)
        count = image.shape[2] if image.ndim == 3 and self.per_band else 1
        gain = np.random.uniform(1 - self.gain, 1 + self.gain, count)
        offset = np.random.uniform(-self.offset, self.offset, count) * image.std(axis=(0, 1))
        results['img'] = image * gain.astype(np.float32) + offset.astype(np.float32)
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(gain={self.gain}, offset={self.offset}, per_band={self.per_band}, '
                f'prob={self.prob})')
