"""Segments and where they go: which frames are in which, whole before the next, nothing replaced unasked."""
import json
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from limited import tree, with_small_files
from PIL import Image
from seeing import make_video, video_frames

from mmseg_vittm.commands.streaming.results import StreamResults
from mmseg_vittm.commands.streaming.segments import Segments
from mmseg_vittm.errors import InputError, OutputError
from mmseg_vittm.inference.prediction import Prediction

BASE = Fraction(1, 10)


def prediction(number: int, size: tuple[int, int] = (16, 18)) -> Prediction:
    picture = np.full((*size, 3), 10 * number % 256, np.uint8)
    return Prediction('x', picture, np.full(size, number, np.uint8), ('a', 'b'), ((0, 0, 0),) * 256)


def segments_of(out: Path, name: str = 'cam', seconds: float = 0, overwrite: bool = False, **which) -> Segments:
    return Segments(StreamResults(str(out), name, overwrite=overwrite, **which), Fraction(10), BASE, seconds, 0)


def write(segments: Segments, times: list[int], finish: bool = True) -> None:
    for number, time in enumerate(times):
        segments.write(prediction(number), time)
    if finish:
        segments.finish()


def labels_in(folder: Path) -> list[int]:
    """The numbers of the predictions in a folder of labels, whose names are in order from 0 on."""
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f'{number:06d}.png' for number in range(len(files))]
    return [int(np.asarray(Image.open(file))[0, 0]) for file in files]


def shown_in(video: Path) -> tuple[list[int], list[float]]:
    """The numbers of the predictions in an overlay, and when they are shown."""
    with av.open(str(video)) as container:
        frames = list(container.decode(video=0))
    return [round(frame.to_ndarray(format='rgb24').mean() / 10) for frame in frames], [frame.time for frame in frames]


@pytest.mark.parametrize('seconds', [0, 1, 0.95, 2.5, 100])
def test_frames_are_in_their_segments(tmp_path, seconds):
    """By a loop over the times; those of dropped frames are missing."""
    times = [0, 1, 2, 5, 9, 10, 11, 19, 20, 21, 35, 36, 80]
    expected, begin = [], None
    for number, time in enumerate(times):
        if begin is None or seconds and time / 10 - begin / 10 >= seconds - 1e-9:
            expected.append([])
            begin = time
        expected[-1].append((number, time - begin))
    segments = segments_of(tmp_path, seconds=seconds)
    write(segments, times)
    names = [f'cam.{number:04d}' for number in range(len(expected))] if seconds else ['cam']
    assert sorted(path.name for path in (tmp_path / 'labels').iterdir()) == names
    assert sorted(path.name for path in (tmp_path / 'overlays').iterdir()) == [f'{name}.mp4' for name in names]
    assert segments.count == segments.closed == len(expected)
    for name, inside in zip(names, expected, strict=True):
        assert labels_in(tmp_path / 'labels' / name) == [number for number, _ in inside]
        numbers, shown = shown_in(tmp_path / 'overlays' / f'{name}.mp4')
        assert numbers == [number for number, _ in inside]
        assert shown == pytest.approx([time / 10 for _, time in inside], abs=1e-3)


def test_a_crash_loses_the_last_segment_alone(tmp_path):
    """What is there while the third segment is written: two are whole, and what is half has a temporary name."""
    segments = segments_of(tmp_path, seconds=1)
    write(segments, list(range(25)), finish=False)
    segments._settle()
    assert segments.closed == 2
    copy = tmp_path / 'crashed'
    shutil.copytree(tmp_path / 'overlays', copy / 'overlays')
    shutil.copytree(tmp_path / 'labels', copy / 'labels')
    segments.discard()
    for number in range(2):
        assert labels_in(copy / 'labels' / f'cam.{number:04d}') == list(range(10 * number, 10 * number + 10))
        assert shown_in(copy / 'overlays' / f'cam.{number:04d}.mp4')[0] == list(range(10 * number, 10 * number + 10))
    rest = [path.name for path in (*(copy / 'overlays').iterdir(), *(copy / 'labels').iterdir())
            if not path.name.startswith('cam.')]
    assert len(rest) == 2 and all(name.startswith('.cam.') and '.part' in name for name in rest)
    assert sorted(path.name for path in (tmp_path / 'overlays').iterdir()) == ['cam.0000.mp4', 'cam.0001.mp4']


def test_discarded_at_once_nothing_is_left(tmp_path):
    segments = segments_of(tmp_path / 'out')
    write(segments, [0, 1, 2], finish=False)
    segments.discard()
    assert not (tmp_path / 'out').exists()
    segments_of(tmp_path / 'out').finish()
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('which', ['overlay', 'labels'])
def test_one_of_both(tmp_path, which):
    segments = segments_of(tmp_path, **{which: False})
    write(segments, [0, 1, 2])
    assert (tmp_path / 'overlays').exists() == (which != 'overlay')
    assert (tmp_path / 'labels').exists() == (which != 'labels')
    with pytest.raises(InputError, match='not both'):
        StreamResults(str(tmp_path), 'cam', overlay=False, labels=False)


