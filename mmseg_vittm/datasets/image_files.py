"""Files of images and labels: read, decoded, looked at for damage; every error is a `DataError` that names the file."""
import os
import stat
import zlib

import mmcv
import numpy as np
from mmengine import fileio

from ..errors import DataError, one_line

AGAIN = 'copy it again from where it comes from, or leave it out'
PNG = b'\x89PNG\r\n\x1a\n'
MOST_BYTES = 2**31 - 1  # that OpenCV decodes
# What is no file to read: the first two wait for ever, a device may never end.
KINDS = {stat.S_IFIFO: 'a pipe', stat.S_IFSOCK: 'a socket', stat.S_IFCHR: 'a device', stat.S_IFBLK: 'a device'}


def no_file(path: str | os.PathLike) -> DataError | None:
    """Returns the error of a path where no regular file is to be read, whatever links lead there; None for a file."""
    path = os.fspath(path)
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except FileNotFoundError:
        problem = f'a link to {os.readlink(path)}, which is not there' if os.path.islink(path) else 'no such file'
        return DataError(path, problem, 'add it, or leave it out')
    except (OSError, ValueError) as error:  # links in a circle, too long a name, a zero byte
        return DataError(path, f'cannot be read ({one_line(error)})', 'make it a readable file')
    if kind == stat.S_IFDIR:
        return DataError(path, 'this is a folder', 'give the files in it')
    if kind != stat.S_IFREG:
        return DataError(path, f'this is {KINDS.get(kind, "no file")}', 'give a file, or leave it out')
    return None


def read_file(path: str, backend_args: dict | None = None) -> bytes:
    """Returns a file's content.

    Args:
        path: The file.
        backend_args: Arguments of mmengine's file backend; None is the one that fits the path.

    Raises:
        DataError: It is missing, a folder, a pipe or a device, unreadable, or larger than any image.
    """
    try:
        if os.path.lexists(path):  # here, not somewhere that a backend fetches it from
            _check_file(path)
        return bytes(fileio.get(path, backend_args=backend_args))
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(path, 'no such file', 'add it, or leave it out') from error
    except (OSError, TypeError, ValueError) as error:
        raise DataError(path, f'cannot be read ({one_line(error)})', 'make it a readable file') from error


def _check_file(path: str) -> None:
    error = no_file(path)
    if error is not None:
        raise error
    size = os.path.getsize(path)
    if size > MOST_BYTES:
        raise DataError(path, f'too large for an image: {size:,} bytes', 'give an image of less than 2 GiB')


def decode(content: bytes, name: str, flag: str, backend: str) -> np.ndarray:
    """Decodes an image as `mmcv.imfrombytes` does.

    Args:
        content: The file.
        name: What errors call it.
        flag: `'color'`, `'grayscale'`, `'unchanged'` and the like.
        backend: `'cv2'`, `'pillow'` and the like.

    Returns:
        The image, (H, W) or (H, W, C).

    Raises:
        DataError: It is empty, truncated, damaged or no image, as far as the decoder notices.
    """
    if not content:
        raise DataError(name, 'the file is empty (0 bytes)', AGAIN)
    try:
        image = mmcv.imfrombytes(content, flag=flag, backend=backend)
    except (ImportError, MemoryError):  # the machine's fault, not the file's
        raise
    except Exception as error:  # decoders raise what they like: OSError, SyntaxError, struct.error, cv2.error, ...
        reason = one_line(error).replace('<_io.BytesIO object', '<file')
        raise DataError(name, f'cannot be read as an image ({reason})', AGAIN) from error
    if image is None or not image.size:
        raise DataError(name, f'cannot be read as an image: it is truncated, damaged or of no kind that {backend} '
                        'reads', AGAIN)
    return image


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
