"""How camera and things of the moving toy scenes move, by the formulas of a pinhole camera."""
import numpy as np
import pytest
from numpy.random import SeedSequence

from mmseg_vittm.datasets.moving_toy.camera import camera_path, sway
from mmseg_vittm.datasets.moving_toy.clips import Clip
from mmseg_vittm.datasets.moving_toy.things import MOVERS, Thing
from mmseg_vittm.datasets.toy import objects
from mmseg_vittm.datasets.toy.canvas import CLASSES, OutOfSight, Scene, View

FIRST = View(50.0, 60.0, 120.0)


def ground_flow(size, height, before, after):
    """How far the ground and the sky of each pixel move from one view to another, in pixels: by loops."""
    moved = []
    for row in np.arange(4.5, size, 8):
        for column in np.arange(4.5, size, 8):
            depth = height * before.focal / (row - before.horizon) if row > before.horizon + 2 else 1e9
            x = (column - before.vanishing) * depth / before.focal + before.right
            below = (row - before.horizon) * depth / before.focal
            nearer = depth + before.ahead - after.ahead
            moved.append(np.hypot(after.vanishing + (x - after.right) * after.focal / nearer - column,
                                  after.horizon + below * after.focal / nearer - row))
    return moved


def test_motion_is_a_few_pixels_a_frame():
    means, moved = [], []
    for number in range(20):
        clip = Clip(SeedSequence((1, number)), 64, 12)  # drawn, and measured, at 128
        steps = [ground_flow(128, clip.blank().height, *pair) for pair in zip(clip.path, clip.path[1:])]  # noqa: B905
        means.append(np.mean(steps))
        moved += np.ravel(steps).tolist()
    assert 0.9 < np.mean(means) < 1.7 and min(means) > 0.2 and max(means) < 2.8
    assert np.mean([0.5 < pixels < 2.5 for pixels in moved]) > 0.7
    assert np.quantile(moved, 0.99) < 4.5 and max(moved) < 9


def test_sway_is_smooth_and_stays():
    ways = np.stack([sway(np.random.default_rng(seed), 400, 1.5) for seed in range(50)])
    steps = np.diff(ways)
    assert np.abs(steps).max() <= 1.5 * np.pi / 2 + 1e-9
    assert np.abs(steps).mean() == pytest.approx(1.5, rel=0.05)
    assert np.abs(np.diff(steps)).max() < 1.5 * np.pi / 2 * 2 * np.pi / 40 + 1e-9
    assert np.abs(ways).max() <= 1.5 * 90 / 4
    longer = sway(np.random.default_rng(3), 500, 1.5)
    np.testing.assert_array_equal(longer[:400], ways[3])


@pytest.mark.parametrize('num_frames', [1, 24, 301])
def test_camera_stays_where_it_may_stand(num_frames):
    for seed in range(30):
        path = camera_path(np.random.default_rng(seed), FIRST, 128, num_frames)
        assert len(path) == num_frames
        assert min(view.ahead for view in path) == 0 and max(abs(view.right) for view in path) < 1.5
        assert all(0.8 < view.focal / FIRST.focal < 1.2 for view in path)
        assert all(10 < view.horizon < 100 for view in path)


def test_camera_without_motion_stands_still():
    path = camera_path(np.random.default_rng(0), FIRST, 128, 9, motion=0.0)
    assert len(set(path)) == 1
    assert [path[0].horizon, path[0].vanishing, path[0].focal] == pytest.approx([50, 60, 120])


