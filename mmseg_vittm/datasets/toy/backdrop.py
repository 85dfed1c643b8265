"""The backdrop of a toy scene: sky, mountains and the ground."""
import numpy as np

from .canvas import Patch, Scene, between, grey


def draw_sky(scene: Scene) -> None:
    """Draws a gradient from the zenith to the horizon, with clouds."""
    rng = scene.rng
    zenith = between(rng, (0.15, 0.35, 0.75), (0.75, 0.75, 0.75), 0.08)
    scene.air = between(rng, (0.9, 0.85, 0.8), (0.65, 0.75, 0.85), 0.08)
    if rng.random() < 0.25:
        scene.air = between(rng, (0.95, 0.6, 0.35), (0.85, 0.55, 0.6))
    down = grey(np.clip(scene.sky_rows / scene.first.horizon, 0, 1))
    sky = zenith * (1 - down) + scene.air * down
    clouds = scene.noise(scene.sky_columns / scene.size * 4 + 3, scene.sky_rows / scene.size * rng.uniform(6, 12), 4)
    cover = grey(np.clip((clouds - rng.uniform(0.4, 0.8)) * 5, 0, 1))
    shade = between(rng, (0.95, 0.95, 0.95), (0.55, 0.55, 0.6))
    scene.image[:] = sky * (1 - cover) + shade * (0.8 + 0.4 * grey(clouds)) * cover
    scene.label[:] = 1


def draw_mountains(scene: Scene) -> None:
    """Draws one to three ridges, hazier the further away."""
    # As far away as the sky: they stay 200 m away wherever the camera stands.
    rng, patch = scene.rng, scene.stand(scene.view.right, 200 + scene.view.ahead, 400, 400)
    rock = between(rng, (0.3, 0.35, 0.3), (0.55, 0.5, 0.45), 0.08)
    if rng.random() < 0.3:
        rock = between(rng, (0.15, 0.3, 0.1), (0.4, 0.45, 0.2))
    peak, ridges = rng.uniform(50, 130), rng.integers(1, 4)
    snow = rng.uniform(0.5, 1.5) * peak
    for ridge in range(ridges):
        top = peak * (1 - 0.3 * ridge) * scene.noise(patch.u / 45 + 20 * ridge, np.full_like(patch.u, ridge + 0.5), 4)
        slope = scene.noise((patch.u + patch.v * 0.6) / 8, (patch.v - patch.u * 0.3) / 20 + 9 * ridge, 3)
        colour = np.where(grey(top + 20 * slope - 10 > snow), 0.95, rock * grey(0.55 + 0.9 * slope))
        patch.clear = np.float32(rng.uniform(0.45, 0.6) + 0.13 * ridge)
        patch.light = 1 + 0.5 * scene.sun * (slope - 0.5)
        patch.fill((patch.v - top) * 0.7, colour, 'mountain')


def draw_ground(scene: Scene) -> None:
    """Draws grass or paving to the horizon; water, and a road, perhaps with pavements, laid over it in perspective."""
    rng, patch = scene.rng, scene.ground()
    u, v = patch.u, patch.v
    rough, patches = patch.noise(6, 2), patch.noise(0.35, 2)
    grass = between(rng, (0.2, 0.42, 0.12), (0.5, 0.58, 0.25), 0.05)
    paving = between(rng, (0.55, 0.52, 0.48), (0.8, 0.72, 0.6), 0.05)
    asphalt = between(rng, (0.2, 0.2, 0.22), (0.45, 0.44, 0.45), 0.04)
    tile = rng.uniform(0.5, 1.1)
    near = np.clip(patch.scale * tile / 4 - 0.3, 0, 1)
    joints = (np.minimum(u % tile, v % tile) < 0.06 * tile + 0.5 / patch.scale) * near
    tiled = paving * grey((0.85 + 0.3 * rough) * (1 - 0.35 * joints))
    meadow = grass * grey(0.55 + 0.5 * rough + 0.4 * patches)
    colour, name = (tiled, 'pavement') if rng.random() < 0.3 else (meadow, 'grass')
    patch.fill(np.full_like(u, -1000), colour, name)
    if rng.random() < 0.6:
        _draw_water(scene, patch)
    if rng.random() < 0.75:
        _draw_road(scene, patch, tiled, asphalt)


def _draw_water(scene: Scene, patch: Patch) -> None:
    """Draws water, beside or beyond the camera, which mirrors what is above the horizon."""
    rng, u, v = scene.rng, patch.u, patch.v
    shore = patch.noise(0.08, 2) * 14
    side, edge = rng.choice([-1, 1]), rng.uniform(-5, 4)
    distance = rng.uniform(2, 9) + 0.5 * shore - v if rng.random() < 0.5 else edge + 0.6 * shore - side * u
    ripple = scene.noise(u * 0.8, scene.sky_rows[patch.window] / scene.size * 90, 2)
    horizon = int(scene.horizon)
    mirror = scene.image[np.clip(2 * horizon - np.arange(horizon + 1, scene.size), 0, None)]
    tint = between(rng, (0.1, 0.3, 0.4), (0.35, 0.5, 0.6), 0.06)
    patch.fill(distance * np.minimum(1, 12 / v), (0.55 * mirror + 0.45 * tint) * grey(0.75 + 0.5 * ripple), 'water')


def _draw_road(scene: Scene, patch: Patch, paving: np.ndarray, asphalt: np.ndarray) -> None:
    """Draws a road across or ahead, perhaps with pavements and markings."""
    rng, u, v = scene.rng, patch.u, patch.v
    if rng.random() < 0.25:
        middle, along, across = rng.uniform(7, 14), u, v
    else:
        bend = rng.normal(0, 0.004)
        middle, along, across = rng.uniform(-3, 3) + bend * v * v, v, u
    half = rng.uniform(2.2, 4.5)
    off = np.abs(across - middle)
    if rng.random() < 0.7:
        patch.fill(off - half - rng.uniform(1.5, 3.5), paving, 'pavement')
    patch.fill(off - half, asphalt * grey(0.8 + 0.4 * patch.noise(12, 2)), 'road')
    paint = between(rng, (0.9, 0.9, 0.9), (0.9, 0.8, 0.4))
    if rng.random() < 0.8:
        patch.fill(np.maximum(off - 0.1, np.abs(along % 4 - 2) - 1), paint)
    if rng.random() < 0.6:
        patch.fill(np.abs(off - half + 0.35) - 0.09, paint)
