"""Streams segmented by a model, from what is read to what is written, said and left."""
import json
import multiprocessing
import os
import re
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from limited import tree
from live_streams import Served, transport_stream
from PIL import Image
from seeing import make_video, random_model, video_frames
from tiny_streams import MEMORY, ready, segmentor
from tool_runs import in_the_foreground

from mmseg_vittm.commands.segmenting.segment_files import segment_files
from mmseg_vittm.commands.segmenting.videos import VideoReader
from mmseg_vittm.commands.streaming.streaming import StreamOptions, plan_stream, stream_planned
from mmseg_vittm.errors import InputError, OutputError
from mmseg_vittm.inference.predictor import Predictor


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return random_model(tmp_path_factory.mktemp('model'))


def stream(model, text: object, out: Path, **options) -> dict:
    """Segments a stream; returns its report."""
    plan = plan_stream(str(text), str(out), StreamOptions(**options))
    stream_planned(model, plan)
    return json.loads(plan.results.report.read_text())


def read(path: Path) -> tuple[list[np.ndarray], list]:
    with VideoReader(path) as reader:
        frames = list(reader.frames())
        return frames, [reader.time_of(number) * reader.base for number in range(len(frames))]


def labels_in(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize(('size', 'rate', 'times'), [
    ((48, 64), 25, None), ((49, 33), 100, [0, 1, 5, 6, 100, 101, 300])])
def test_a_file_as_without_streaming(model, tmp_path, size, rate, times):
    """The same files with the same labels, pictures and times."""
    clip = make_video(tmp_path / 'clip.mp4', len(times or range(9)), size, rate, noise=True, times=times)
    segment_files(model, str(clip), str(tmp_path / 'files'))
    report = stream(model, clip, tmp_path / 'stream')
    found = {name: content for name, content in tree(tmp_path / 'stream').items() if name != 'clip.mp4.json'}
    expected = tree(tmp_path / 'files')
    assert found.keys() == expected.keys() and len(found) == len(times or range(9)) + 4
    assert all(found[name] == expected[name] for name in found if not name.endswith('.mp4'))
    overlay = 'overlays/clip.mp4.mp4'
    (one, one_times), (other, other_times) = read(tmp_path / 'stream' / overlay), read(tmp_path / 'files' / overlay)
    assert one_times == other_times and all(map(np.array_equal, one, other))
    count = len(times or range(9))
    assert (report['frames_read'], report['frames_segmented'], report['frames_dropped']) == (count, count, 0)
    assert report['ended'] == 'at its end' and report['source'] == str(clip) and report['segments'] == 1
    assert 0 < report['latency_ms_p50'] <= report['latency_ms_p95'] and report['fps'] > 0
    assert 'torch' in report['machine'] and report['device'] == 'cpu' and report['dtype'] == 'fp32'


def test_a_memory_is_carried_along_and_cuts_are_counted(tmp_path):
    remembering = ready(segmentor(MEMORY, trained=True))
    clip = make_video(tmp_path / 'clip.mp4', 6)
    report = stream(remembering, clip, tmp_path / 'out')
    assert report['scene_cuts'] == 1 and report['frames_segmented'] == 6  # what was the brighter part is the darker one
    found = labels_in(tmp_path / 'out' / 'labels' / 'clip.mp4')
    with VideoReader(clip) as reader:
        frames = list(reader.frames())
    expected = [one.labels for one in Predictor(remembering).stream(frames)]
    assert len(found) == 6 and all(map(np.array_equal, found, expected))
    other = make_video(tmp_path / 'noise.mp4', 4, noise=True)
    assert stream(remembering, other, tmp_path / 'out')['scene_cuts'] == 3


def test_segments_of_a_file(model, tmp_path):
    clip = make_video(tmp_path / 'clip.mp4', 25, (32, 32), rate=10, noise=True)
    report = stream(model, clip, tmp_path / 'out', segment=1)
    expected = [result.labels for result in Predictor(model)(read(clip)[0])]
    found = [labels_in(tmp_path / 'out' / 'labels' / f'clip.mp4.{number:04d}') for number in range(3)]
    assert [len(labels) for labels in found] == [10, 10, 5] and report['segments'] == 3
    assert all(map(np.array_equal, [labels for part in found for labels in part], expected))
    assert [len(video_frames(tmp_path / 'out' / 'overlays' / f'clip.mp4.{number:04d}.mp4')) for number in range(3)] == [
        10, 10, 5]


def test_a_truncated_file(model, tmp_path, log_lines):
    clip = make_video(tmp_path / 'clip.mkv', 40, (32, 32), noise=True)
    content = clip.read_bytes()
    clip.write_bytes(content[:len(content) * 6 // 10])
    report = stream(model, clip, tmp_path / 'out')
    warning, = log_lines.of('WARNING')
    frames = len(video_frames(tmp_path / 'out' / 'overlays' / 'clip.mkv.mp4'))
    assert f'{frames} frames could be read where its header has 40; it may be truncated' in warning
    assert 5 < frames < 40 and report['frames_segmented'] == frames and report['frames_expected'] == 40
    clip.write_bytes(b'no video')
    before = tree(tmp_path)
    with pytest.raises(InputError, match='clip.mkv: no frame could be read from this video'):
        stream(model, clip, tmp_path / 'out', overwrite=True)
    assert tree(tmp_path) == before


def test_a_live_stream(model, tmp_path, log_lines):
    served = Served('rtsp', *[transport_stream(9)] * 2)
    text = served.url('/cam?token=secret', 'me:secret@')
    plan = plan_stream(text, str(tmp_path / 'out'), StreamOptions(reconnect=0.7))
    with pytest.raises(InputError, match=f'{served.url("/cam")}: gone for 0.7 s .Connection refused') as caught:
        stream_planned(model, plan)
    name = f'127.0.0.1_{served.port}_cam'
    report = json.loads((tmp_path / 'out' / f'{name}.json').read_text())
    labels = labels_in(tmp_path / 'out' / 'labels' / f'{name}.0000')  # in segments, as what has no end
    frames = video_frames(tmp_path / 'out' / 'overlays' / f'{name}.0000.mp4')
    assert len(labels) == len(frames) == report['frames_segmented'] >= 16 and report['reconnects'] == 1
    assert report['ended'] == f'failed: {caught.value}' and report['segment_seconds'] == 600
    said = ' '.join(line for _, line in log_lines)
    assert 'is away' in said and 'is back' in said
    everything = ' '.join(map(str, [said, report, *tree(tmp_path)]))
    assert 'secret' not in everything and 'me:' not in everything


def test_what_cannot_be_opened(model, tmp_path):
    served = Served('http')
    served.close()
    with pytest.raises(InputError, match=r'x: cannot be opened \(Connection refused\)') as caught:
        stream(model, served.url('/x', 'me:secret@'), tmp_path / 'out')
    silent = Served('http', None)
    with pytest.raises(InputError, match=r'no answer for 0.2 s'):
        stream(model, silent.url(), tmp_path / 'out', timeout=0.2)
    silent.close()
    assert not (tmp_path / 'out').exists() and 'secret' not in str(caught.value)


def test_live_frames_that_come_too_fast(model, tmp_path, log_lines, monkeypatch):
    """Without `realtime` too: counted, and said once."""
    from mmseg_vittm.commands.streaming import stages
    monkeypatch.setattr(stages, 'LIVE_AHEAD', 3)
    forward = model.backbone.forward
    monkeypatch.setattr(model.backbone, 'forward', lambda images: time.sleep(0.05) or forward(images))
    served = Served('tcp', transport_stream(40, (96, 96)))
    report = stream(model, served.url(), tmp_path / 'out', reconnect=0)
    assert report['frames_read'] == 40 == report['frames_segmented'] + report['frames_dropped']
    said = [line for line in log_lines.of('WARNING') if 'faster than it can be segmented' in line]
    assert report['frames_dropped'] > 0 and len(said) == 1
    line, = [line for line in log_lines.of('INFO') if 'frames read' in line]
    assert f'{report["frames_dropped"]} dropped' in line
    assert re.search(r'FPS; latency p50 [\d.]+ ms, p95 [\d.]+ ms', line)


def test_a_frame_that_cannot_be_segmented(model, tmp_path, monkeypatch, log_lines):
    """What came before is there, whole; what was not read is no fault of the file."""
    clip, own, count = make_video(tmp_path / 'clip.mp4', 9), type(model).test_step, []

    def fail(self, data):
        count.append(1)
        if len(count) == 5:
            raise RuntimeError('no luck')
        return own(self, data)
    monkeypatch.setattr(type(model), 'test_step', fail)
    with pytest.raises(InputError, match='clip.mp4: frame 4: the model fails on frames of 96 x 64 .*no luck'):
        stream(model, clip, tmp_path / 'out')
    assert len(video_frames(tmp_path / 'out' / 'overlays' / 'clip.mp4.mp4')) == 4
    report = json.loads((tmp_path / 'out' / 'clip.mp4.json').read_text())
    assert report['frames_segmented'] == 4 and 'no luck' in report['ended'] and not log_lines.of('WARNING')


def test_bad_options(tmp_path):
    clip = make_video(tmp_path / 'clip.mp4', 2)
    for options, words in ((dict(timeout=0), 'timeout must be from 0.1'), (dict(timeout=float('nan')), 'timeout'),
                           (dict(reconnect=-1), 'reconnect must be from 0'), (dict(segment=0.5), 'segment must be 0'),
                           (dict(segment=float('inf')), 'segment'), (dict(opacity=2), 'opacity must be from 0 to 1'),
                           (dict(labels=False, overlay=False), 'not both'), (dict(camera_mode='6x6'), 'is no camera')):
        with pytest.raises(InputError, match=words):
            plan_stream(str(clip), str(tmp_path / 'out'), StreamOptions(**options))
    with pytest.raises(OutputError):
        plan_stream(str(clip), str(clip), StreamOptions())
    assert not (tmp_path / 'out').exists()


def test_nothing_is_replaced_unasked(model, tmp_path):
    clip = make_video(tmp_path / 'clip.mp4', 7, (32, 32))
    stream(model, clip, tmp_path / 'out', labels=False)
    before = tree(tmp_path)
    with pytest.raises(InputError, match='clip.mp4.mp4.* there already; .*overwrite=True'):
        stream(model, clip, tmp_path / 'out')
    assert tree(tmp_path) == before and not (tmp_path / 'out' / 'labels').exists()
    make_video(clip, 3, (32, 32))
    stream(model, clip, tmp_path / 'out', overwrite=True)
    assert len(video_frames(tmp_path / 'out' / 'overlays' / 'clip.mp4.mp4')) == 3


# --- signals ---

def run_in_a_fork(model, clip: Path, folder: Path, slow_close: bool = False, **options):
    """Streams a file in a process of its own, whose output goes to `said`."""
    def run():
        in_the_foreground()
        with open(folder / 'said', 'w') as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            sys.stdout = sys.stderr = file
            if slow_close:
                from mmseg_vittm.commands.segmenting.videos import VideoWriter
                VideoWriter._read_back = lambda writer: ((folder / 'closing').touch(), time.sleep(30))
            stream(model, clip, folder / 'out', **options)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # of forks beside threads, which only sleep
        process = multiprocessing.get_context('fork').Process(target=run)
        process.start()
    return process


def until_frames(out: Path) -> None:
    """Waits until some frames were written."""
    end = time.monotonic() + 60
    while time.monotonic() < end and not list((out / 'labels').glob('.clip.*.part*/00001*.png')):
        time.sleep(0.02)


@pytest.fixture(scope='module')
def long_clip(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp('long') / 'clip.mp4', 4000, (32, 32), rate=30)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_good_order(model, tmp_path, long_clip, number):
    process = run_in_a_fork(model, long_clip, tmp_path)
    until_frames(tmp_path / 'out')
    os.kill(process.pid, number)
    process.join(60)
    said = (tmp_path / 'said').read_text()
    assert process.exitcode == 128 + number, said
    assert f'stopped by {number.name}: what came before is segmented and written' in said
    frames = len(video_frames(tmp_path / 'out' / 'overlays' / 'clip.mp4.mp4'))
    report = json.loads((tmp_path / 'out' / 'clip.mp4.json').read_text())
    assert 10 <= frames == len(labels_in(tmp_path / 'out' / 'labels' / 'clip.mp4')) == report['frames_segmented'] < 4000
    assert report['ended'] == f'stopped by {number.name}' and not list((tmp_path / 'out').rglob('*.part*'))
    assert 'truncated' not in said


def test_a_second_signal_ends_at_once(model, tmp_path, long_clip):
    """Although the video is still being read back; of what is half nothing is left that looks whole."""
    process = run_in_a_fork(model, long_clip, tmp_path, slow_close=True)
    until_frames(tmp_path / 'out')
    os.kill(process.pid, signal.SIGINT)
    end = time.monotonic() + 60
    while time.monotonic() < end and not (tmp_path / 'closing').exists():
        time.sleep(0.02)
    began = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130 and time.monotonic() - began < 20
    left = [path for path in (tmp_path / 'out').rglob('*') if '.part' not in str(path) and path.is_file()]
    assert not left and 'stopped by SIGINT' in (tmp_path / 'said').read_text()


def test_killed(model, tmp_path, long_clip):
    """One segment is lost; those before are whole, and the report counts them."""
    process = run_in_a_fork(model, long_clip, tmp_path, segment=1)
    end = time.monotonic() + 120
    report = tmp_path / 'out' / 'clip.mp4.json'
    while time.monotonic() < end and not report.exists():
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    found = json.loads(report.read_text())
    assert found['ended'] == 'under way' and found['segments'] >= 1
    whole = sorted((tmp_path / 'out' / 'overlays').glob('clip.mp4.*.mp4'))
    assert len(whole) >= found['segments']
    for number in range(found['segments']):
        assert len(video_frames(tmp_path / 'out' / 'overlays' / f'clip.mp4.{number:04d}.mp4')) == 30
        assert len(labels_in(tmp_path / 'out' / 'labels' / f'clip.mp4.{number:04d}')) == 30
    rest = {path.name for path in (tmp_path / 'out' / 'overlays').iterdir()} - {path.name for path in whole}
    assert all('.part' in name for name in rest)