@pytest.mark.parametrize('draw', [objects.draw_person, objects.draw_sign, objects.draw_rock])
def test_things_stand_where_a_pinhole_camera_sees_them(draw):
    views = View(130.0, 130.0, 250.0), View(135.0, 110.0, 275.0, right=0.7, ahead=1.5)
    for x, depth in ((0.5, 7.0), (1.1, 6.0), (-0.8, 9.0)):
        spans = []
        for seen in views:
            scene = Scene(np.random.default_rng(1), 257)
            scene.look(seen)
            scene.rng = np.random.default_rng(4)
            draw(scene, x, depth)
            rows, columns = np.nonzero(scene.label)
            assert columns.min() > 0 and columns.max() < 256 and rows.max() < 256, 'all of it is in the picture'
            assert set(np.unique(scene.label)) <= {0, 1 + CLASSES.index(draw.__name__.removeprefix('draw_'))}
            scale = seen.focal / (depth - seen.ahead)
            left, right = ((edge - seen.vanishing) / scale + seen.right - x
                           for edge in (columns.min(), columns.max() + 1))
            foot = scene.height - (rows.max() + 1 - seen.horizon) / scale
            assert abs(foot) < 3 / scale
            spans.append((left, right))
        np.testing.assert_allclose(*spans, atol=0.12)  # metres; about three pixels


@pytest.mark.parametrize('ahead', [4.6, 5.0, 7.0])
def test_what_the_camera_has_reached_is_out_of_sight(ahead):
    scene = Scene(np.random.default_rng(1), 65)
    scene.look(View(30.0, 30.0, 60.0, ahead=ahead))
    with pytest.raises(OutOfSight):
        scene.stand(0.0, 5.0, 1.0, 1.0)


def test_a_building_keeps_its_corners_when_the_camera_walks():
    """Its front's edges, in metres, are the same from anywhere; the side meets the front."""
    edges = []
    for right, ahead in ((0.0, 0.0), (1.2, 0.0), (-1.2, 3.0)):
        scene = Scene(np.random.default_rng(2), 401)
        view = View(200.0, 200.0, 380.0, right, ahead)
        scene.look(view)
        scene.rng = np.random.default_rng(11)
        objects.draw_building(scene, 5.0, 24.0)
        columns = np.flatnonzero((scene.label == 1 + CLASSES.index('building')).any(0))
        assert (np.diff(columns) <= 2).all(), 'side and front meet in an unlabelled contour'
        edges.append((columns[-1] + 1 - view.vanishing) * (24.0 - ahead) / view.focal + right)
    np.testing.assert_allclose(edges, edges[0], atol=0.15)


def test_things_come_into_view_and_movers_go_the_way_they_face():
    moving, seen, facing = [], [], {-1: [], 0: [], 1: []}
    for number in range(40):
        clip = Clip(SeedSequence((3, number)), 64, 12)  # drawn at 128
        for thing in clip.things:
            view = clip.path[thing.moment]
            x, depth = thing.at(thing.moment)
            assert depth - max(view.ahead for view in clip.path) >= 3 - 1e-9
            seen.append(0 <= view.vanishing + (x - view.right) * view.focal / (depth - view.ahead) <= 128)
            assert thing.draw in MOVERS or thing.drift == (0.0, 0.0)
            if thing.draw in MOVERS:
                moving.append(any(thing.drift))
            if any(thing.drift):
                scene = clip.blank()
                scene.look(view)
                facing[thing.paint(scene, thing.moment)].append(thing.drift)
                pixels = np.hypot(*thing.drift) * view.focal / (depth - view.ahead)
                assert 0.3 <= pixels <= 1.6
    assert all(seen) and 0.4 < np.mean(moving) < 0.8
    assert all(right > 0 and ahead == 0 for right, ahead in facing[1])
    assert all(right < 0 and ahead == 0 for right, ahead in facing[-1])
    assert all(right == 0 and ahead > 0 for right, ahead in facing[0])
    assert all(facing.values())


def test_a_mover_is_drawn_where_it_went():
    thing = Thing(objects.draw_person, SeedSequence(8), x=0.5, depth=6.0, moment=3, drift=(-0.1, 0.05))
    middles = []
    for frame in (1, 3, 9):
        scene = Scene(np.random.default_rng(1), 257)
        scene.look(View(130.0, 130.0, 250.0))
        thing.paint(scene, frame)
        columns = np.nonzero(scene.label)[1]
        middles.append((columns.min() + columns.max() + 1) / 2)
    wanted = [130 + (0.5 - 0.1 * (frame - 3)) * 250 / (6 + 0.05 * (frame - 3)) for frame in (1, 3, 9)]
    np.testing.assert_allclose(np.array(middles) - middles[1], np.array(wanted) - wanted[1], atol=1.5)
