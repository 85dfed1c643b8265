"""Masks of the pixels that a metric scores apart, as `VideoSegDataset`'s `region_path` names them."""
import numpy as np

from ...errors import DataError
from ..image_files import AGAIN, damage, decode, read_file


def read_mask(path: str, size: tuple[int, int]) -> np.ndarray:
    """Returns a mask, (H, W) bool: where a PNG of one channel is not 0.

    Args:
        path: The file.
        size: Height and width that it must have.

    Raises:
        DataError: It is missing, truncated, damaged or no image, or has several channels or another size.
    """
    content = read_file(path)
    problem = damage(content)
    if problem:
        raise DataError(path, problem, AGAIN)
    mask = decode(content, path, 'unchanged', 'pillow')
    mask = mask[..., 0] if mask.ndim == 3 and mask.shape[2] == 1 else mask
    if mask.shape != tuple(size):
        raise DataError(path, f'a mask of shape {" x ".join(map(str, mask.shape))}, of an image of {size[0]} x '
                        f'{size[1]} (rows x columns)', 'save a PNG of one channel, of the size of the image')
    return mask != 0
