"""`DisturbFrames`: images of some frames, never of the first, and labels of none."""
import numpy as np
import pytest

from mmseg_vittm.datasets.video.disturb_frames import DisturbFrames
from mmseg_vittm.errors import InputError

OFF = dict(flicker=0.0, noise=0.0, hide=0.0)
SIZE = (45, 60)


def clip(length: int = 6, dtype=np.uint8) -> list[dict]:
    """Grey frames of 100, a little lighter from one to the next."""
    return [dict(img=np.full((*SIZE, 3), 100 + number, dtype), gt_seg_map=np.full(SIZE, number, np.uint8))
            for number in range(length)]


def changed(transform, frames) -> list[bool]:
    """Which frames' images are other ones; their labels never are, and what was given stays as it was."""
    before = [frame['img'].copy() for frame in frames]
    done = transform(frames)
    assert all(one['gt_seg_map'] is other['gt_seg_map'] for one, other in zip(done, frames, strict=True))
    assert all(np.array_equal(frame['img'], image) for frame, image in zip(frames, before, strict=True))
    assert all(one['img'].dtype == image.dtype and one['img'].shape == image.shape
               for one, image in zip(done, before, strict=True))
    return [not np.array_equal(one['img'], image) for one, image in zip(done, before, strict=True)]


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_all_off(dtype):
    frames = clip(dtype=dtype)
    assert not any(changed(DisturbFrames(**OFF), frames))


@pytest.mark.parametrize('kind', OFF)
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_never_the_first(kind, dtype):
    np.random.seed(0)
    always = DisturbFrames(**OFF | {kind: 1.0})
    for _ in range(10):
        first, *others = changed(always, clip(dtype=dtype))
        assert not first and sum(others) >= 4  # a spot may hide nothing of a small part of the picture
    assert changed(always, clip(1)) == [False]


@pytest.mark.parametrize('kind,share', [('flicker', 0.3), ('noise', 0.3), ('hide', 0.3)])
def test_probabilities(kind, share):
    """Of single frames, as a count of those that differ."""
    np.random.seed(0)
    transform = DisturbFrames(**OFF | {kind: share}, noise_frames=(1, 1), hide_frames=(1, 1))
    counts = np.sum([changed(transform, clip(5)) for _ in range(250)], axis=0)
    assert counts[0] == 0 and (np.abs(counts[1:] - 250 * share) < 35).all()


def test_runs_against_their_definition():
    rng = np.random.default_rng(0)
    lengths = []
    for _ in range(400):
        runs = DisturbFrames._runs(rng, 0.5, (2, 4), 9)
        ends = [1] + [end for _, end in runs]
        for (begin, end), before in zip(runs, ends, strict=False):
            assert before <= begin < end <= 9 and (2 <= end - begin <= 4 or end == 9)
        lengths += [end - begin for begin, end in runs if end < 9]
    assert {2, 3, 4} == set(lengths) and abs(lengths.count(2) - len(lengths) / 3) < 0.15 * len(lengths)
    assert DisturbFrames._runs(rng, 1.0, (1, 1), 4) == [(1, 2), (2, 3), (3, 4)]
    assert DisturbFrames._runs(rng, 1.0, (5, 5), 4) == [(1, 4)] and DisturbFrames._runs(rng, 1.0, (1, 1), 1) == []


def test_flicker_is_a_factor():
    np.random.seed(0)
    factors = []
    for _ in range(200):
        frame = DisturbFrames(**OFF | dict(flicker=1.0))(clip(2, np.float32))[1]['img']
        assert (frame == frame[0, 0]).all()
        factors.append(frame[0, 0] / 101)
    factors = np.array(factors)
    mean = factors.mean(1)
    assert factors.min() >= 0.45 and factors.max() <= 1.87 and mean.min() < 0.6 and mean.max() > 1.6
    assert 0 < np.abs(factors / mean[:, None] - 1).max() < 0.15
    bright = DisturbFrames(**OFF | dict(flicker=1.0), flicker_factor=(9, 9))(clip(2))[1]['img']
    assert (bright == 255).all()


def test_noise_has_its_strength():
    np.random.seed(0)
    transform = DisturbFrames(**OFF | dict(noise=1.0), noise_sigma=(0.1, 0.1))
    for frame in transform(clip(4, np.float32))[1:]:
        assert abs(frame['img'].std() - 25.5) < 0.5 and abs(frame['img'].mean() - 102) < 2
    sigmas = [DisturbFrames(**OFF | dict(noise=1.0), noise_sigma=(0.02, 0.1))(clip(2, np.float32))[1]['img'].std() / 255
              for _ in range(60)]
    assert 0.019 < min(sigmas) < 0.03 and 0.09 < max(sigmas) < 0.102


def test_a_spot_hides_its_share():
    np.random.seed(0)
    transform = DisturbFrames(**OFF | dict(hide=1.0), hide_frames=(3, 3), hide_share=(0.1, 0.3))
    whole = []
    for _ in range(150):
        frames = transform(clip(4))
        hidden = [(frame['img'] != image['img']).any(2) for frame, image in zip(frames, clip(4), strict=True)]
        assert not hidden[0].any()
        for frame, mask in zip(frames[1:], hidden[1:], strict=True):
            assert len(np.unique(frame['img'][mask], axis=0)) <= 1 and mask.mean() < 0.34
        colours = [frame['img'][mask][:1] for frame, mask in zip(frames[1:], hidden[1:], strict=True)]
        assert len(np.unique(np.concatenate(colours), axis=0)) <= 1
        border = hidden[1].copy()
        border[1:-1, 1:-1] = False
        if not border.any() and hidden[1].any():
            whole.append(hidden[1].mean())
    assert len(whole) > 15 and min(whole) > 0.08 and max(whole) < 0.34


def test_it_draws_by_numpys_numbers():
    def run(seed):
        np.random.seed(seed)
        return np.stack([frame['img'] for frame in DisturbFrames(flicker=0.5, noise=0.5, hide=0.5)(clip())])
    assert np.array_equal(run(1), run(1)) and not np.array_equal(run(1), run(2))


@pytest.mark.parametrize('wrong,said', [
    (dict(flicker=2), 'flicker must be from 0 to 1, got 2'), (dict(noise=-1), 'noise'), (dict(hide=1.1), 'hide'),
    (dict(noise_frames=(3, 1)), r'noise_frames must be two numbers, from and to, .*got \(3, 1\)'),
    (dict(hide_frames=(0, 2)), 'between 1'), (dict(hide_share=(0.1, 1.2)), 'between 0 and 1'),
    (dict(noise_sigma=(-0.1, 0.1)), 'noise_sigma'), (dict(flicker_factor=(1, 2, 3)), 'flicker_factor')])
def test_arguments_are_checked(wrong, said):
    with pytest.raises(InputError, match=said):
        DisturbFrames(**wrong)
