"""Transforms of classifiers' images: decoded and checked as files are in this project, augmented by timm."""
import io
import math
import re
from collections.abc import Callable, Sequence

from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS
from PIL import Image
from timm.data import create_transform

from ..datasets.image_files import AGAIN, damage, read_file
from ..errors import DataError, one_line

UNDERSTOOD = r'[a-z]+\d|t(weights|3aw?)$'  # of a part of `auto_augment`
MOST_PIXELS = 1 << 28  # 16,384 squared; ImageNet's largest has a tenth of it


@TRANSFORMS.register_module()
class DecodeImage(BaseTransform):
    """Decodes an image, from what its data set read of a shard, or else from its file.

    Any colours become RGB, by Pillow, as timm and torchvision read ImageNet: some of its images are grey or CMYK, and
    rotations noted in EXIF are not followed.
    """

    def transform(self, results: dict) -> dict:
        """Adds `image`, a Pillow image in RGB, to a sample with `img_path` and perhaps `content`.

        Raises:
            DataError: The file is missing, empty, truncated or no image.
        """
        name, content = results['img_path'], results.pop('content', None)
        content = read_file(name) if content is None else content
        problem = damage(content) if content else 'the file is empty (0 bytes)'
        if problem:
            raise DataError(name, problem, AGAIN)
        try:
            with Image.open(io.BytesIO(content)) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise DataError(name, f'{image.width} x {image.height} pixels are too many', 'give a smaller image')
                results['image'] = image.convert('RGB')
        except (DataError, MemoryError):
            raise
        except Exception as error:  # decoders raise what they like: OSError, SyntaxError, struct.error, ...
            reason = one_line(error).replace('<_io.BytesIO object', '<file')
            raise DataError(name, f'cannot be read as an image ({reason})', AGAIN) from error
        return results


@TRANSFORMS.register_module()
class TimmTransform(BaseTransform):
    """timm's transforms of a classifier's images, `timm.data.create_transform`, up to a normalised tensor.

    In training: a random resized crop, a flip, `auto_augment` or colour jitter, random erasing. Otherwise: a resize of
    the shorter side to `image_size / crop_pct` and a crop of the centre.

    Args:
        image_size: Side of the result in pixels, or (height, width).
        training: Whether to augment.
        scale: Smallest and largest share of the image that a random crop has; in training alone.
        ratio: Smallest and largest ratio of its sides.
        hflip: Probability of a flip from left to right.
        color_jitter: How strongly brightness, contrast and saturation vary; 0 for not at all. With `auto_augment` timm
            leaves it out.
        auto_augment: timm's text for RandAugment and the like, such as `'rand-m9-n2'`.
        erasing: Probability of random erasing, by normal noise.
        interpolation: Of every resize: `'bicubic'`, `'bilinear'`, `'random'`.
        mean: Of the three channels, from 0 to 1.
        std: Likewise.
        crop_pct: Share of the resized shorter side that the crop of the centre has; not in training.

    Raises:
        ValueError: An argument is out of range, or timm refuses it.
    """

    def __init__(self, image_size: int | tuple[int, int] = 224, training: bool = False,
                 scale: tuple[float, float] = (0.08, 1.0), ratio: tuple[float, float] = (3 / 4, 4 / 3),
                 hflip: float = 0.5, color_jitter: float = 0.0, auto_augment: str | None = None, erasing: float = 0.0,
                 interpolation: str = 'bicubic', mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
                 std: tuple[float, float, float] = (0.5, 0.5, 0.5), crop_pct: float = 0.9):
        for name, value in (('hflip', hflip), ('erasing', erasing)):
            if not 0 <= value <= 1:
                raise ValueError(f'{name} must be a probability from 0 to 1, got {value!r}')
        if not 0 < crop_pct <= 1:
            raise ValueError(f'crop_pct must be a share above 0 and up to 1, got {crop_pct!r}')
        if not color_jitter >= 0:
            raise ValueError(f'color_jitter must be 0 or more, got {color_jitter!r}')
        _check_numbers('scale', scale, 2, lambda share: 0 < share <= 1, 'two shares above 0 and up to 1, in order')
        _check_numbers('ratio', ratio, 2, lambda ratio: 0 < ratio < math.inf, 'two numbers above 0, in order')
        _check_numbers('mean', mean, 3, lambda value: 0 <= value <= 1, 'three numbers from 0 to 1')
        _check_numbers('std', std, 3, lambda value: 0 < value < math.inf, 'three numbers above 0')
        unread = [part for part in str(auto_augment or '').split('-')[1:] if not re.match(UNDERSTOOD, part)]
        if unread:  # which timm passes over
            raise ValueError(f'auto_augment has {unread[0]!r}, which timm does not know, got {auto_augment!r}')
        try:
            self.augment = create_transform(
                image_size if isinstance(image_size, int) else tuple(image_size), is_training=training,
                scale=tuple(scale), ratio=tuple(ratio), hflip=hflip, color_jitter=color_jitter,
                auto_augment=auto_augment, interpolation=interpolation, mean=tuple(mean), std=tuple(std),
                re_prob=erasing, re_mode='pixel', crop_pct=crop_pct)
        except (AssertionError, KeyError, TypeError) as error:
            raise ValueError(f'timm.data.create_transform refuses an argument: {one_line(error)}') from error

    def transform(self, results: dict) -> dict:
        """Returns `inputs`, a float tensor (3, H, W), `labels` and `img_path` of a sample with `image` and `label`."""
        return dict(inputs=self.augment(results['image']), labels=results['label'], img_path=results['img_path'])


def _check_numbers(name: str, values: Sequence[float], count: int, allowed: Callable[[float], bool], wish: str) -> None:
    if not isinstance(values, (list, tuple)) or len(values) != count or not all(
            isinstance(value, (int, float)) and allowed(value) for value in values) or (
            count == 2 and values[0] > values[1]):
        raise ValueError(f'{name} must be {wish}, got {values!r}')
