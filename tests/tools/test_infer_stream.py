"""tools/infer.py --stream, as users run it."""
import json

import pytest
import torch
from limited import tree
from live_streams import Served
from seeing import make_video, random_model
from tool_inside import error_inside, run_inside
from tool_runs import write_config


@pytest.fixture(scope='module')
def model_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('model')
    model = random_model(folder)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=model.dataset_meta)), folder / 'model.pth')
    return write_config(folder), folder / 'model.pth'


def test_a_video(model_files, tmp_path, monkeypatch, log_lines):
    """The labels that the tool writes without --stream."""
    clip = make_video(tmp_path / 'clip.mp4', 6, (48, 64), noise=True)
    run_inside(monkeypatch, 'infer.py', *model_files, clip, '-o', tmp_path / 'stream', '--device', 'cpu', '--stream')
    assert any('clip.mp4: 6 frames read, 6 segmented; ' in line for line in log_lines.of('INFO'))
    run_inside(monkeypatch, 'infer.py', *model_files, clip, '-o', tmp_path / 'files', '--device', 'cpu')
    one, other = tree(tmp_path / 'stream'), tree(tmp_path / 'files')
    report = json.loads(one.pop('clip.mp4.json'))
    assert one.keys() == other.keys() and report['frames_segmented'] == 6
    assert all(one[name] == other[name] for name in one if name.startswith('labels'))
    assert len([name for name in one if name.startswith('labels/clip.mp4/')]) == 6


def test_options_reach_the_stream(model_files, tmp_path, monkeypatch):
    clip = make_video(tmp_path / 'clip.mp4', 25, (32, 32), rate=100)
    run_inside(monkeypatch, 'infer.py', *model_files, clip, '-o', tmp_path / 'out', '--device', 'cpu', '--stream',
               '--realtime', '--no-labels', '--segment', '7', '--timeout', '3', '--reconnect', '4', '--opacity', '0.2')
    report = json.loads((tmp_path / 'out' / 'clip.mp4.json').read_text())
    assert report['realtime'] is True and report['segment_seconds'] == 7
    assert [path.name for path in (tmp_path / 'out').iterdir() if path.is_dir()] == ['overlays']
    assert [path.name for path in (tmp_path / 'out' / 'overlays').iterdir()] == ['clip.mp4.0000.mp4']


@pytest.mark.parametrize(('words', 'error'), [
    (['--realtime'], '--realtime: only with --stream'),
    (['--segment', '0', '--no-labels'], '--segment, --no-labels: only with --stream'),
    (['--camera-mode', '64x64'], '--camera-mode: only with --stream'),
    (['--stream', '--keep-going'], '--keep-going is for folders'),
    (['--stream', '--no-labels', '--no-overlay'], 'not allowed with'),
    (['--stream', '--segment', 'x'], 'invalid float value'),
    (['--stream', '--segment', 'nan'], 'segment must be 0, for none'),
    (['--stream', '--timeout', '-1'], 'timeout must be from 0.1'),
    (['--stream', '--camera-mode', '64x64'], 'is no camera')])
def test_options_that_do_not_fit(model_files, tmp_path, monkeypatch, capsys, words, error):
    clip = make_video(tmp_path / 'clip.mp4', 2)
    before = tree(tmp_path)
    assert error in error_inside(monkeypatch, capsys, 'infer.py', *model_files, clip, '-o', tmp_path / 'out', *words)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(('text', 'stream', 'error'), [
    ('rtsp://me:secret@host/x', False, 'rtsp://host/x: a camera or an address needs --stream'),
    ('rtsp://me:sec/ret@host/x', False, 'host and port of this address are unclear'),
    ('foo://me:secret@host/x', True, 'foo://...: an unknown kind of address'),
    ('/dev/video91', True, '/dev/video91: no such camera'), ('camera:91', False, '/dev/video91: no such camera'),
    ('{tmp}', True, 'is a folder, and a stream is one video'), ('{tmp}/a.png', True, 'a.png: not a video'),
    ('{tmp}/none.mp4', True, 'none.mp4: no such file')])
def test_inputs_that_do_not_fit(model_files, tmp_path, monkeypatch, capsys, text, stream, error):
    (tmp_path / 'a.png').touch()
    words = [text.format(tmp=tmp_path), '-o', tmp_path / 'out', *['--stream'] * stream]
    said = error_inside(monkeypatch, capsys, 'infer.py', *model_files, *words)
    assert error in said and 'secret' not in said and 'ret@' not in said and not (tmp_path / 'out').exists()


def test_an_address_where_nobody_is(model_files, tmp_path, monkeypatch, capsys):
    served = Served('rtsp')
    served.close()
    said = error_inside(monkeypatch, capsys, 'infer.py', *model_files, served.url('/x?token=secret', 'me:secret@'),
                        '-o', tmp_path / 'out', '--device', 'cpu', '--stream')
    assert f'{served.url("/x")}: cannot be opened (Connection refused)' in said and 'secret' not in said
    assert not (tmp_path / 'out').exists()


def test_results_that_are_there(model_files, tmp_path, monkeypatch, capsys):
    clip = make_video(tmp_path / 'clip.mp4', 2)
    (tmp_path / 'out' / 'overlays').mkdir(parents=True)
    (tmp_path / 'out' / 'overlays' / 'clip.mp4.0003.mp4').touch()
    said = error_inside(monkeypatch, capsys, 'infer.py', *model_files, clip, '-o', tmp_path / 'out', '--stream')
    assert 'clip.mp4.0003.mp4: there already' in said and said.endswith('--overwrite')
