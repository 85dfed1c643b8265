"""Which frames form a clip, and what their data samples say of them."""
import numpy as np
import pytest
from mmseg.structures import SegDataSample

from mmseg_vittm.datasets.video.clips import add_metainfo, augment, draw_places, load, number_of_loading
from mmseg_vittm.errors import DataError


@pytest.mark.parametrize('frames,length,strides', [(1, 1, (1, )), (7, 3, (1, )), (7, 3, (3, )), (9, 4, (1, 2, 5)),
                                                   (10, 4, (3, 2)), (5, 1, (1, 4))])
def test_places_are_drawn_among_all_that_fit(frames, length, strides):
    np.random.seed(0)
    for index in range(frames):
        wanted = set()
        for stride in strides:
            clips = [tuple(begin + k * stride for k in range(length)) for begin in range(frames)]
            clips = [clip for clip in clips if clip[-1] < frames and clip[0] <= index]
            if clips:
                wanted.add(clips[-1])  # the latest that begins no later than the frame
        assert {tuple(draw_places(index, frames, length, strides)) for _ in range(40)} == wanted


def test_every_stride_is_as_likely():
    np.random.seed(0)
    steps = [draw_places(0, 100, 2, (1, 2, 7))[1] for _ in range(3000)]
    assert all(abs(steps.count(stride) - 1000) < 120 for stride in (1, 2, 7))


class LoadIt:
    """Loads an image of a size of its name's."""

    def __call__(self, frame):
        if frame['img_path'] == 'bad':
            raise DataError('bad', 'is bad', 'mend it')
        return None if frame['img_path'] == 'none' else dict(frame, img=np.zeros((*frame['size'], 3), np.uint8))


def frames_of(*paths, size=(4, 6)):
    about = dict(video='v', video_frames=9, frame_number=1, frame_index=0, is_labelled=True, region_path=None)
    return [dict(about, img_path=path, size=size) for path in paths]


def test_a_bad_frame_is_named_with_its_place():
    with pytest.raises(DataError, match='bad: is bad; mend it') as error:
        load(frames_of('a', 'b', 'bad', 'd'), [LoadIt()])
    assert error.value.place == 2


def test_frames_of_two_sizes():
    frames = frames_of('a', 'b', 'c') + frames_of('d', size=(4, 7))
    with pytest.raises(DataError, match='d: is 7 x 4 pixels, a of the same video 6 x 4 pixels; give all') as error:
        load(frames, [LoadIt()])
    assert error.value.place == 3


def test_a_frame_that_a_step_refuses():
    assert load(frames_of('a', 'none', 'c'), [LoadIt(), lambda frame: frame]) is None
    calls = []

    def refuse_second(frame):
        calls.append(frame)
        return None if len(calls) == 2 else frame
    assert augment(frames_of('a', 'b'), [], [refuse_second, lambda frame: 1 / 0]) is None


def test_leading_steps():
    class Resize(LoadIt):
        pass
    assert [number_of_loading(steps) for steps in ([], [Resize()], [LoadIt(), LoadIt(), Resize(), LoadIt()],
                                                   [LoadIt()])] == [0, 0, 2, 1]


def test_metainfo_is_of_what_clip_transforms_return():
    def pack(frame):
        return dict(inputs=0, data_samples=SegDataSample())

    def backwards(frames):
        return frames[::-1]
    frames = [dict(frame, frame_number=number) for number, frame in enumerate(frames_of(*'abc'))]
    samples = [packed['data_samples'] for packed in augment(frames, [backwards], [pack])]
    assert [(one.frame_number, one.clip_position, one.clip_length) for one in samples] == [(2, 0, 3), (1, 1, 3),
                                                                                         (0, 2, 3)]
    assert set(samples[0].metainfo) == {'video', 'video_frames', 'frame_number', 'frame_index', 'is_labelled',
                                        'region_path', 'clip_position', 'clip_length'}


def test_metainfo_of_several_samples():
    packed = dict(inputs=[0, 1], data_samples=[SegDataSample(), SegDataSample()])
    assert [one.video for one in add_metainfo(packed, dict(video='v'))['data_samples']] == ['v', 'v']
    assert add_metainfo('anything', dict(video='v')) == 'anything'
