"""What is wrong with labels: their shape and type, their image's size, classes that there are not."""
from collections.abc import Mapping

import numpy as np

from ..errors import DataError

IGNORED = 255  # MMSegmentation's label of pixels that do not count


def label_table(reduce_zero_label: bool, label_map: Mapping[int, int] | None) -> np.ndarray:
    """Returns what becomes of every label of a file, (256,) uint8, as MMSegmentation's `LoadAnnotations` has it.

    Args:
        reduce_zero_label: Whether 0 becomes 255 and k becomes k - 1.
        label_map: From old to new labels, after that; others stay.
    """
    table = np.arange(256, dtype=np.uint8)
    if reduce_zero_label:
        table[:] = [IGNORED, *range(254), IGNORED]
    if label_map is not None:
        before = table.copy()
        for old, new in label_map.items():
            table[before == old] = new
    return table


def check_label(label: np.ndarray, path: str, image: str | None, size: tuple[int, int] | None) -> None:
    """Checks that a decoded label file has one channel of whole numbers of 8 bits, in its image's size.

    Args:
        label: What the file holds.
        path: The file.
        image: Its image.
        size: Height and width of that; None where unknown.

    Raises:
        DataError: It has not; names the values.
    """
    if label.ndim != 2:
        raise DataError(path, f'a label of shape {" x ".join(map(str, label.shape))}, not of one channel',
                        'save class indices as a PNG of one channel')
    if size is not None and label.shape != tuple(size):
        raise DataError(path, f'the label is {label.shape[1]} x {label.shape[0]} pixels, its image {image} '
                        f'{size[1]} x {size[0]}', 'give both the same size')
    if label.dtype not in (np.uint8, np.bool_):
        with np.errstate(invalid='ignore'):
            wrong = label[label.astype(np.uint8) != label]
        if wrong.size:
            raise DataError(path, f'the label {wrong[0]} does not fit into 8 bits',
                            'save class indices 0 to 255 as an 8-bit PNG')


def check_range(label: np.ndarray, used: np.ndarray, path: str, num_classes: int, ignore_index: int,
                reduce_zero_label: bool) -> None:
    """Checks that labels stand for classes of the data set, or are ignored.

    Args:
        label: (H, W), as in the file.
        used: (H, W) uint8, as they are used, after `reduce_zero_label` and the label map.
        path: The file.
        num_classes: Classes of the data set.
        ignore_index: Is allowed, like 255.
        reduce_zero_label: Whether the file's 1 is class 0.

    Raises:
        DataError: They are not; names those that are too large, and how many pixels have them.
    """
    if (used + np.uint8(1)).max() <= num_classes:  # 255 has become 0
        return
    bad = (used >= num_classes) & (used != IGNORED) & (used != ignore_index)
    if not bad.any():
        return
    values = np.unique(label[bad])
    listed = ', '.join(map(str, values[:5])) + ', ...' * (len(values) > 5)
    allowed = f'0 (ignored), 1 to {num_classes}' if reduce_zero_label else f'0 to {num_classes - 1}'
    remedy = f'labels may be {allowed}, and 255 (ignored); correct the file, or the classes in metainfo'
    if not reduce_zero_label and list(values) == [num_classes]:
        remedy += ', or set reduce_zero_label=True where 0 means unlabelled'
    raise DataError(path, f'label {listed} in {int(bad.sum())} pixels, above the {num_classes} classes', remedy)
