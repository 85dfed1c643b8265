"""What is wrong with an image or label file: read whole, decoded whole, labels in range and of the image's size."""
import zlib
from collections.abc import Mapping

import mmcv
import numpy as np
from mmengine import fileio

from ..errors import DataError

IGNORED = 255  # MMSegmentation's label of pixels that do not count
AGAIN = 'copy it again from where it comes from, or take image and annotation out of the data set'
PNG = b'\x89PNG\r\n\x1a\n'


def read_file(path: str, backend_args: dict | None = None) -> bytes:
    """Returns a file's content.

    Args:
        path: The file.
        backend_args: Arguments of mmengine's file backend.

    Raises:
        DataError: It is missing, unreadable or empty.
    """
    try:
        content = bytes(fileio.get(path, backend_args=backend_args))
    except FileNotFoundError as error:
        raise DataError(path, 'no such file', 'add it, or take image and annotation out of the data set') from error
    except OSError as error:
        raise DataError(path, f'cannot be read ({error.strerror or error})', 'make it a readable file') from error
    if not content:
        raise DataError(path, 'the file is empty (0 bytes)', AGAIN)
    return content


def damage(content: bytes) -> str | None:
    """Returns what a JPEG's or PNG's structure shows of damage; None for a whole file, or another format.

    Decoders pad what is missing, depending on their version, or say nothing of a few bytes.
    """
    if content[:2] == b'\xff\xd8':
        return None if _ends_jpeg(content) else f'truncated: {len(content)} bytes without the end of the JPEG'
    return _png_damage(content) if content[:8] == PNG else None


def _ends_jpeg(content: bytes) -> bool:
    """Tells whether the end-of-image marker follows the first scan; thumbnails in the segments before have their own.

    Bytes between segments are skipped, as decoders do. In a scan 0xff is always followed by 0 or a restart marker.
    """
    at = 2
    while True:
        at = content.find(b'\xff', at)
        if at < 0 or at + 4 > len(content):
            return False
        marker = content[at + 1]
        if marker == 0xda:  # start of scan
            return content.rfind(b'\xff\xd9', at) >= 0
        if marker == 0xff:  # padding
            at += 1
        elif marker in (0x00, 0x01) or 0xd0 <= marker <= 0xd8:  # no segment follows
            at += 2
        else:
            at += 2 + int.from_bytes(content[at + 2:at + 4], 'big')


def _png_damage(content: bytes) -> str | None:
    """Returns what is wrong with a PNG's chunks: one cut short, or a checksum that does not fit."""
    at, view = 8, memoryview(content)
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at:at + 4], 'big')
        kind = content[at + 4:at + 8]
        if end > len(content):
            break
        critical = not kind[0] & 0x20
        if critical and zlib.crc32(view[at + 4:end - 4]) != int.from_bytes(content[end - 4:end], 'big'):
            return f'damaged: the checksum of its chunk {kind.decode("latin-1")!r} at byte {at} is wrong'
        if kind == b'IEND':
            return None
        at = end
    return f'truncated: {len(content)} bytes without the end of the PNG'


def decode(content: bytes, path: str, flag: str, backend: str) -> np.ndarray:
    """Decodes an image as `mmcv.imfrombytes` does.

    Args:
        content: The file.
        path: Its name.
        flag: `'color'`, `'grayscale'`, `'unchanged'` and the like.
        backend: `'cv2'`, `'pillow'` and the like.

    Returns:
        The image, (H, W) or (H, W, C).

    Raises:
        DataError: It is truncated, damaged or no image.
    """
    problem = damage(content)
    if problem:
        raise DataError(path, problem, AGAIN)
    try:
        image = mmcv.imfrombytes(content, flag=flag, backend=backend)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # decoders raise what they like: OSError, SyntaxError, struct.error, cv2.error, ...
        reason = ' '.join(str(error).split()).replace('<_io.BytesIO object', '<file')
        raise DataError(path, f'cannot be decoded ({type(error).__name__}: {reason})', AGAIN) from error
    if image is None or not image.size:
        raise DataError(path, f'cannot be decoded: no image that {backend} reads, or a damaged one', AGAIN)
    return image


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
