"""Results of infer.py: names that cannot meet, nothing replaced unasked, nothing half."""
import os
import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from limited import tree, with_small_files
from PIL import Image
from seeing import make_video, random_model, video_frames

from mmseg_vittm.commands.segmenting.media import IMAGES, VIDEOS
from mmseg_vittm.commands.segmenting.results import Results
from mmseg_vittm.commands.segmenting.segment_files import plan_files, segment_files
from mmseg_vittm.errors import InputError, OutputError


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return random_model(tmp_path_factory.mktemp('model'))


def draw(path: Path, size: tuple[int, int] = (48, 40), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {'.jpg': 'JPEG', '.webp': 'WEBP'}.get(path.suffix, 'PNG')
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)).save(path, kind)
    return path


STEMS = st.text(st.characters(exclude_characters='/\0', codec='utf-8'), max_size=12) | st.sampled_from(
    ['a', 'a.jpg', 'a.png', 'a.mp4', 'labels', 'overlays', '000000', '.', '..a'])
NAMES = st.builds(str.__add__, STEMS, st.sampled_from(sorted(IMAGES | VIDEOS)))


@given(st.sets(NAMES, min_size=2, max_size=6))
def test_no_two_names_meet(names):
    """Nor is one in another's place: a file where another's folder would be."""
    results = Results('/somewhere')
    files = [Path('/photos', name) for name in names]
    places = [place for file in files for place in (results.overlay_of(file), results.labels_of(file))]
    assert len(set(places)) == 2 * len(names)
    assert not {parent for place in places for parent in place.parents} & set(places)
    assert all(place.parent in (Path('/somewhere/overlays'), Path('/somewhere/labels')) for place in places)


def test_names_of_one_stem(model, tmp_path):
    files = [draw(tmp_path / 'photos' / name, seed=seed) for seed, name in enumerate(
        ['a.jpg', 'a.png', 'a.jpg.png', 'a.png.png', 'labels.png', 'a.mp4.png', 'A.png'])]
    make_video(tmp_path / 'photos' / 'a.mp4')
    for overwrite in (False, True):
        segment_files(model, str(tmp_path / 'photos'), str(tmp_path / 'out'), overwrite=overwrite)
        for file in files:
            assert np.array_equal(np.asarray(Image.open(tmp_path / 'out' / 'overlays' / f'{file.name}.png'))[:48, :40],
                                  np.asarray(Image.open(_alone(model, file, tmp_path / f'{overwrite} {file.name}'))
                                             )[:48, :40])
        assert len(list((tmp_path / 'out' / 'labels').iterdir())) == 8
        assert len(list((tmp_path / 'out' / 'labels' / 'a.mp4').iterdir())) == 5


def _alone(model, file: Path, out: Path) -> Path:
    segment_files(model, str(file), str(out))
    return out / 'overlays' / f'{file.name}.png'


def test_an_input_is_never_written_over(model, tmp_path):
    photo = draw(tmp_path / 'photo.png')
    segment_files(model, str(photo), str(tmp_path / 'seg'))
    seg, linked, hard = tmp_path / 'seg', tmp_path / 'linked', tmp_path / 'hard'
    shutil.copy(photo, seg / 'labels' / 'photo.png')
    linked.mkdir(), hard.mkdir()
    (linked / 'photo.png').symlink_to(seg / 'overlays' / 'photo.png.png')
    os.link(seg / 'overlays' / 'photo.png.png', hard / 'photo.png')
    (tmp_path / 'other').symlink_to(seg)
    through = tmp_path / 'through' / 'overlays'
    through.mkdir(parents=True)
    (through / 'photo.png.png').symlink_to(photo)
    before = tree(tmp_path)
    for path, out in ((seg / 'overlays', seg), (seg / 'labels', seg), (seg / 'overlays' / 'photo.png.png', seg),
                      (tmp_path / 'other' / 'overlays', seg), (seg / 'overlays', tmp_path / 'other'), (linked, seg),
                      (seg / 'overlays' / '..' / 'labels', seg), (hard, seg), (photo, tmp_path / 'through')):
        with pytest.raises(InputError, match='choose another place|give another out=DIR'):
            plan_files(str(path), str(out), overwrite=True)
    assert tree(tmp_path) == before
    plan_files(str(seg / 'overlays'), str(tmp_path / 'second'), overwrite=True)


