"""RandomRescale: images scaled by a random factor of their own size."""
from mmcv.transforms import RandomResize
from mmseg.registry import TRANSFORMS

from ...errors import InputError


@TRANSFORMS.register_module()
class RandomRescale(RandomResize):
    """Scales an image and its label by a factor drawn anew each time, whatever the image's size.

    `RandomResize` brings images of all sizes near one. Where a pixel has a size of its own, as metres on the ground or
    micrometres under a microscope, that would make objects of large images small.

    Args:
        ratio_range: The smallest and the largest factor; drawn evenly between.

    Raises:
        InputError: These are none.
    """

    def __init__(self, ratio_range: tuple[float, float]):
        least, most = ratio_range
        if not 0 < least <= most < float('inf'):
            raise InputError(f'RandomRescale: ratio_range must be two factors above 0, the smaller first, got '
                             f'{tuple(ratio_range)}')
        super().__init__(scale=(1, 1), ratio_range=(least, most), resize_type='Resize', keep_ratio=True)

    def transform(self, results: dict) -> dict:
        """Scales `img` (H, W, C) and what belongs to it; see `RandomResize`."""
        height, width = results['img'].shape[:2]
        self.scale = width, height
        return super().transform(results)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(ratio_range={self.ratio_range})'
