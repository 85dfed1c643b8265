"""Videos: what is read of them, what is written, and that it can be read back."""
import math
import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import time
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from limited import tree
from PIL import Image
from seeing import make_video, random_model, video_frames
from tool_runs import environment, in_the_foreground, tool_command, write_config

from mmseg_vittm.commands.interrupts import clean_end
from mmseg_vittm.commands.segmenting import videos
from mmseg_vittm.commands.segmenting.segment_files import segment_files
from mmseg_vittm.commands.segmenting.videos import VideoReader, VideoWriter
from mmseg_vittm.errors import InputError
from mmseg_vittm.inference.predictor import Predictor


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return random_model(tmp_path_factory.mktemp('model'))


def read(path: Path) -> tuple[list[np.ndarray], list[Fraction]]:
    """A video's frames, and when each is shown, in seconds."""
    with VideoReader(path) as reader:
        frames = list(reader.frames())
        return frames, [reader.time_of(number) * reader.base for number in range(len(frames))]


def turned(path: Path, degrees: int) -> Path:
    """A copy of an MP4 whose header says that players turn it clockwise."""
    content = bytearray(path.read_bytes())
    sine, cosine = round(math.sin(math.radians(degrees))), round(math.cos(math.radians(degrees)))
    at = content.index(b'tkhd') + 44  # of the track's matrix
    content[at:at + 36] = struct.pack('>9i', *(n << 16 for n in (cosine, sine, 0, -sine, cosine, 0, 0, 0)), 1 << 30)
    path = path.with_name(f'turned_{degrees}.mp4')
    path.write_bytes(content)
    return path


