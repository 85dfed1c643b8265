"""Which video a frame belongs to, and its place there, by the names of files."""
import itertools
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from ...errors import DataError, InputError

# `SEQUENCE_NUMBER`, with or without a letter before the number, as CamVid's `0006R0_f00930`. The number is the last run
# of digits.
FLAT = r'(?P<video>.*?)([-_. ]+[A-Za-z]*)?(?P<frame>\d+)\D*'
PATTERN_REMEDY = (r"describe the names by frame_pattern, such as r'(?P<video>.+)_(?P<frame>\d+)', which must fit the "
                  "whole path below data_prefix['img_path'] without its ending")


def compile_pattern(pattern: str | None) -> re.Pattern | None:
    """Returns a pattern of frames' names, compiled.

    Raises:
        InputError: It is no regular expression with the groups `video` and `frame`.
    """
    if pattern is None:
        return None
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise InputError(f'frame_pattern {pattern!r} is no regular expression ({error}); {PATTERN_REMEDY}') from error
    if not {'video', 'frame'} <= set(compiled.groupindex):
        raise InputError(f'frame_pattern {pattern!r} lacks the groups video and frame; {PATTERN_REMEDY}')
    return compiled


def read_name(name: str, pattern: re.Pattern | None, sole: str, file: str) -> tuple[str, int]:
    """Returns the video and the frame number that a name says.

    Args:
        name: Path of a frame below the folder of all, `/` between folders, without its ending.
        pattern: What `compile_pattern` returned; None reads `VIDEO/NAME` where there are folders, else `FLAT`.
        sole: Name of the video where names have nothing but numbers.
        file: The file, for errors.

    Raises:
        DataError: There is no number, or the pattern does not fit.
    """
    path = PurePosixPath(name)
    folders = pattern is None and len(path.parts) > 1
    found = (pattern or re.compile(FLAT)).fullmatch(path.name if folders else name)
    if found is None or not found['frame']:
        what = 'no frame number in its name' if pattern is None else f'frame_pattern {pattern.pattern!r} does not fit'
        raise DataError(file, what, PATTERN_REMEDY)
    try:
        number = int(found['frame'])
    except ValueError as error:
        raise DataError(file, f'{found["frame"]!r} is no frame number', PATTERN_REMEDY) from error
    return str(path.parent) if folders else found['video'] or sole, number


def in_videos(frames: Sequence[dict], max_gap: int | None = None) -> list[dict]:
    """Returns frames in the order of their videos and numbers, with their places.

    Args:
        frames: Frames, each with `img_path`, `video` and `frame_number`.
        max_gap: Where two numbers are further apart, a new video begins. The parts of such a sequence are called
            `SEQUENCE@FIRST`, by the number of their first frame. None sets no limit.

    Raises:
        DataError: Two frames of a video have the same number; names both.
    """
    ordered = sorted(frames, key=lambda frame: (frame['video'], frame['frame_number']))
    parts: list[list[dict]] = []
    for video, group in itertools.groupby(ordered, key=lambda frame: frame['video']):
        runs = _runs(list(group), max_gap)
        for run in runs:
            name = video if len(runs) == 1 else f'{video}@{run[0]["frame_number"]}'
            parts.append([dict(frame, video=name) for frame in run])
    return with_places(itertools.chain.from_iterable(parts))


def with_places(frames: Sequence[dict]) -> list[dict]:
    """Returns frames in order with `frame_index`, from 0 in their video, and `video_frames`, how many it has."""
    placed = []
    for _, group in itertools.groupby(frames, key=lambda frame: frame['video']):
        group = list(group)
        placed += [dict(frame, frame_index=index, video_frames=len(group)) for index, frame in enumerate(group)]
    return placed


def _runs(frames: list[dict], max_gap: int | None) -> list[list[dict]]:
    runs = [frames[:1]]
    for before, frame in itertools.pairwise(frames):
        gap = frame['frame_number'] - before['frame_number']
        if gap == 0:
            raise DataError(frame['img_path'], f'has the frame number {frame["frame_number"]} of video '
                            f'{frame["video"]!r}, as {before["img_path"]} has', f'take one away, or {PATTERN_REMEDY}')
        if max_gap is not None and gap > max_gap:
            runs.append([])
        runs[-1].append(frame)
    return runs
