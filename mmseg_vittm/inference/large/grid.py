"""The windows of a large image: the same grid over all of it that the model has on an image in memory."""
import math
from dataclasses import dataclass

from torch import nn

from ...errors import InputError
from ..slide_segmentor import Size, SlideSegmentor
from ..windows import window_starts, windows_over

OVERLAP = 8  # tiles of a model that sees images whole overlap by this part of their side, one by so many


@dataclass(frozen=True)
class Grid:
    """Where windows lie.

    Attributes:
        size: Height and width of the image, in pixels.
        padded: Those of what the network would get of it, with padding at the right and at the bottom.
        crop: Those of a window.
        starts: First rows of the windows, and first columns, in what the network would get.
    """
    size: Size
    padded: Size
    crop: Size
    starts: tuple[tuple[int, ...], tuple[int, ...]]

    def over(self, axis: int, first: int, last: int) -> range:
        """Returns which windows along an axis (0: rows) hold one of the pixels from `first` to before `last`."""
        return windows_over(self.starts[axis], self.crop[axis], first, last)

    @property
    def windows(self) -> int:
        """How many windows hold a pixel of the image."""
        return math.prod(len(self.over(axis, 0, self.size[axis])) for axis in (0, 1))


def check_model(model: nn.Module) -> None:
    """Checks that a model can segment images by windows of their own.

    Raises:
        InputError: It cannot.
    """
    if not isinstance(model, SlideSegmentor) or not model.is_linear_after_head() or hasattr(model, 'segment'):
        head = type(getattr(model, 'decode_head', None)).__name__
        raise InputError('large images are for a SlideSegmentor whose decode head predicts by its forward pass and a '
                         f"resize, got {type(model).__name__} with {head}; set model.type='SlideSegmentor' in the "
                         'config, or cut the image up')


def grid_of(model: SlideSegmentor, size: Size, tile: Size | None = None, overlap: int | None = None) -> Grid:
    """Returns the windows that a model has on an image.

    With `test_cfg.mode='slide'` they are those that it slides over the image in memory. With `'whole'` they are tiles,
    which overlap, and whose logits are averaged where they do; an image no larger than a tile is one window.

    Args:
        model: The model.
        size: Height and width of the image.
        tile: Height and width of a tile; None is the size that the model was trained at. For `'whole'` alone.
        overlap: Pixels that neighbouring tiles share; None is an eighth of their shorter side. Likewise.

    Raises:
        InputError: `tile` or `overlap` is wrong, or given for a model that slides; or nothing says a tile's size.
    """
    padded = _padded(size, getattr(model.data_preprocessor, 'test_cfg', None) or {})
    if model.test_cfg.get('mode', 'whole') == 'slide':
        if tile is not None or overlap is not None:
            raise InputError("tile and overlap are for models with test_cfg.mode='whole'; this one slides windows of "
                             f'{tuple(model.test_cfg["crop_size"])}, as its test_cfg says; leave them out')
        whole, stride = tuple(model.test_cfg['crop_size']), tuple(model.test_cfg['stride'])
    else:
        whole = tuple(tile or _trained_at(model))
        overlap = min(whole) // OVERLAP if overlap is None else overlap
        if min(whole) < 1 or not 0 <= overlap < min(whole):
            raise InputError(f'overlap must be from 0 to below the tile, {whole[0]} x {whole[1]}, got {overlap}')
        stride = tuple(side - overlap for side in whole)
    return Grid(size, padded, tuple(map(min, padded, whole)), tuple(map(window_starts, padded, whole, stride)))


def _padded(size: Size, test_cfg: dict) -> Size:
    """Returns the size that MMSegmentation's `stack_batch` pads an image to in testing."""
    if test_cfg.get('size') is not None:
        return tuple(map(max, size, test_cfg['size'][-2:]))
    divisor = test_cfg.get('size_divisor') or 1
    return tuple(-(-side // divisor) * divisor for side in size)


def _trained_at(model: SlideSegmentor) -> Size:
    cfg = getattr(model, 'cfg', None) or {}
    for size in (getattr(model.data_preprocessor, 'size', None), cfg.get('crop_size')):
        if size:
            return (size, size) if isinstance(size, int) else tuple(size)[-2:]
    raise InputError('nothing says at what size the model was trained, to cut large images into tiles of it '
                     '(data_preprocessor.size, crop_size of its config); give tile=512')
