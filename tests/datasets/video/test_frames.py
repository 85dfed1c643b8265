"""Names of frames: the video and the number they say, and the order of videos."""
import random

import pytest

from mmseg_vittm.datasets.video.frames import compile_pattern, in_videos, read_name, with_places
from mmseg_vittm.errors import DataError, InputError


@pytest.mark.parametrize('name,video,number', [
    ('0006R0_f00930', '0006R0', 930), ('0016E5_07959', '0016E5', 7959), ('0001TP_006690', '0001TP', 6690),
    ('00012', 'all', 12), ('frame0001', 'frame', 1), ('a-b_c.7', 'a-b_c', 7),
    ('IMG_20200101_000123', 'IMG_20200101', 123), ('seq 1 5x', 'seq 1', 5),
    ('clip/000003', 'clip', 3), ('clip7/left_0004_rgb', 'clip7', 4), ('a/b/12', 'a/b', 12), ('1/2', '1', 2)])
def test_names(name, video, number):
    assert read_name(name, None, 'all', 'x.jpg') == (video, number)


def test_a_pattern_of_ones_own():
    pattern = compile_pattern(r'[a-z]+/(?P<video>[a-z]+_\d+)_(?P<frame>\d+)_leftImg8bit')
    assert read_name('aachen/aachen_000003_000019_leftImg8bit', pattern, 'all', 'x') == ('aachen_000003', 19)
    with pytest.raises(DataError, match=r'x\.jpg: frame_pattern .* does not fit; describe the names by frame_pattern'):
        read_name('aachen_000003_000019', pattern, 'all', 'x.jpg')
    with pytest.raises(DataError, match="'b' is no frame number"):
        read_name('a_b', compile_pattern(r'(?P<video>.)_(?P<frame>.)'), 'all', 'x.jpg')


@pytest.mark.parametrize('name', ['frame', 'video/frame', '12/frame'])
def test_names_without_a_number(name):
    with pytest.raises(DataError, match=r'x\.jpg: no frame number in its name; .*frame_pattern'):
        read_name(name, None, 'all', 'x.jpg')


@pytest.mark.parametrize('pattern,said', [('(', 'no regular expression'), (5, 'no regular expression'),
                                          (r'(?P<video>.*)_\d+', 'lacks the groups'),
                                          (r'(.*)_(\d+)', 'lacks the groups')])
def test_patterns_are_checked(pattern, said):
    with pytest.raises(InputError, match=said):
        compile_pattern(pattern)


def frame(video, number, path=None):
    return dict(video=video, frame_number=number, img_path=path or f'{video}/{number}.jpg')


def names(frames):
    return [(each['video'], each['frame_number'], each['frame_index'], each['video_frames']) for each in frames]


def test_order_and_places():
    frames = [frame('b', 100), frame('a', 7), frame('b', 9), frame('a', 30), frame('b', 10)]
    for seed in range(5):
        random.Random(seed).shuffle(frames)
        assert names(in_videos(frames)) == [('a', 7, 0, 2), ('a', 30, 1, 2), ('b', 9, 0, 3), ('b', 10, 1, 3),
                                            ('b', 100, 2, 3)]


def test_gaps_begin_videos():
    frames = [frame('a', number) for number in (0, 30, 60, 91, 121, 900)] + [frame('b', number) for number in (5, 35)]
    assert names(in_videos(frames, max_gap=30)) == [
        ('a@0', 0, 0, 3), ('a@0', 30, 1, 3), ('a@0', 60, 2, 3), ('a@91', 91, 0, 2), ('a@91', 121, 1, 2),
        ('a@900', 900, 0, 1), ('b', 5, 0, 2), ('b', 35, 1, 2)]
    assert {video for video, *_ in names(in_videos(frames))} == {'a', 'b'}


def test_two_frames_of_one_number():
    with pytest.raises(DataError, match=r"(l/1|r/01).jpg: has the frame number 1 of video 'a', as (l/1|r/01).jpg has"):
        in_videos([frame('a', 1, 'l/1.jpg'), frame('a', 2), frame('a', 1, 'r/01.jpg')])


def test_places_of_a_choice():
    frames = in_videos([frame('a', number) for number in range(4)] + [frame('b', 0)])
    assert names(with_places([frames[1], frames[3], frames[4]])) == [('a', 1, 0, 2), ('a', 3, 1, 2), ('b', 0, 0, 1)]
