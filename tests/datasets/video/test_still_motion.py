"""`StillMotion`: one still, seen by a smoothly moving camera."""
import math

import cv2
import numpy as np
import pytest

from mmseg_vittm.datasets.video.still_motion import StillMotion
from mmseg_vittm.errors import InputError

HEIGHT, WIDTH = 41, 56


def clip(length: int = 6, first_labelled: int = 0) -> list[dict]:
    """Frames of smooth pictures, all different."""
    frames = []
    for number in range(length):
        rng = np.random.default_rng(number)
        image = cv2.resize(rng.integers(0, 256, (8, 9, 3), dtype=np.uint8), (WIDTH, HEIGHT))
        label = cv2.resize(rng.integers(0, 4, (8, 9), dtype=np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
        labelled = number >= first_labelled
        frames.append(dict(img=image, gt_seg_map=label if labelled else np.full_like(label, 255), is_labelled=labelled,
                           seg_fields=['gt_seg_map'], frame_number=number, region_path='mask.png'))
    return frames


def same(one: dict, other: dict) -> bool:
    return np.array_equal(one['img'], other['img']) and np.array_equal(one['gt_seg_map'], other['gt_seg_map'])


def test_one_frame_is_the_still_and_others_move():
    np.random.seed(0)
    motion, places = StillMotion(prob=1.0, max_shift=3.0), set()
    for _ in range(30):
        frames = motion(clip())
        still = [number for number, frame in enumerate(frames) if same(frame, clip()[0])]
        assert len(frames) == 6 and len(still) == 1
        places |= set(still)
        assert all(frame['frame_number'] == 0 and frame['is_labelled'] and frame['region_path'] is None
                   and frame['seg_fields'] == ['gt_seg_map'] for frame in frames)
    assert places == set(range(6))


def test_the_still_is_the_first_labelled_frame():
    np.random.seed(0)
    frames = StillMotion(prob=1.0)(clip(5, first_labelled=2))
    assert sum(same(frame, clip()[2]) for frame in frames) == 1 and all(frame['is_labelled'] for frame in frames)
    without = clip(3, first_labelled=9)
    assert all(one is other for one, other in zip(StillMotion(prob=1.0)(without), without, strict=True))


def test_probability():
    np.random.seed(0)
    frames = clip(3)
    moved = sum(StillMotion(prob=0.3)(frames)[1] is not frames[1] for _ in range(600))
    assert 140 < moved < 220
    assert all(one is other for one, other in zip(StillMotion(prob=0.0)(frames), frames, strict=True))


def test_paths_are_smooth_and_within_their_bounds():
    np.random.seed(1)
    motion, fastest = StillMotion(max_shift=5.0, max_zoom=1.1, max_rotate=2.0), [5, 5, math.log(1.1), 2]
    speeds = []
    for _ in range(200):
        path = motion._path(7)
        assert path.shape == (7, 4) and (path == 0).all(1).sum() == 1
        speed = np.diff(path, axis=0)
        assert (np.abs(speed) <= np.array(fastest) + 1e-9).all()
        assert np.allclose(np.diff(speed, 2, axis=0), 0)  # it changes evenly
        speeds.append(speed)
    assert (np.abs(np.concatenate(speeds)).max(0) > 0.9 * np.array(fastest)).all()
    assert (motion._path(1) == 0).all() and motion._path(2).shape == (2, 4)


def test_what_is_seen_against_a_loop():
    """Every pixel by the inverse map: where it comes from in the still, as the camera's pose says."""
    still = clip()[0]
    right, down, zoom, degrees = 2.5, -4.25, math.log(1.15), 7.0
    seen = StillMotion()._seen(still, right, down, zoom, degrees)
    cos, sin = (math.exp(-zoom) * f(math.radians(degrees)) for f in (math.cos, math.sin))
    centre_x, centre_y = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
    outside = 0
    for y in range(HEIGHT):
        for x in range(WIDTH):
            u, v = x - right - centre_x, y - down - centre_y
            from_x, from_y = centre_x + cos * u - sin * v, centre_y + sin * u + cos * v
            if not (1 <= from_x <= WIDTH - 2 and 1 <= from_y <= HEIGHT - 2):
                gone = from_x < -1 or from_y < -1 or from_x > WIDTH or from_y > HEIGHT
                assert not gone or seen['gt_seg_map'][y, x] == 255
                outside += gone
                continue
            left, top = math.floor(from_x), math.floor(from_y)
            a, b = from_x - left, from_y - top
            part = still['img'][top:top + 2, left:left + 2].astype(float)
            wanted = ((1 - b) * ((1 - a) * part[0, 0] + a * part[0, 1]) + b * ((1 - a) * part[1, 0] + a * part[1, 1]))
            assert np.abs(seen['img'][y, x] - wanted).max() < 6  # OpenCV's places are rounded to 1/32 pixel
            near = still['gt_seg_map'][top:top + 2, left:left + 2]
            assert seen['gt_seg_map'][y, x] in near
            if abs(a - 0.5) > 0.05 and abs(b - 0.5) > 0.05:
                assert seen['gt_seg_map'][y, x] == near[round(b), round(a)]
    assert outside > 20
    assert seen['img'].dtype == np.uint8 and set(np.unique(seen['gt_seg_map'])) <= {0, 1, 2, 3, 255}


def test_the_border_is_mirrored():
    still = clip()[0]
    seen = StillMotion(ignore_index=9)._seen(still, 5, 0, 0, 0)
    assert np.array_equal(seen['img'][:, :5], still['img'][:, 5:0:-1])
    assert np.array_equal(seen['img'][:, 5:], still['img'][:, :-5])
    assert (seen['gt_seg_map'][:, :5] == 9).all()
    assert np.array_equal(seen['gt_seg_map'][:, 5:], still['gt_seg_map'][:, :-5])
    assert StillMotion()._seen(dict(still, img=still['img'].astype(np.float32)), 1, 1, 0, 0)['img'].dtype == np.float32


@pytest.mark.parametrize('wrong,said', [
    (dict(prob=1.5), 'prob must be from 0 to 1, got 1.5'), (dict(prob=-0.1), 'got -0.1'),
    (dict(max_shift=-1), 'max_shift must be a number, 0 or more, got -1'),
    (dict(max_zoom=0.9), 'max_zoom .* 1 or more'), (dict(max_rotate=math.nan), 'max_rotate'),
    (dict(max_shift=math.inf), 'got inf')])
def test_arguments_are_checked(wrong, said):
    with pytest.raises(InputError, match=said):
        StillMotion(**wrong)
