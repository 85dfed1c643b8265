"""Files and folders to write: checked before anything long starts, there whole or not at all, and nothing lost."""
import os
import stat
import threading

import pytest

from mmseg_vittm.errors import InputError, OutputError
from mmseg_vittm.outputs import claim_file, claim_folder, whole_file, write_whole


def snapshot(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob('*')}


@pytest.mark.parametrize('name,reason', [
    ('file/a.json', 'Not a directory'), ('file/deep/er/a.json', 'Not a directory'), ('folder', 'Is a directory'),
    ('x' * 256 + '.json', 'File name too long'), (f'{"x" * 256}/a.json', 'File name too long'),
    ('pipe', 'a device or a pipe'), ('a\0b', 'Invalid argument')])
def test_what_cannot_be_written_is_one_line_and_stays(tmp_path, name, reason):
    (tmp_path / 'file').write_text('x')
    (tmp_path / 'folder').mkdir()
    os.mkfifo(tmp_path / 'pipe')
    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match=f'cannot be written .*{reason}.*; .*choose') as caught:
        claim_file(tmp_path / name, overwrite=True)
    assert '\n' not in str(caught.value) and snapshot(tmp_path) == before


@pytest.mark.parametrize('name', ['file', 'file/deep', 'x' * 256])
def test_folders_that_cannot_be(tmp_path, name):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(OutputError, match='cannot be written'):
        claim_folder(tmp_path / name)


def test_claiming_makes_nothing_and_needs_overwrite(tmp_path):
    claim_file(tmp_path / 'new' / 'a.json', False)
    claim_folder(tmp_path / 'new' / 'deep', ['a'], False)
    assert not list(tmp_path.iterdir())
    write_whole(tmp_path / 'a.json', 'x')
    (tmp_path / 'link').symlink_to('nowhere')
    for name in ('a.json', 'link'):
        with pytest.raises(InputError, match=f'{name}: there already.*overwrite=True'):
            claim_file(tmp_path / name, False)
    with pytest.raises(InputError, match='a.json: there already'):
        claim_folder(tmp_path, ['b', 'a.json'], False)


def test_a_place_that_may_not_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'access', lambda *_: False)  # root may write anywhere but on read-only disks
    for claim in (lambda: claim_file(tmp_path / 'a', True), lambda: claim_folder(tmp_path / 'new')):
        with pytest.raises(OutputError, match='Permission denied.*may write to'):
            claim()


def test_a_failed_block_leaves_the_earlier_file(tmp_path):
    path = tmp_path / 'a.txt'
    write_whole(path, 'earlier')
    with pytest.raises(OutputError, match='No space left on device'):
        with whole_file(path) as partial:
            partial.write_text('half')
            raise OSError(28, 'No space left on device')
    with pytest.raises(ZeroDivisionError):
        with whole_file(path) as partial:
            partial.write_text(str(1 / 0))
    assert path.read_text() == 'earlier' and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named():
    with pytest.raises(OutputError, match='/dev/full'):
        write_whole('/dev/full', 'x')
    assert stat.S_ISCHR(os.stat('/dev/full').st_mode)


def test_two_writers_never_mix(tmp_path):
    path = tmp_path / 'a.bin'
    writers = [threading.Thread(target=write_whole, args=(path, bytes([i]) * 300_000)) for i in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    content = path.read_bytes()
    assert content == content[:1] * 300_000 and list(tmp_path.iterdir()) == [path]


def test_a_link_is_written_through_and_modes_are_usual(tmp_path):
    (tmp_path / 'real').mkdir()
    (tmp_path / 'link.txt').symlink_to(tmp_path / 'real' / 'a.txt')
    write_whole(tmp_path / 'link.txt', 'ü')
    assert (tmp_path / 'link.txt').is_symlink() and (tmp_path / 'real' / 'a.txt').read_bytes() == b'\xc3\xbc'
    (tmp_path / 'plain').touch()
    assert os.stat(tmp_path / 'real' / 'a.txt').st_mode == os.stat(tmp_path / 'plain').st_mode