def test_nothing_is_replaced_unasked(tmp_path):
    others = [tmp_path / 'labels' / 'cam.0000' / 'notes.txt', tmp_path / 'labels' / 'cam2' / '000000.png',
              tmp_path / 'overlays' / 'cam.00.mp4', tmp_path / 'overlays' / 'cam.0001.mp4.mp4']
    for file in others:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('mine')
    StreamResults(str(tmp_path), 'cam').check(None)
    write(segments_of(tmp_path, seconds=1), list(range(45)))
    before = tree(tmp_path)
    for one in ('overlays/cam.0000.mp4', 'labels/cam.0003/000000.png'):
        for file in tmp_path.rglob('cam.*'):
            if file.is_file() and str(file.relative_to(tmp_path)) != one and file not in others:
                file.unlink()
        with pytest.raises(InputError, match='cam.*: there already; .* overwrite=True'):
            StreamResults(str(tmp_path), 'cam').check(None)
        for name, content in before.items():
            if isinstance(content, bytes):
                (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match='there already'):  # written by another process meanwhile
        write(segments_of(tmp_path, seconds=1), [0])
    assert tree(tmp_path) == before
    results = StreamResults(str(tmp_path), 'cam', overwrite=True)
    results.check(None)
    write(Segments(results, Fraction(10), BASE, 1, 0), list(range(15)))
    assert labels_in(tmp_path / 'labels' / 'cam.0001') == [10, 11, 12, 13, 14]
    assert sorted(path.name for path in (tmp_path / 'labels').iterdir()) == ['cam.0000', 'cam.0001', 'cam2']
    assert sorted(path.name for path in (tmp_path / 'overlays').iterdir()) == [
        'cam.00.mp4', 'cam.0000.mp4', 'cam.0001.mp4', 'cam.0001.mp4.mp4']
    assert all(file.read_text() == 'mine' for file in others)
    (tmp_path / 'cam.json').write_text(json.dumps(1))
    shutil.rmtree(tmp_path / 'overlays'), shutil.rmtree(tmp_path / 'labels')
    with pytest.raises(InputError, match='cam.json: there already'):
        StreamResults(str(tmp_path), 'cam').check(None)


def test_an_input_is_never_written_over(tmp_path):
    (tmp_path / 'out' / 'overlays').mkdir(parents=True)
    clip = make_video(tmp_path / 'out' / 'overlays' / 'clip.mp4')
    (tmp_path / 'linked').mkdir()
    (tmp_path / 'linked' / 'clip.mp4.json').symlink_to(clip)
    (tmp_path / 'far' / 'labels' / 'clip.mp4.0002').mkdir(parents=True)
    (tmp_path / 'far' / 'labels' / 'clip.mp4.0002' / '000001.png').symlink_to(clip)
    before = tree(tmp_path)
    for out in ('out', 'linked', 'far'):
        with pytest.raises(InputError, match='choose another place|give another out=DIR'):
            StreamResults(str(tmp_path / out), 'clip.mp4', overwrite=True).check(clip)
    checkpoint = tmp_path / 'cam.json'
    checkpoint.touch()
    with pytest.raises(InputError, match='cam.json: is an input'):
        StreamResults(str(tmp_path), 'cam', overwrite=True).check(None, [checkpoint])
    assert {name: content for name, content in tree(tmp_path).items() if name != 'cam.json'} == before


def test_places_are_checked_before(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OutputError, match='file'):
        StreamResults(str(tmp_path / 'file'), 'cam')
    with pytest.raises(OutputError, match='File name too long'):
        StreamResults(str(tmp_path), 'n' * 247)
    with pytest.raises(InputError, match='empty'):
        StreamResults('', 'cam')
    (tmp_path / 'cam.json').mkdir()
    with pytest.raises(OutputError, match='cam.json'):
        StreamResults(str(tmp_path), 'cam')


def test_a_full_disk_loses_the_last_segment_alone(tmp_path):
    """Files may not grow beyond some bytes: the second segment's video is too large."""
    def run():
        rng, segments = np.random.default_rng(0), segments_of(tmp_path / 'out', seconds=1)
        for number in range(20):
            picture = rng.integers(0, 255 if number >= 10 else 2, (64, 64, 3)).astype(np.uint8)
            segments.write(Prediction('x', picture, picture[..., 0], ('a',), ((0, 0, 0),) * 256), number)
        segments.finish()
    error = with_small_files(9000, run)
    assert isinstance(error, OutputError) and 'make room' in str(error) and '.part' not in str(error)
    assert [path.name for path in (tmp_path / 'out' / 'labels').iterdir()] == ['cam.0000']
    assert [path.name for path in (tmp_path / 'out' / 'overlays').iterdir()] == ['cam.0000.mp4']
    assert len(video_frames(tmp_path / 'out' / 'overlays' / 'cam.0000.mp4')) == 10
