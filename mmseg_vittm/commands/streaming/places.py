"""Places that frames come from: a video file, a camera or an address; and what they are called without passwords."""
import os
import re
import stat
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ...datasets.image_files import no_file
from ...errors import InputError, shown
from ..segmenting.media import VIDEOS, is_video
from ..segmenting.videos import FORMATS

# What FFmpeg may use to read from an address, by its scheme: never files, which a hostile stream could ask for.
PROTOCOLS = {'http': 'http,https,tls,tcp,httpproxy', 'https': 'https,tls,tcp,httpproxy', 'rtmp': 'rtmp,tcp',
             'rtmps': 'rtmps,tls,tcp', 'rtsp': 'tcp,udp,rtp', 'rtsps': 'tls,tcp,udp,rtp,srtp', 'srt': 'srt',
             'tcp': 'tcp', 'udp': 'udp'}
# Options of FFmpeg: RTP within the connection, where the camera can do that, since UDP loses packets; and a full buffer
# of UDP packets loses some of them, not the connection.
OPTIONS = {'rtsp': dict(rtsp_flags='prefer_tcp', allowed_media_types='video'), 'udp': dict(overrun_nonfatal='1')}
OPTIONS['rtsps'] = OPTIONS['rtsp']
# Containers that come over a network: those of files, and a camera's row of JPEG images. No playlists.
NETWORK_FORMATS = f'{FORMATS},rtsp,mpjpeg,mjpeg'
PLAYLISTS = ('.m3u8', '.m3u', '.mpd', '.pls')
LONGEST_NAME = 100
_ADDRESS = re.compile(r'([A-Za-z][A-Za-z0-9+.-]*)://(.*)', re.DOTALL)
_HOST = re.compile(r'(\[[0-9A-Fa-f:.%\w]+\]|[^\[\]@:\s]*)(:\d{1,5})?')
_SECRET = re.compile(r'((?:pass(?:word|wd)?|pwd|token|secret|key|auth|sig(?:nature)?)[=:])[^&_/;,]+', re.IGNORECASE)
_CAMERA = re.compile(r'/dev/video\d+')
_MODE = re.compile(r'(?P<size>[1-9]\d{0,4}x[1-9]\d{0,4})(@(?P<rate>\d{1,4}(\.\d+)?))?(,(?P<format>\w+))?')


@dataclass(frozen=True)
class Place:
    """Where frames come from.

    Attributes:
        kind: `'file'`, `'camera'` or `'address'`.
        target: What FFmpeg opens. An address may hold a password: it is shown nowhere.
        shown: What messages call it.
        name: What results are named after.
        format: FFmpeg's name of the container; None where it finds out.
        options: FFmpeg's options.
    """
    kind: str
    target: str = field(repr=False)
    shown: str
    name: str
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)


def is_address(text: str) -> bool:
    """Tells whether an input is an address or a camera, and no path of a file."""
    return bool(_ADDRESS.fullmatch(text)) or text.startswith('camera:') or bool(_CAMERA.fullmatch(text))


def find_place(text: str, camera_mode: str | None = None) -> Place:
    """Returns the place that an input names: all checked that can be without opening it.

    Args:
        text: A video file; a camera, `/dev/video0` or `camera:0`; or an address such as `rtsp://HOST/PATH`.
        camera_mode: `WIDTHxHEIGHT[@RATE][,FORMAT]` of a camera, such as `'1280x720@30,mjpeg'`; None is its own choice.

    Raises:
        InputError: There is no such file or camera, or it is of no known kind.
    """
    if not text:
        raise InputError('the path of what to segment is empty')
    options = _camera_options(camera_mode)
    if found := _ADDRESS.fullmatch(text):
        place = _address(text, found[1].lower())
    elif text.startswith('camera:') or _is_device(text):
        return _camera(text, options)
    else:
        place = _file(Path(text))
    if options:
        raise InputError(f'{place.shown}: is no camera, camera_mode is for cameras; leave it out')
    return place


def _file(path: Path) -> Place:
    if os.path.isdir(path):
        raise InputError(f'{path}: is a folder, and a stream is one video; give a video file')
    if (error := no_file(path)) is not None:
        raise error
    if not is_video(path):
        raise InputError(f'{path}: not a video by its ending; known are {", ".join(sorted(VIDEOS))}')
    return Place('file', str(path), str(path), path.name)


def _is_device(path: str) -> bool:
    try:
        return bool(_CAMERA.fullmatch(path)) or stat.S_ISCHR(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _camera(text: str, options: dict[str, str]) -> Place:
    number = text.removeprefix('camera:')
    device = text if number == text else f'/dev/video{number}'
    if number != text and not (number.isascii() and number.isdigit()):
        raise InputError(f'{shown(text)}: a camera is camera:N, such as camera:0')
    there = ', '.join(sorted(glob('/dev/video*'))) or 'none'
    try:
        if not stat.S_ISCHR(os.stat(device).st_mode):
            raise InputError(f'{shown(device)}: is no camera; here are {there}')
    except OSError as error:
        raise InputError(f'{shown(device)}: no such camera ({error.strerror}); here are {there}, see ls /dev/video*'
                         ) from error
    if not os.access(device, os.R_OK | os.W_OK):
        raise InputError(f'{shown(device)}: this camera may not be read; ask for membership in the group of ls -l '
                         f'{shown(device)}')
    return Place('camera', device, device, os.path.basename(device), 'v4l2', options)


def _camera_options(mode: str | None) -> dict[str, str]:
    if mode is None:
        return {}
    found = _MODE.fullmatch(mode)
    if found is None:
        raise InputError(f'camera_mode must be WIDTHxHEIGHT[@RATE][,FORMAT], such as 1280x720@30,mjpeg, got '
                         f'{shown(mode)!r}')
    names = dict(size='video_size', rate='framerate', format='input_format')
    return {names[name]: value for name, value in found.groupdict().items() if value}


def _address(text: str, scheme: str) -> Place:
    if scheme not in PROTOCOLS:
        raise InputError(f'{shown(scheme)}://...: an unknown kind of address; known are '
                         f'{", ".join(f"{one}://" for one in sorted(PROTOCOLS))}; of a file give the path')
    # Its parts may not be shown before it is clear which of them is the password.
    unclear = InputError(f'{scheme}://...: host and port of this address are unclear; write %40 for an @, %3A for a :, '
                         '%2F for a /, %3F for a ? and %23 for a # within a user, a password or a path')
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise unclear from error
    host = parts.netloc.rpartition('@')[2]
    if '@' in f'{parts.path}{parts.query}{parts.fragment}' or not text.isprintable() or ' ' in text \
            or not _HOST.fullmatch(host) or not host.strip(':') and scheme not in ('tcp', 'udp', 'srt'):
        raise unclear
    public = _public(parts, scheme, host)
    if parts.path.lower().endswith(PLAYLISTS):
        raise InputError(f'{public}: a playlist, which leads to other addresses; give the address of the video itself')
    name = re.sub(r'[^A-Za-z0-9.-]+', '_', public.partition('://')[2]).strip('._-')[:LONGEST_NAME]
    options = dict(OPTIONS.get(scheme, {}), protocol_whitelist=PROTOCOLS[scheme], format_whitelist=NETWORK_FORMATS)
    return Place('address', text, public, name or scheme, None, options)


def _public(parts: SplitResult, scheme: str, host: str) -> str:
    """Returns an address without user, password and query, which hold secrets, as some cameras' paths do."""
    path = _SECRET.sub(r'\1***', parts.path)
    return shown(f'{scheme}://{host}{path}')
