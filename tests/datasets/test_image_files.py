"""Image files: what is read, what is decoded, what shows damage."""
import os
import re

import numpy as np
import pytest
from PIL import Image

from mmseg_vittm.datasets.image_files import damage, decode, read_file
from mmseg_vittm.errors import DataError


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path, problem in ((tmp_path / 'none.png', 'no such file'), (tmp_path, 'this is a folder'),
                          (f'{tmp_path}/nul\0.png', 'cannot be read (ValueError: embedded null byte)')):
        with pytest.raises(DataError) as error:
            read_file(str(path))
        assert str(error.value).startswith(f'{path}: {problem}; ')


def test_only_regular_files_are_read(tmp_path):
    """A pipe waits for ever, a device may never end."""
    os.mkfifo(tmp_path / 'pipe.png')
    (tmp_path / 'linked.png').symlink_to(tmp_path / 'pipe.png')
    (tmp_path / 'endless.png').symlink_to('/dev/zero')
    (tmp_path / 'dead.png').symlink_to('nowhere')
    (tmp_path / 'circle.png').symlink_to('circle.png')
    with open(tmp_path / 'large.png', 'wb') as file:
        file.truncate(10**12)
    for name, problem in (('pipe.png', 'this is a pipe'), ('linked.png', 'this is a pipe'),
                          ('endless.png', 'this is a device'), ('dead.png', 'a link to nowhere, which is not there'),
                          ('circle.png', 'cannot be read (OSError'),
                          ('large.png', 'too large for an image: 1,000,000,000,000 bytes')):
        for backend in (None, dict(backend='local')):
            with pytest.raises(DataError) as error:
                read_file(str(tmp_path / name), backend)
            assert str(error.value).startswith(f'{tmp_path / name}: {problem}')
    for wrong in (None, 3.5):
        with pytest.raises(DataError, match='cannot be read'):
            read_file(wrong)


def test_whatever_a_decoder_raises_is_one_error(good, monkeypatch):
    content = (good / 'images/training/0.jpg').read_bytes()
    image = decode(content, 'a.jpg', 'color', 'cv2')
    assert np.array_equal(image[..., ::-1], Image.open(good / 'images/training/0.jpg'))
    for backend in ('cv2', 'pillow'):
        for bad, problem in ((b'', 'the file is empty (0 bytes)'), (b'no image', 'cannot be read as an image')):
            with pytest.raises(DataError, match=re.escape(f'images[3]: {problem}')):
                decode(bad, 'images[3]', 'color', backend)

    def failing(*args, **kwargs):
        raise error
    monkeypatch.setattr('mmcv.imfrombytes', failing)
    error = SyntaxError('broken\nheader')
    with pytest.raises(DataError, match='SyntaxError: broken header'):
        decode(content, 'a.jpg', 'color', 'cv2')
    error = MemoryError()  # of the machine, not of the file
    with pytest.raises(MemoryError):
        decode(content, 'a.jpg', 'color', 'cv2')


def test_every_cut_of_a_file_is_seen(good):
    for path in (good / 'images/training/0.jpg', good / 'annotations/training/0.png'):
        content = path.read_bytes()
        assert damage(content) is None and damage(content + b'trailing') is None
        cuts = range(8, len(content))
        assert all(damage(content[:cut]) for cut in cuts), path
    thumbnail = b'\xff\xe1\x00\x08' + b'\xff\xda\xff\xd9\x00\x00'  # a segment that holds a whole picture's markers
    jpeg = (good / 'images/training/0.jpg').read_bytes()
    assert damage(jpeg[:2] + thumbnail + jpeg[2:]) is None
    assert damage(jpeg[:2] + thumbnail + jpeg[2:-2])
