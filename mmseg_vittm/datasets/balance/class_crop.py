"""`ClassCrop`: crops around a pixel of any class in the image, each class alike."""
import numpy as np
from mmseg.datasets.transforms import RandomCrop
from mmseg.registry import TRANSFORMS

from ..label_checks import IGNORED


@TRANSFORMS.register_module()
class ClassCrop(RandomCrop):
    """A `RandomCrop` that lies, with some probability, around a pixel of a class drawn among those in the image.

    A rare thing that an image was drawn for is small, and mostly outside of a random crop.

    Args:
        crop_size: (height, width) of the crop, in pixels; or one number, of both.
        cat_max_ratio: Of crops anywhere, see `mmseg.datasets.transforms.RandomCrop`.
        ignore_index: The label of void.
        prob: The probability.

    Raises:
        ValueError: `prob` is not from 0 to 1.
    """

    def __init__(self, crop_size: int | tuple[int, int], cat_max_ratio: float = 1.0, ignore_index: int = IGNORED,
                 prob: float = 0.5):
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must be from 0 to 1, got {prob!r}')
        super().__init__(crop_size, cat_max_ratio, ignore_index)
        self.prob = prob

    def crop_bbox(self, results: dict) -> tuple[int, int, int, int]:
        """Returns where to crop: (top, bottom, left, right)."""
        if np.random.random() >= self.prob:
            return super().crop_bbox(results)
        label = results['gt_seg_map']
        classes = np.unique(label)
        classes = classes[classes != self.ignore_index]
        if not len(classes):
            return super().crop_bbox(results)
        places = np.flatnonzero(label == np.random.choice(classes))
        centre = np.unravel_index(places[np.random.randint(len(places))], label.shape)
        corner = []
        for at, whole, crop in zip(centre, label.shape, self.crop_size, strict=True):
            # Anywhere that has the pixel in it and stays in the image.
            low, high = max(0, at - crop + 1), min(at, max(0, whole - crop))
            corner.append(int(np.random.randint(low, high + 1)))
        top, left = corner
        return top, top + self.crop_size[0], left, left + self.crop_size[1]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(crop_size={self.crop_size}, prob={self.prob})'
