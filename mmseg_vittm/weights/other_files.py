"""Files that are given for a checkpoint and are none: what they are, and what to do."""
import os
import tarfile
from pathlib import Path

FIRST = 4096  # bytes that are looked at
LFS = b'version https://git-lfs.github.com/spec/v1'
UNPACK = 'unpack it, and give the checkpoint in it'
NOT_IT = 'give the checkpoint itself'
# First bytes, what such a file is, and the remedy.
KINDS = (
    (LFS, 'a git-lfs pointer, which stands in a repository for the file itself',
     'fetch that by `git lfs pull` in its repository, or download it'),
    (b'\x1f\x8b', 'a gzip archive', UNPACK),
    (b'\xfd7zXZ\0', 'an xz archive', UNPACK),
    (b'BZh', 'a bzip2 archive', UNPACK),
    (b'\x28\xb5\x2f\xfd', 'a zstd archive', UNPACK),
    (b'7z\xbc\xaf\x27\x1c', 'a 7z archive', UNPACK),
    (b'Rar!\x1a\x07', 'a rar archive', UNPACK),
    (b'\x89HDF\r\n\x1a\n', 'an HDF5 file, such as Keras writes', NOT_IT),
    (b'\x93NUMPY', 'a NumPy array', NOT_IT),
    (b'GGUF', 'a GGUF file', NOT_IT),
    (b'\x89PNG\r\n\x1a\n', 'an image', NOT_IT),
    (b'\xff\xd8\xff', 'an image', NOT_IT),
    (b'%PDF-', 'a PDF document', NOT_IT))
AGAIN = 'download or copy it again'
PAGE = ('a web page: a download that failed, or the page that links to the checkpoint',
        'download the checkpoint itself')
TAR_OF_TORCH = {'pickle', 'storages', 'tensors'}


def what_else(path: Path) -> str | None:
    """Returns what a file is that is no checkpoint, and the remedy; None where it may be one."""
    with open(path, 'rb') as file:
        first = file.read(FIRST)
    if not first:
        return f'it is empty (0 bytes); {AGAIN}'
    if not first.strip(b'\0') and os.path.getsize(path) > 64:
        return f'it begins with zeros alone: its content was never written; {AGAIN}'
    for start, what, remedy in KINDS:
        if first.startswith(start):
            return f'it is {what}; {remedy}'
    text = first.removeprefix(b'\xef\xbb\xbf').lstrip().lower()
    if text.startswith((b'<!doctype', b'<html', b'<?xml', b'<head', b'<!--')):
        return 'it is {}; {}'.format(*PAGE)
    if first[257:262] == b'ustar' and not _is_of_torch(path):
        return f'it is a tar archive; {UNPACK}'
    if _is_onnx(first, path):
        return f'it is an ONNX model, which holds no checkpoint; {NOT_IT}'
    if _is_text(first) and not _is_old_pickle(first):
        return f'it is a text file, such as a config or a log; {NOT_IT}'
    return None


def _is_of_torch(path: Path) -> bool:
    """Returns whether a tar archive holds what PyTorch wrote before version 0.1.10."""
    try:
        with tarfile.open(path, 'r:') as archive:
            return archive.next().name in TAR_OF_TORCH
    except (tarfile.TarError, AttributeError):
        return False


def _is_onnx(first: bytes, path: Path) -> bool:
    """Tells a protocol buffer of a small version number by its fields: `ir_version`, then the producer's name."""
    return first[:1] == b'\x08' and (first[2:3] == b'\x12' or path.suffix.lower() == '.onnx')


def _is_text(first: bytes) -> bool:
    try:
        text = first[:-3].decode() if len(first) == FIRST else first.decode()
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in '\t\r\n\f' for letter in text)


def _is_old_pickle(first: bytes) -> bool:
    """Returns whether text may be a pickle of protocol 0: globals are named in it, or it begins as one with marks."""
    return b'\n' in first and first[:1] in b'(cIFLNSVdlp]}'
