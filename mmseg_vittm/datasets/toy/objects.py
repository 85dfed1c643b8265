"""The things that stand in a toy scene, each drawn at x metres to the right, `depth` metres away.

Of something out of sight nothing is drawn but its shadow; `Scene.stand` raises `OutOfSight` then. What may move
returns which way it faces: -1 is left, 1 right, 0 away from the camera.
"""
import numpy as np

from .canvas import Patch, Scene, any_colour, between, box, disc, grey, limb, polygon

GLASS, RUBBER, STEEL = (0.08, 0.1, 0.12), np.float32([0.06, 0.06, 0.07]), np.float32([0.6, 0.6, 0.62])


def draw_building(scene: Scene, x: float, depth: float) -> None:
    """Draws a box in true perspective: a front, a side towards the vanishing point, windows, perhaps a gable."""
    rng = scene.rng
    half, height, length = rng.uniform(2.5, 6), rng.uniform(4, 16), rng.uniform(5, 15)
    x = x if abs(x) > half + 1.5 else np.copysign(half + 1.5, x)
    wall = (between(rng, (0.55, 0.3, 0.22), (0.85, 0.75, 0.62), 0.06) if rng.random() < 0.75
            else any_colour(rng, 0.3, 0.9))
    glass = between(rng, (0.1, 0.12, 0.15), scene.air)
    wall = 0.6 * wall + 0.4 * wall.mean()
    storey, bay, sill = rng.uniform(2.4, 3.4), rng.uniform(1.6, 3), rng.uniform(0.5, 0.8)
    bricks = rng.random() < 0.5

    def facade(patch: Patch, u: np.ndarray, v: np.ndarray, distance: np.ndarray, light: float) -> None:
        colour = wall * grey(0.88 + 0.24 * patch.noise(3))
        if bricks:
            joint = (v % 0.4 < 0.08) | ((u + 0.45 * (np.floor(v / 0.4) % 2)) % 0.9 < 0.08)
            colour = colour * grey(1 - 0.3 * joint)
        patch.light = light
        patch.fill(distance, colour, 'building')
        pane = np.maximum(np.abs(u % bay - bay / 2) - bay * 0.28, np.abs(v % storey - storey / 2) - sill)
        inside = np.maximum(distance + 0.4, v - height + 0.3)
        patch.fill(np.maximum(pane - 0.12, inside), wall * 0.6 + 0.3)
        patch.fill(np.maximum(pane, inside), glass * grey(0.6 + 0.6 * patch.noise(0.7)))

    near = x - np.copysign(half, x) - scene.view.right
    corners = (int(np.clip(scene.vanishing + near * scene.focal / d, -2, scene.size + 2)) + pad
               for d, pad in ((depth - scene.view.ahead, np.copysign(2, near)),
                             (depth - scene.view.ahead + length, -np.copysign(2, near))))
    left, right = np.clip(sorted(corners), 0, scene.size).astype(int)
    side = scene.stand(scene.view.right, depth, 1000, 3 * height)
    if left < right:
        side.window = (side.window[0], slice(left, right))
        side.scale = np.maximum((scene.columns[side.window] - scene.vanishing) / near, 1e-3)
        side.u = away = scene.focal / side.scale + scene.view.ahead
        side.v = scene.height - (scene.rows[side.window] - scene.horizon) / side.scale
        facade(side, away - depth, side.v, box(away, side.v, depth, depth + length, 0, height),
               1 + 0.3 * scene.sun * np.sign(x))
    roof = rng.uniform(1, 3) if rng.random() < 0.5 else 0
    front = scene.stand(x, depth, half, height + roof)
    u, v = front.u, front.v
    if roof:
        tiles = any_colour(rng, 0.15, 0.6) * grey(0.8 + 0.4 * (v % 0.5 > 0.12))
        front.fill(polygon(u, v, (-half, height), (0, height + roof), (half, height)), tiles, 'building')
    facade(front, u + half, v, box(u, v, -half, half, -0.1, height), 1.0)
    if rng.random() < 0.7:
        front.fill(box(u, v, -0.6, 0.6, 0, 2.1), any_colour(rng))


def draw_tree(scene: Scene, x: float, depth: float) -> None:
    """Draws a trunk under a crown of leaves, round or a conifer."""
    rng = scene.rng
    height = rng.uniform(3.5, 8)
    width = height * rng.uniform(0.25, 0.4)
    patch = scene.stand(x, depth, width * 1.3, height * 1.1, shadow=width * 1.2)
    u, v = patch.u, patch.v
    bark = between(rng, (0.2, 0.13, 0.08), (0.5, 0.45, 0.4))
    leaf = between(rng, (0.1, 0.28, 0.08), (0.45, 0.5, 0.2), 0.06)
    if rng.random() < 0.2:
        leaf = between(rng, (0.65, 0.45, 0.1), (0.6, 0.2, 0.1))
    trunk = box(u, v, -0.05 * height, 0.05 * height, 0, height * 0.5)
    patch.fill(trunk, bark * grey(0.6 + 0.8 * patch.noise(3)), 'tree')
    leaves = patch.noise(2.2, 3)
    if rng.random() < 0.35:
        tier = width * (0.35 + 0.55 * ((height - v) % (height / 4)) / (height / 4))
        crown = np.maximum(np.abs(u) - tier * np.clip((height - v) / height, 0, 1) ** 0.6,
                           np.maximum(v - height, height * 0.15 - v))
    else:
        crown = np.minimum.reduce([
            disc(u, v, rng.normal(0, 0.4) * width, height * rng.uniform(0.5, 0.8), width * rng.uniform(0.5, 0.75))
            for _ in range(6)])
    patch.light = 1 + 0.3 * (scene.sun * u / width + v / height - 0.6)
    patch.fill(crown + (leaves - 0.5) * 0.16 * height, leaf * grey(0.25 + 1.5 * leaves), 'tree')


