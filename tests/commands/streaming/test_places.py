"""Places that streams come from: which are, and that no message or name has a password."""
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seeing import make_video

from mmseg_vittm.commands.streaming import places
from mmseg_vittm.commands.streaming.places import PROTOCOLS, find_place, is_address
from mmseg_vittm.errors import InputError


@pytest.mark.parametrize(('text', 'shown', 'name'), [
    ('rtsp://host/x', 'rtsp://host/x', 'host_x'),
    ('rtsp://me:secret@host:554/live/ch1', 'rtsp://host:554/live/ch1', 'host_554_live_ch1'),
    ('RTSP://me:secret@host', 'rtsp://host', 'host'),
    ('rtsp://me:se@cret@host/x', 'rtsp://host/x', 'host_x'),
    ('http://host/video.mp4?token=secret#secret', 'http://host/video.mp4', 'host_video.mp4'),
    ('https://secret@[fe80::1%25eth0]:8443/a', 'https://[fe80::1%25eth0]:8443/a', 'fe80_1_25eth0_8443_a'),
    ('rtsp://host/user=me&password=secret&channel=1', 'rtsp://host/user=me&password=***&channel=1',
     'host_user_me_password_channel_1'),
    ('rtsp://host/user=me_pwd=secret_channel=1.sdp', 'rtsp://host/user=me_pwd=***_channel=1.sdp',
     'host_user_me_pwd_channel_1.sdp'),
    ('udp://@:1234', 'udp://:1234', '1234'), ('tcp://127.0.0.1:80?listen=1', 'tcp://127.0.0.1:80', '127.0.0.1_80'),
    ('rtmp://host/../../etc/passwd', 'rtmp://host/../../etc/passwd', 'host_.._.._etc_passwd'),
    ('http://host/' + 'x' * 300, None, 'host_' + 'x' * 95)])
def test_addresses(text, shown, name):
    place = find_place(text)
    assert place.kind == 'address' and place.target == text and place.name == name
    assert shown is None or place.shown == shown
    assert 'secret' not in f'{place}{place.shown}{place.name}' and '/' not in place.name
    allowed = place.options['protocol_whitelist'].split(',')
    assert allowed == PROTOCOLS[text.split('://')[0].lower()].split(',') and not {'file', 'pipe', 'data', 'concat',
                                                                                   'subfile', 'unix', 'fd'} & {*allowed}
    assert 'hls' not in place.options['format_whitelist'] and 'concat' not in place.options['format_whitelist']


@pytest.mark.parametrize('text', [
    'rtsp://me:sec/ret@host/x', 'rtsp://me:sec?ret@host/x', 'rtsp://me:sec#ret@host/x', 'rtsp://me:12/ret@host',
    'rtsp://me:ret', 'http://me:1?ret@host', 'http:///x', 'http://[::1/ret', 'http://host:port/ret', 'http://ho st/ret',
    'rtsp://host/x\nret', 'rtsp://ho\x1b[31mst/ret'])
def test_unclear_addresses_are_not_shown(text):
    with pytest.raises(InputError, match='%40 for an @') as caught:
        find_place(text)
    assert 'ret' not in str(caught.value) and 'me' not in str(caught.value).split(';')[0]


@given(st.text(st.characters(exclude_characters='\0'), min_size=6, max_size=20))
def test_no_password_is_shown(password):
    """Whatever it is: shown neither where the address is clear nor where it is not."""
    password = f'Q{password}Q'
    try:
        place = find_place(f'rtsp://me:{password}@host/x')
    except InputError as error:
        assert password not in str(error)
    else:
        assert (place.shown, place.name) == ('rtsp://host/x', 'host_x')


def test_bad_inputs(tmp_path):
    (tmp_path / 'a.png').touch()
    (tmp_path / 'notes.txt').touch()
    os.mkfifo(tmp_path / 'pipe.mp4')
    for text, words in (('', 'empty'), ('gopher://me:secret@host/x', 'gopher://...: an unknown .* rtsp://'),
                        ('file:///etc/passwd', 'of a file give the path'), (str(tmp_path), 'a folder'),
                        (str(tmp_path / 'a.png'), 'a.png: not a video'), (str(tmp_path / 'notes.txt'), 'known are'),
                        (str(tmp_path / 'none.mp4'), 'no such file'), (str(tmp_path / 'pipe.mp4'), 'a pipe'),
                        ('http://me:secret@host/list.m3u8?x', 'http://host/list.m3u8: a playlist'),
                        ('camera:', 'camera:0'), ('camera:x', 'camera:0'), ('camera:1/../x', 'camera:0'),
                        ('/dev/video77', '/dev/video77: no such camera'), ('camera:77', 'video77: no such camera')):
        with pytest.raises(InputError, match=words) as caught:
            find_place(text)
        assert 'secret' not in str(caught.value) and '\n' not in str(caught.value)


def test_files(tmp_path):
    clip = make_video(tmp_path / 'my clip.mp4')
    place = find_place(str(clip))
    assert (place.kind, place.target, place.shown, place.name) == ('file', str(clip), str(clip), 'my clip.mp4')
    assert not is_address(str(clip)) and not is_address('a/b:c.mp4')
    assert is_address('rtsp://host') and is_address('camera:0') and is_address('/dev/video3')
    with pytest.raises(InputError, match='is no camera'):
        find_place(str(clip), '640x480')


class TestCamera:
    """Of a fake: there is none where tests run."""

    @pytest.fixture(autouse=True)
    def device(self, monkeypatch):
        known = {'/dev/video3': stat.S_IFCHR, '/dev/video4': stat.S_IFREG, '/dev/video5': stat.S_IFCHR}
        own_stat, own_access = os.stat, os.access

        def fake_stat(path, *more, **keywords):
            if path in known:
                return os.stat_result((known[path] | 0o660, *[0] * 9))
            return own_stat(path, *more, **keywords)
        monkeypatch.setattr(places.os, 'stat', fake_stat)
        monkeypatch.setattr(places.os, 'access', lambda path, mode: path != '/dev/video5' if path in known else
                            own_access(path, mode))
        monkeypatch.setattr(places, 'glob', lambda pattern: [*known])

    @pytest.mark.parametrize(('mode', 'options'), [
        (None, {}), ('640x480', dict(video_size='640x480')),
        ('1280x720@30,mjpeg', dict(video_size='1280x720', framerate='30', input_format='mjpeg')),
        ('64x48@7.5', dict(video_size='64x48', framerate='7.5')),
        ('64x48,yuyv422', dict(video_size='64x48', input_format='yuyv422'))])
    @pytest.mark.parametrize('text', ['/dev/video3', 'camera:3'])
    def test_modes(self, text, mode, options):
        place = find_place(text, mode)
        assert (place.kind, place.target, place.format) == ('camera', '/dev/video3', 'v4l2')
        assert (place.shown, place.name, place.options) == ('/dev/video3', 'video3', options)

    @pytest.mark.parametrize('mode', ['', '640', '0x480', '640x480@', '640x480@x', '640x480,', '640x480;x', 'x', '-1x3',
                                      '640x480@30,mjpeg,x', '640x480\n'])
    def test_bad_modes(self, mode):
        with pytest.raises(InputError, match='camera_mode must be WIDTHxHEIGHT'):
            find_place('camera:3', mode)

    def test_no_cameras(self):
        with pytest.raises(InputError, match='/dev/video4: is no camera; here are /dev/video3, /dev/video4'):
            find_place('camera:4')
        with pytest.raises(InputError, match='/dev/video5: this camera may not be read'):
            find_place('/dev/video5')