def test_a_video_among_its_own_results(tmp_path):
    clip = make_video(tmp_path / 'clip.mp4')
    (tmp_path / 'out' / 'overlays').mkdir(parents=True)
    (tmp_path / 'out' / 'overlays' / 'clip.mp4.mp4').symlink_to(clip)
    with pytest.raises(InputError, match='clip.mp4: is an input'):
        plan_files(str(clip), str(tmp_path / 'out'), overwrite=True)
    photo = draw(tmp_path / 'photo.png')
    frames = tmp_path / 'new' / 'labels' / 'clip.mp4'
    frames.mkdir(parents=True)
    (frames / '000003.png').symlink_to(photo)
    (tmp_path / 'mixed').mkdir()
    shutil.copy(clip, tmp_path / 'mixed')
    (tmp_path / 'mixed' / 'photo.png').symlink_to(photo)
    with pytest.raises(InputError, match='photo.png: is an input'):
        plan_files(str(tmp_path / 'mixed'), str(tmp_path / 'new'), overwrite=True)


def test_only_regular_files(model, tmp_path, log_lines):
    folder = tmp_path / 'photos'
    draw(folder / 'good.png')
    os.mkfifo(folder / 'pipe.png')
    os.mkfifo(folder / 'pipe.mp4')
    (folder / 'endless.jpg').symlink_to('/dev/zero')
    (folder / 'dead.png').symlink_to('nowhere')
    (folder / 'circle.png').symlink_to('circle.png')
    (folder / 'folder.jpg').mkdir()
    (folder / 'linked.png').symlink_to(folder / 'good.png')
    here = os.getcwd()
    os.chdir(folder)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind('socket.png')
    os.chdir(here)
    bad = ['circle.png', 'dead.png', 'endless.jpg', 'folder.jpg', 'pipe.mp4', 'pipe.png', 'socket.png']
    with pytest.raises(InputError) as caught:
        segment_files(model, str(folder), str(tmp_path / 'out'))
    assert all(str(folder / name) in str(caught.value) for name in bad) and not (tmp_path / 'out').exists()
    with pytest.raises(InputError, match='7 of 9 inputs failed'):
        segment_files(model, str(folder), str(tmp_path / 'out'), keep_going=True)
    assert sorted(path.name for path in (tmp_path / 'out' / 'labels').iterdir()) == ['good.png.png', 'linked.png.png']
    said = ' '.join(log_lines.of('ERROR'))
    assert all(word in said for word in ('a pipe', 'a device', 'a socket', 'a folder', 'a link to nowhere'))
    for name in bad:
        with pytest.raises(InputError, match=re.escape(str(folder / name))):
            plan_files(str(folder / name), str(tmp_path / 'new'))


def test_what_cannot_be_written_is_known_before(tmp_path):
    photo = draw(tmp_path / 'photo.png')
    long = draw(tmp_path / 'long' / f'{"n" * 251}.png')
    (tmp_path / 'file').touch()
    (tmp_path / 'taken' / 'labels').mkdir(parents=True)
    (tmp_path / 'taken' / 'overlays').touch()
    (tmp_path / 'folder' / 'labels' / 'photo.png.png').mkdir(parents=True)
    os.mkfifo(tmp_path / 'pipe')
    before = tree(tmp_path)
    for path, out, name in ((photo, tmp_path / 'file', 'file'), (photo, tmp_path / 'file' / 'out', 'file'),
                            (photo, tmp_path / 'taken', 'overlays'), (photo, tmp_path / 'folder', 'photo.png.png'),
                            (long, tmp_path / 'out', 'nnn'), (photo, tmp_path / ('o' * 300), 'ooo'),
                            (photo, tmp_path / 'pipe', 'pipe'), (photo, '/dev/null', '/dev/null'),
                            (photo, f'{tmp_path}/nul\0', 'nul')):
        with pytest.raises(OutputError, match=name) as caught:
            plan_files(str(path), str(out), overwrite=True)
        assert '\n' not in str(caught.value)
    for path in ('', str(tmp_path / 'none.png'), 'x' * 300 + '.png', f'{tmp_path}/nul\0.png'):
        with pytest.raises(InputError):
            plan_files(path, str(tmp_path / 'out'))
    with pytest.raises(InputError, match='empty'):
        plan_files(str(photo), '')
    assert tree(tmp_path) == before


def test_too_long_a_name_among_others(model, tmp_path):
    draw(tmp_path / 'photos' / 'a.png')
    draw(tmp_path / 'photos' / f'{"n" * 251}.png')
    with pytest.raises(OutputError, match='File name too long'):
        segment_files(model, str(tmp_path / 'photos'), str(tmp_path / 'out'))
    with pytest.raises(InputError, match='1 of 2 inputs failed'):
        segment_files(model, str(tmp_path / 'photos'), str(tmp_path / 'out'), keep_going=True)
    assert [path.name for path in (tmp_path / 'out' / 'labels').iterdir()] == ['a.png.png']