def draw_rock(scene: Scene, x: float, depth: float) -> None:
    """Draws a boulder."""
    rng = scene.rng
    half, height = rng.uniform(0.7, 1.6), rng.uniform(0.6, 1.5)
    patch = scene.stand(x, depth, half * 1.3, height * 1.2, shadow=half * 1.5)
    u, v = patch.u, patch.v
    facets = scene.noise(np.round((u + v * 0.5) * 2.2 / half) + 50, np.round((v - u * 0.4) * 2.2 / half), 1)
    body = np.hypot(u / half, v / height) - 1 + 0.35 * (patch.noise(1.5 / half) - 0.5)
    stone = between(rng, (0.35, 0.35, 0.36), (0.65, 0.58, 0.48), 0.05)
    patch.light = 0.75 + 0.5 * v / height + 0.3 * scene.sun * u / half
    colour = stone * grey(0.6 + 0.5 * facets + 0.3 * patch.noise(9))
    patch.fill(np.maximum(body * min(half, height), -v), colour, 'rock')


def draw_fence(scene: Scene, x: float, depth: float) -> None:
    """Draws boards on rails, parallel to the picture."""
    rng = scene.rng
    half, height, period = rng.uniform(3, 7), rng.uniform(1, 1.7), rng.uniform(0.25, 0.45)
    patch = scene.stand(x, depth, half, height)
    u, v = patch.u, patch.v
    paint = between(rng, (0.35, 0.25, 0.15), (0.9, 0.9, 0.88), 0.06) if rng.random() < 0.7 else any_colour(rng)
    outline = box(u, v, -half, half, 0, height)
    rails = np.minimum(np.abs(v - height * 0.25), np.abs(v - height * 0.8)) - 0.07
    boards = np.abs(u % period - period / 2) - period * 0.34
    patch.fill(outline, paint * 0.35, 'fence')
    patch.fill(np.maximum(outline, rails), paint * 0.8)
    patch.fill(np.maximum(boards, outline), paint * grey(0.8 + 0.4 * patch.noise(4)))


def draw_car(scene: Scene, x: float, depth: float) -> int:
    """Draws a car from the side or from behind; returns which way it faces."""
    rng = scene.rng
    paint, glass = any_colour(rng, 0.3, vivid=0.5), between(rng, GLASS, scene.air * 0.8)
    rear, way = rng.random() < 0.4, rng.choice([-1, 1])
    half, height = (0.95, 1.5) if rear else (rng.uniform(1.9, 2.3), rng.uniform(1.4, 1.6))
    patch = scene.stand(x, depth, half, height, shadow=half * 1.3)
    u, v = patch.u * way, patch.v
    patch.light = 0.8 + 0.4 * v / height
    if rear:
        patch.fill(box(np.abs(u), v, 0.5, 0.85, 0, 0.6, 0.08), RUBBER, 'car')
        patch.fill(polygon(u, v, (-0.9, 0.8), (-0.65, height), (0.65, height), (0.9, 0.8)), paint, 'car')
        patch.fill(box(u, v, -0.95, 0.95, 0.3, 0.95, 0.12), paint, 'car')
        patch.fill(polygon(u, v, (-0.72, 0.9), (-0.55, height - 0.12), (0.55, height - 0.12), (0.72, 0.9)), glass)
        patch.fill(box(np.abs(u), v, 0.6, 0.9, 0.62, 0.82), between(rng, (0.8, 0.1, 0.1), (1, 0.95, 0.8)))
        patch.fill(box(u, v, -0.3, 0.3, 0.45, 0.6), np.float32([0.9, 0.9, 0.85]))
        return 0
    roof = (-0.75 * half, 0.75), (-0.5 * half, height), (0.25 * half, height), (0.6 * half, 0.75)
    pane = (-0.66 * half, 0.85), (-0.47 * half, height - 0.12), (0.22 * half, height - 0.12), (0.5 * half, 0.85)
    patch.fill(polygon(u, v, *roof), paint, 'car')
    patch.fill(box(u, v, -half, half, 0.3, 0.88, 0.2), paint, 'car')
    patch.fill(np.maximum(polygon(u, v, *pane), 0.06 - np.abs(u + 0.1 * half)), glass)
    patch.fill(np.abs(v - 0.55) - 0.02 + 10 * (np.abs(u) > 0.9 * half), paint * 0.6)
    for wheel in (-0.6 * half, 0.62 * half):
        patch.fill(disc(u, v, wheel, 0.33, 0.35), RUBBER, 'car')
        patch.fill(disc(u, v, wheel, 0.33, 0.18), STEEL)
    return int(way)