@pytest.mark.parametrize('degrees', [0, 90, 180, 270])
def test_frames_are_turned_as_the_video_says(tmp_path, degrees):
    """As OpenCV does, which read videos before."""
    path = turned(make_video(tmp_path / 'a.mp4'), degrees)
    got, expected = read(path)[0], video_frames(path)
    assert len(got) == len(expected) == 5 and got[0].shape == ((96, 64, 3) if degrees % 180 else (64, 96, 3))
    for one, other in zip(got, expected, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 8
    red = [got[4][y, x].tolist() == pytest.approx([0, 0, 255], abs=20)
           for y, x in ((5, 5), (5, -5), (-5, -5), (-5, 5))]
    assert red.index(True) == degrees // 90


@pytest.mark.parametrize('size', [(64, 96), (1, 1), (49, 65), (5, 90), (90, 5), (2, 2), (33, 64)])
def test_any_size_can_be_written_and_read(model, tmp_path, size):
    clip = make_video(tmp_path / 'clip.mkv', 4, size)
    segment_files(model, str(clip), str(tmp_path / 'out'))
    overlay = tmp_path / 'out' / 'overlays' / 'clip.mkv.mp4'
    assert [frame.shape for frame in video_frames(overlay)] == [(*size, 3)] * 4
    assert [frame.shape for frame in read(overlay)[0]] == [(*size, 3)] * 4
    assert [np.asarray(Image.open(path)).shape for path in (tmp_path / 'out' / 'labels' / 'clip.mkv').iterdir()
            ] == [size] * 4


@pytest.mark.parametrize('rate,times', [
    (30, None), (Fraction(30000, 1001), None), (Fraction(24000, 1001), None), (1000, None), (Fraction(1, 3), None),
    (100, [0, 1, 5, 6, 100, 101, 300, 1000, 1001, 360000]), (90_000, [0, 3000, 6007, 9000, 90000])])
@pytest.mark.parametrize('codec', ['libx264', 'mpeg4'])
def test_frames_keep_their_times(tmp_path, monkeypatch, rate, times, codec):
    monkeypatch.setattr(videos, 'CODECS', [one for one in videos.CODECS if one[0] == codec])
    count = len(times or range(10))
    clip = make_video(tmp_path / 'clip.mp4', count, rate=rate, times=times)
    with VideoReader(clip) as reader, VideoWriter(tmp_path / 'new.mp4', reader.rate, reader.base) as writer:
        for number, frame in enumerate(reader.frames()):
            writer.write(frame[..., ::-1], reader.time_of(number))
    (frames, expected), (copies, got) = read(clip), read(tmp_path / 'new.mp4')
    assert len(frames) == len(copies) == len(video_frames(tmp_path / 'new.mp4')) == count
    assert got == pytest.approx(expected, abs=0 if codec == 'libx264' else 2e-4)
    for one, other in zip(frames, copies, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 4


def test_pictures_of_an_overlay_are_its_frames(model, tmp_path):
    clip = make_video(tmp_path / 'clip.mp4', 6)
    segment_files(model, str(clip), str(tmp_path / 'out'))
    results = Predictor(model)(read(clip)[0])
    overlays = read(tmp_path / 'out' / 'overlays' / 'clip.mp4.mp4')[0]
    labels = sorted((tmp_path / 'out' / 'labels' / 'clip.mp4').iterdir())
    assert [path.name for path in labels] == [f'{n:06d}.png' for n in range(6)]
    for overlay, path, result in zip(overlays, labels, results, strict=True):
        assert np.array_equal(np.asarray(Image.open(path)), result.labels)
        assert np.abs(overlay[..., ::-1].astype(int) - result.overlay()).mean() < 12  # colours of half the size


def test_what_a_truncated_video_still_gives(model, tmp_path, log_lines):
    clip = make_video(tmp_path / 'clip.mkv', 40, noise=True)
    content = clip.read_bytes()
    clip.write_bytes(content[:len(content) * 6 // 10])
    segment_files(model, str(clip), str(tmp_path / 'out'))
    warning, = log_lines.of('WARNING')
    assert 'where its header has 40; it may be truncated' in warning
    frames = len(video_frames(tmp_path / 'out' / 'overlays' / 'clip.mkv.mp4'))
    assert 5 < frames < 40 and f'{frames} frames could be read' in warning
    damaged = bytearray(content)
    for at in range(len(content) // 4, len(content) // 2, 50):
        damaged[at] ^= 255
    clip.write_bytes(damaged)
    segment_files(model, str(clip), str(tmp_path / 'out'), overwrite=True)


def test_no_videos(tmp_path):
    for name, content in dict(text=b'no video', empty=b'', zeros=bytes(10**5), playlist=b'#EXTM3U\n#EXTINF:1,\na.ts\n',
                              script=b'ffconcat version 1.0\nfile a.mp4\n', picture=b'\x89PNG\r\n\x1a\n').items():
        (tmp_path / f'{name}.mp4').write_bytes(content)
        with pytest.raises(InputError, match=f'{name}.mp4: no frame could be read from this video') as caught:
            read(tmp_path / f'{name}.mp4')
        assert '\n' not in str(caught.value)
    with open(tmp_path / 'sparse.mp4', 'wb') as file:
        file.truncate(10**12)
    with pytest.raises(InputError, match='sparse.mp4'):
        read(tmp_path / 'sparse.mp4')
    with av.open(str(tmp_path / 'sound.mp4'), 'w') as container:
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format='fltp', layout='mono')
        sound.sample_rate = 44100
        stream = container.add_stream('aac', rate=44100, layout='mono')
        container.mux([*stream.encode(sound), *stream.encode(None)])
    with pytest.raises(InputError, match='sound.mp4.*no pictures'):
        read(tmp_path / 'sound.mp4')
    make_video(tmp_path / 'clip.mp4').rename(tmp_path / 'clip_%03d?a=b:c.mp4')
    assert len(read(tmp_path / 'clip_%03d?a=b:c.mp4')[0]) == 5


def test_every_frame_is_read_back(tmp_path):
    with pytest.raises(OSError, match='of its 5 frames 4 can be read back'):
        with VideoWriter(tmp_path / 'a.mp4', Fraction(10), Fraction(1, 10)) as writer:
            for time_of_frame in range(4):
                writer.write(np.zeros((8, 8, 3), np.uint8), time_of_frame)
            writer._number += 1


def test_without_pyav_images_are_segmented(model, tmp_path, monkeypatch):
    monkeypatch.setattr(videos, 'av', None)
    make_video(tmp_path / 'clip.mp4')
    Image.new('RGB', (30, 20)).save(tmp_path / 'a.png')
    with pytest.raises(InputError, match='pip install'):
        segment_files(model, str(tmp_path / 'clip.mp4'), str(tmp_path / 'out'))
    segment_files(model, str(tmp_path / 'a.png'), str(tmp_path / 'out'))


def long_video(model, folder: Path) -> tuple[Path, dict]:
    """A long video in place of a short one that was segmented into `out`; and what is there."""
    segment_files(model, str(make_video(folder / 'clip.mp4', 3)), str(folder / 'out'))
    return make_video(folder / 'clip.mp4', 3000, (32, 32), rate=30), tree(folder / 'out')


def stop_in_the_middle(process: int, out: Path, number: int) -> None:
    """Sends a signal once some frames were written."""
    end = time.monotonic() + 120
    while time.monotonic() < end and not list((out / 'labels').glob('.*.part*/00001*.png')):
        time.sleep(0.02)
    os.kill(process, number)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stopped_in_the_middle(model, tmp_path, number):
    """Of the results from before nothing is lost; of the new ones nothing is left half."""
    clip, before = long_video(model, tmp_path)

    def segment():
        in_the_foreground()
        with open(tmp_path / 'said', 'w') as file:
            os.dup2(file.fileno(), 1)
            sys.stderr = file
            with clean_end():
                segment_files(model, str(clip), str(tmp_path / 'out'), overwrite=True)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # of forks beside threads, which only sleep
        process = multiprocessing.get_context('fork').Process(target=segment)
        process.start()
    stop_in_the_middle(process.pid, tmp_path / 'out', number)
    process.join(60)
    assert process.exitcode == 128 + number and f'stopped by {number.name}' in (tmp_path / 'said').read_text()
    assert tree(tmp_path / 'out') == before


@pytest.mark.slow
def test_the_command_line_stopped_in_the_middle(model, tmp_path):
    clip, before = long_video(model, tmp_path)
    config = write_config(tmp_path)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=model.dataset_meta)), tmp_path / 'model.pth')
    command = tool_command('infer.py', config, tmp_path / 'model.pth', clip, '-o', tmp_path / 'out', '--overwrite',
                           '--device', 'cpu')
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
                          ) as process:
        stop_in_the_middle(process.pid, tmp_path / 'out', signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGTERM and 'Traceback' not in said
    assert 'stopped by SIGTERM' in said and tree(tmp_path / 'out') == before