def test_a_full_disk_leaves_nothing_half(model, tmp_path):
    draw(tmp_path / 'photo.png', (120, 120))
    make_video(tmp_path / 'clip.mp4', 8, noise=True)
    before = tree(tmp_path)
    for name, most in (('photo.png', 100), ('photo.png', 3000), ('clip.mp4', 100), ('clip.mp4', 6000)):
        error = with_small_files(most, segment_files, model, str(tmp_path / name), str(tmp_path / 'out'))
        assert isinstance(error, OutputError) and str(tmp_path / 'out') in str(error), (name, most, error)
        assert 'make room' in str(error) and '.part' not in str(error), (name, most, error)
        assert tree(tmp_path) == before, (name, most)
    for name in ('photo.png', 'clip.mp4'):
        segment_files(model, str(tmp_path / name), str(tmp_path / 'out'))
    before = tree(tmp_path)
    for name in ('photo.png', 'clip.mp4'):
        error = with_small_files(3000, segment_files, model, str(tmp_path / name), str(tmp_path / 'out'), 0.9, True)
        assert isinstance(error, OutputError) and tree(tmp_path) == before, name


def test_frames_that_cannot_be_replaced(tmp_path):
    clip = make_video(tmp_path / 'clip.mp4')
    (tmp_path / 'out' / 'labels' / 'clip.mp4' / '000001.png').mkdir(parents=True)
    before = tree(tmp_path)
    with pytest.raises(OutputError, match='000001.png: .* it is a folder'):
        plan_files(str(clip), str(tmp_path / 'out'), overwrite=True)
    assert tree(tmp_path) == before


def test_a_shorter_video_leaves_no_frames_of_the_longer(model, tmp_path):
    make_video(tmp_path / 'clip.mp4', 7)
    segment_files(model, str(tmp_path / 'clip.mp4'), str(tmp_path / 'out'))
    frames = tmp_path / 'out' / 'labels' / 'clip.mp4'
    (frames / 'notes.txt').write_text('mine')
    (frames / '12.png').write_text('mine too')
    make_video(tmp_path / 'clip.mp4', 3)
    with pytest.raises(InputError, match='there already'):
        segment_files(model, str(tmp_path / 'clip.mp4'), str(tmp_path / 'out'))
    shutil.rmtree(tmp_path / 'out' / 'overlays')
    with pytest.raises(InputError, match='000000.png: there already'):
        segment_files(model, str(tmp_path / 'clip.mp4'), str(tmp_path / 'out'))
    segment_files(model, str(tmp_path / 'clip.mp4'), str(tmp_path / 'out'), overwrite=True)
    assert sorted(path.name for path in frames.iterdir()) == [
        '000000.png', '000001.png', '000002.png', '12.png', 'notes.txt']
    assert len(video_frames(tmp_path / 'out' / 'overlays' / 'clip.mp4.mp4')) == 3
    assert [path.name for path in (tmp_path / 'out' / 'labels').iterdir()] == ['clip.mp4']
    before = tree(tmp_path / 'out')
    (tmp_path / 'clip.mp4').write_bytes(b'broken')
    with pytest.raises(InputError, match='clip.mp4'):
        segment_files(model, str(tmp_path / 'clip.mp4'), str(tmp_path / 'out'), overwrite=True)
    assert tree(tmp_path / 'out') == before


def test_names_that_the_disk_takes_for_one(model, tmp_path):
    """As disks do that know no capitals, or one form of accents; here by a link."""
    for name in ('a.png', 'A.png'):
        draw(tmp_path / 'photos' / name)
    (tmp_path / 'out' / 'overlays').mkdir(parents=True)
    (tmp_path / 'out' / 'overlays' / 'a.png.png').symlink_to('A.png.png')
    for overwrite in (True, False):
        with pytest.raises((OutputError, InputError), match='a.png.png'):
            segment_files(model, str(tmp_path / 'photos'), str(tmp_path / 'out'), overwrite=overwrite)


def test_labels_that_find_no_room_leave_no_overlay(model, tmp_path, monkeypatch):
    photo, save = draw(tmp_path / 'photo.png'), Image.Image.save

    def no_room_for_labels(image, path):
        if image.mode == 'L':
            raise OSError(28, 'No space left on device')
        save(image, path)
    monkeypatch.setattr(Image.Image, 'save', no_room_for_labels)
    with pytest.raises(OutputError, match='labels/photo.png.png: cannot be written .No space left'):
        segment_files(model, str(photo), str(tmp_path / 'out'))
    assert not (tmp_path / 'out').exists()