def draw_bus(scene: Scene, x: float, depth: float) -> int:
    """Draws a bus from the side, a box with a row of windows, a stripe, wheels; returns which way it faces."""
    rng = scene.rng
    half, height, way = rng.uniform(3.2, 4.5), rng.uniform(2.7, 3.3), rng.choice([-1, 1])
    patch = scene.stand(x, depth, half, height, shadow=half * 1.1)
    u, v = patch.u * way, patch.v
    paint = between(rng, (0.95, 0.8, 0.15), (0.85, 0.25, 0.1)) if rng.random() < 0.75 else any_colour(rng, 0.3)
    glass = between(rng, GLASS, scene.air * 0.8)
    body = box(u, v, -half, half, 0.35, height, 0.25)
    panes = np.maximum(np.abs(v - height * 0.68) - height * 0.17, np.abs((u + half) % 1.3 - 0.65) - 0.55)
    patch.light = 0.85 + 0.3 * v / height
    patch.fill(body, paint, 'bus')
    patch.fill(np.maximum(body, np.abs(v - 1.0) - 0.15), any_colour(rng))
    patch.fill(np.maximum(panes, body + 0.2), glass)
    patch.fill(box(u, v, half * 0.72, half * 0.9, 0.45, height * 0.85), glass * 0.7)
    for wheel in (-0.6 * half, 0.55 * half):
        patch.fill(disc(u, v, wheel, 0.45, 0.48), RUBBER, 'bus')
        patch.fill(disc(u, v, wheel, 0.45, 0.25), STEEL)
    return int(way)


def draw_person(scene: Scene, x: float, depth: float) -> int:
    """Draws somebody standing or walking; returns which way they face."""
    rng = scene.rng
    height, stride, way = rng.uniform(1.55, 1.95), rng.uniform(0.05, 0.3), rng.choice([-1, 1])
    patch = scene.stand(x, depth, 0.6, height, shadow=0.8)
    u, v = patch.u * way, patch.v / height * 1.75
    skin = between(rng, (0.3, 0.18, 0.12), (0.95, 0.76, 0.65), 0.03)
    hair = between(rng, (0.08, 0.06, 0.05), (0.7, 0.6, 0.4))
    shirt, trousers = any_colour(rng, 0.4, vivid=0.4), between(rng, (0.1, 0.12, 0.3), (0.2, 0.2, 0.2))
    arm = rng.uniform(0.1, 0.35)
    legs, arms = (np.minimum(limb(u, v, -u0, v0, -u1, v1, radius), limb(u, v, u0, v0, u1, v1, radius))
                  for u0, v0, u1, v1, radius in ((0.08, 0.85, stride, 0.08, 0.11), (0.2, 1.32, 0.2 + arm, 0.85, 0.07)))
    patch.fill(legs, trousers, 'person')
    patch.fill(arms, shirt * 0.85, 'person')
    patch.fill(polygon(u, v, (-0.2, 0.75), (-0.27, 1.4), (0.27, 1.4), (0.2, 0.75)) - 0.03, shirt, 'person')
    patch.fill(disc(u, v, 0, 1.6, 0.15), hair, 'person')
    patch.fill(disc(u, v, 0.05, 1.57, 0.12), skin)
    return int(way)


def draw_sign(scene: Scene, x: float, depth: float) -> None:
    """Draws a road sign: a disc, a triangle or a board, rimmed, on a post."""
    rng = scene.rng
    radius, height, shape = rng.uniform(0.55, 0.85), rng.uniform(1.6, 2.6), rng.integers(3)
    patch = scene.stand(x, depth, radius, height + radius)
    u, v = patch.u, patch.v - height
    patch.fill(box(u, v, -0.07, 0.07, -height, 0), between(rng, (0.3, 0.3, 0.3), (0.7, 0.7, 0.7)), 'sign')
    rim, face = between(rng, (0.85, 0.1, 0.1), (0.7, 0.1, 0.3)), between(rng, (0.95, 0.85, 0.1), (0.95, 0.95, 0.95))
    plate = (disc(u, v, 0, 0, radius),
             polygon(u, v, (-radius, -0.7 * radius), (0, radius), (radius, -0.7 * radius)),
             box(u, v, -radius, radius, -0.8 * radius, 0.8 * radius, 0.08))[shape]
    patch.fill(plate, rim, 'sign')
    patch.fill(plate + 0.2 * radius, face)
    patch.fill(box(u, v, -0.45 * radius, 0.45 * radius, -0.18 * radius, 0.08 * radius), rim * 0.5)
