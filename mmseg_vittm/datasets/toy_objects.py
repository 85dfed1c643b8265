"""What a toy scene shows: the backdrop, the ground, and the things that stand on it; and ``draw_scene``."""

import numpy as np

from .toy_drawing import Scene, any_colour, between, box, disc, limb, polygon


def grey(factor):
    """An array of brightness factors as one that multiplies colours."""
    return factor[..., None]


def draw_sky(scene):
    """A gradient from the zenith to the horizon, with clouds."""
    rng = scene.rng
    zenith = between(rng, (0.15, 0.35, 0.75), (0.75, 0.75, 0.75), 0.08)
    scene.air = between(rng, (0.9, 0.85, 0.8), (0.65, 0.75, 0.85), 0.08)
    if rng.random() < 0.25:
        scene.air = between(rng, (0.95, 0.6, 0.35), (0.85, 0.55, 0.6))
    down = grey(np.clip(scene.rows / scene.horizon, 0, 1))
    sky = zenith * (1 - down) + scene.air * down
    across = scene.columns / scene.size
    clouds = scene.noise(across * 4 + 3, scene.rows / scene.size * rng.uniform(6, 12), 4)
    cover = grey(np.clip((clouds - rng.uniform(0.4, 0.8)) * 5, 0, 1))
    shade = between(rng, (0.95, 0.95, 0.95), (0.55, 0.55, 0.6))
    scene.image[:] = sky * (1 - cover) + shade * (0.8 + 0.4 * grey(clouds)) * cover
    scene.label[:] = 1


def draw_mountains(scene):
    """One to three ridges, hazier the further away."""
    rng = scene.rng
    patch = scene.patch(0, 200, 400, 400)
    rock = between(rng, (0.3, 0.35, 0.3), (0.55, 0.5, 0.45), 0.08)
    if rng.random() < 0.3:
        rock = between(rng, (0.15, 0.3, 0.1), (0.4, 0.45, 0.2))
    peak, ridges = rng.uniform(50, 130), rng.integers(1, 4)
    snow = rng.uniform(0.5, 1.5) * peak
    for ridge in range(ridges):
        top = peak * (1 - 0.3 * ridge) * scene.noise(patch.u / 45 + 20 * ridge, np.full_like(patch.u, ridge + 0.5), 4)
        slope = scene.noise((patch.u + patch.v * 0.6) / 8, (patch.v - patch.u * 0.3) / 20 + 9 * ridge, 3)
        colour = rock * grey(0.55 + 0.9 * slope)
        colour = np.where(grey(top + 20 * slope - 10 > snow), 0.95, colour)
        patch.clear = np.float32(rng.uniform(0.45, 0.6) + 0.13 * ridge)
        patch.light = 1 + 0.5 * scene.sun * (slope - 0.5)
        patch.fill((patch.v - top) * 0.7, colour, 'mountain')


def draw_ground(scene):
    """Grass or paving to the horizon; a road, perhaps with pavements, and water laid over it, all in perspective."""
    rng, patch = scene.rng, scene.ground()
    u, v = patch.u, patch.v
    rough = patch.noise(6, 2)
    patches = patch.noise(0.35, 2)
    grass = between(rng, (0.2, 0.4, 0.12), (0.6, 0.55, 0.3), 0.06)
    paving = between(rng, (0.4, 0.4, 0.4), (0.75, 0.7, 0.62), 0.06)
    asphalt = between(rng, (0.2, 0.2, 0.22), (0.6, 0.57, 0.55), 0.05)
    tile = rng.uniform(0.5, 1.1)
    near = np.clip(patch.scale * tile / 4 - 0.3, 0, 1)
    joints = (np.minimum(u % tile, v % tile) < 0.06 * tile + 0.5 / patch.scale) * near
    tiled = paving * grey((0.85 + 0.3 * rough) * (1 - 0.35 * joints))
    meadow = grass * grey(0.55 + 0.5 * rough + 0.4 * patches)
    everywhere = np.full_like(u, -1000)
    town = rng.random() < 0.3
    patch.fill(everywhere, tiled if town else meadow, 'pavement' if town else 'grass')
    if rng.random() < 0.6:
        shore = patch.noise(0.08, 2) * 14
        side, edge = rng.choice([-1, 1]), rng.uniform(-5, 4)
        if rng.random() < 0.5:
            distance = rng.uniform(2, 9) + 0.5 * shore - v
        else:
            distance = edge + 0.6 * shore - side * u
        ripple = scene.noise(u * 0.8, scene.rows[patch.window] / scene.size * 90, 2)
        mirror = scene.image[np.clip(2 * int(scene.horizon) - np.arange(int(scene.horizon) + 1, scene.size), 0, None)]
        tint = between(rng, (0.1, 0.3, 0.4), (0.35, 0.5, 0.6), 0.06)
        water = (0.55 * mirror + 0.45 * tint) * grey(0.75 + 0.5 * ripple)
        patch.fill(distance * np.minimum(1, 12 / v), water, 'water')
    if rng.random() < 0.75:
        if rng.random() < 0.25:
            middle, along, across = rng.uniform(7, 14), u, v
        else:
            bend = rng.normal(0, 0.004)
            middle, along, across = rng.uniform(-3, 3) + bend * v * v, v, u
        half = rng.uniform(2.2, 4.5)
        off = np.abs(across - middle)
        if rng.random() < 0.7:
            patch.fill(off - half - rng.uniform(1.5, 3.5), tiled, 'pavement')
        patch.fill(off - half, asphalt * grey(0.8 + 0.4 * patch.noise(12, 2)), 'road')
        paint = between(rng, (0.9, 0.9, 0.9), (0.9, 0.8, 0.4))
        if rng.random() < 0.8:
            patch.fill(np.maximum(off - 0.1, np.abs(along % 4 - 2) - 1), paint)
        if rng.random() < 0.6:
            patch.fill(np.abs(off - half + 0.35) - 0.09, paint)


def draw_building(scene, x, depth):
    """A box in true perspective: a front, a side towards the vanishing point, windows, perhaps a gable."""
    rng = scene.rng
    half, height, length = rng.uniform(2.5, 6), rng.uniform(4, 16), rng.uniform(5, 15)
    x = x if abs(x) > half + 1.5 else np.copysign(half + 1.5, x)
    wall, glass = any_colour(rng, 0.3, 0.9), between(rng, (0.1, 0.12, 0.15), scene.air)
    wall = 0.6 * wall + 0.4 * wall.mean()
    storey, bay, sill = rng.uniform(2.4, 3.4), rng.uniform(1.6, 3), rng.uniform(0.5, 0.8)
    bricks = rng.random() < 0.5

    def facade(patch, u, v, distance, light):
        colour = wall * grey(0.88 + 0.24 * patch.noise(3))
        if bricks:
            row = np.floor(v / 0.4)
            joint = (v % 0.4 < 0.08) | ((u + 0.45 * (row % 2)) % 0.9 < 0.08)
            colour = colour * grey(1 - 0.3 * joint)
        patch.light = light
        patch.fill(distance, colour, 'building')
        pane = np.maximum(np.abs(u % bay - bay / 2) - bay * 0.28, np.abs(v % storey - storey / 2) - sill)
        inside = np.maximum(distance + 0.4, v - height + 0.3)
        patch.fill(np.maximum(pane - 0.12, inside), wall * 0.6 + 0.3)
        patch.fill(np.maximum(pane, inside), glass * grey(0.6 + 0.6 * patch.noise(0.7)))

    near = x - np.copysign(half, x)
    columns = slice(*sorted(
        int(np.clip(scene.vanishing + near * scene.focal / d, -2, scene.size + 2)) + pad
        for d, pad in ((depth, np.copysign(2, near)), (depth + length, -np.copysign(2, near)))))
    columns = slice(*(int(np.clip(c, 0, scene.size)) for c in (columns.start, columns.stop)))
    side = scene.patch(0, depth, 1000, 3 * height)
    if side is not None and columns.start < columns.stop:
        side.window = (side.window[0], columns)
        scale = np.maximum((scene.columns[side.window] - scene.vanishing) / near, 1e-3)
        away, up = scene.focal / scale, scene.height - (scene.rows[side.window] - scene.horizon) / scale
        side.u, side.v, side.scale = away, up, scale
        facade(side, away - depth, up, box(away, up, depth, depth + length, 0, height),
               1 + 0.3 * scene.sun * np.sign(x))
    roof = rng.uniform(1, 3) if rng.random() < 0.5 else 0
    front = scene.patch(x, depth, half, height + roof)
    if front is None:
        return
    if roof:
        tiles = any_colour(rng, 0.15, 0.6) * grey(0.8 + 0.4 * (front.v % 0.5 > 0.12))
        corners = ((-half, height), (0, height + roof), (half, height))
        front.fill(polygon(front.u, front.v, *corners), tiles, 'building')
    facade(front, front.u + half, front.v, box(front.u, front.v, -half, half, -0.1, height), 1.0)
    if rng.random() < 0.7:
        front.fill(box(front.u, front.v, -0.6, 0.6, 0, 2.1), any_colour(rng))


def draw_tree(scene, x, depth):
    """A trunk under a crown of leaves, round or a conifer."""
    rng = scene.rng
    height = rng.uniform(3.5, 8)
    width = height * rng.uniform(0.25, 0.4)
    patch = scene.patch(x, depth, width * 1.3, height * 1.1)
    scene.shadow(x, depth, width * 1.2)
    if patch is None:
        return
    u, v = patch.u, patch.v
    bark = between(rng, (0.2, 0.13, 0.08), (0.5, 0.45, 0.4))
    leaf = between(rng, (0.1, 0.28, 0.08), (0.45, 0.5, 0.2), 0.06)
    if rng.random() < 0.2:
        leaf = between(rng, (0.65, 0.45, 0.1), (0.6, 0.2, 0.1))
    patch.fill(box(u, v, -0.05 * height, 0.05 * height, 0, height * 0.5), bark * grey(0.6 + 0.8 * patch.noise(3)), 'tree')
    leaves = patch.noise(2.2, 3)
    if rng.random() < 0.35:
        crown = np.maximum(np.abs(u) - width * (0.35 + 0.55 * ((height - v) % (height / 4)) / (height / 4))
                           * np.clip((height - v) / height, 0, 1) ** 0.6, np.maximum(v - height, height * 0.15 - v))
    else:
        crown = np.minimum.reduce([
            disc(u, v, rng.normal(0, 0.4) * width, height * rng.uniform(0.5, 0.8), width * rng.uniform(0.5, 0.75))
            for _ in range(6)])
    crown = crown + (leaves - 0.5) * 0.16 * height
    patch.light = 1 + 0.3 * (scene.sun * u / width + v / height - 0.6)
    patch.fill(crown, leaf * grey(0.25 + 1.5 * leaves), 'tree')


def draw_rock(scene, x, depth):
    """A boulder."""
    rng = scene.rng
    half, height = rng.uniform(0.7, 1.6), rng.uniform(0.6, 1.5)
    patch = scene.patch(x, depth, half * 1.3, height * 1.2)
    scene.shadow(x, depth, half * 1.5)
    if patch is None:
        return
    u, v = patch.u, patch.v
    facets = scene.noise(np.round((u + v * 0.5) * 2.2 / half) + 50, np.round((v - u * 0.4) * 2.2 / half), 1)
    body = np.hypot(u / half, v / height) - 1 + 0.35 * (patch.noise(1.5 / half) - 0.5)
    stone = between(rng, (0.35, 0.35, 0.36), (0.65, 0.58, 0.48), 0.05)
    patch.light = 0.75 + 0.5 * v / height + 0.3 * scene.sun * u / half
    patch.fill(np.maximum(body * min(half, height), -v), stone * grey(0.6 + 0.5 * facets + 0.3 * patch.noise(9)), 'rock')


def draw_fence(scene, x, depth):
    """Boards on rails, parallel to the picture."""
    rng = scene.rng
    half, height, period = rng.uniform(3, 7), rng.uniform(1, 1.7), rng.uniform(0.25, 0.45)
    patch = scene.patch(x, depth, half, height)
    if patch is None:
        return
    u, v = patch.u, patch.v
    paint = between(rng, (0.35, 0.25, 0.15), (0.9, 0.9, 0.88), 0.06) if rng.random() < 0.7 else any_colour(rng)
    outline = box(u, v, -half, half, 0, height)
    patch.fill(outline, paint * 0.35, 'fence')
    patch.fill(np.maximum(outline, np.minimum(np.abs(v - height * 0.25), np.abs(v - height * 0.8)) - 0.07), paint * 0.8)
    boards = np.abs(u % period - period / 2) - period * 0.34
    patch.fill(np.maximum(boards, outline), paint * grey(0.8 + 0.4 * patch.noise(4)))


def draw_car(scene, x, depth):
    """A car from the side or from behind."""
    rng = scene.rng
    paint, glass = any_colour(rng), between(rng, (0.08, 0.1, 0.12), scene.air * 0.8)
    rear, way = rng.random() < 0.4, rng.choice([-1, 1])
    half, height = (0.95, 1.5) if rear else (rng.uniform(1.9, 2.3), rng.uniform(1.4, 1.6))
    patch = scene.patch(x, depth, half, height)
    scene.shadow(x, depth, half * 1.3)
    if patch is None:
        return
    u, v = patch.u * way, patch.v
    tyre = np.float32([0.06, 0.06, 0.07])
    patch.light = 0.8 + 0.4 * v / height
    wheels = (-0.6 * half, 0.62 * half)
    if rear:
        patch.fill(box(np.abs(u), v, 0.5, 0.85, 0, 0.6, 0.08), tyre, 'car')
        patch.fill(polygon(u, v, (-0.9, 0.8), (-0.65, height), (0.65, height), (0.9, 0.8)), paint, 'car')
        patch.fill(box(u, v, -0.95, 0.95, 0.3, 0.95, 0.12), paint, 'car')
        patch.fill(polygon(u, v, (-0.72, 0.9), (-0.55, height - 0.12), (0.55, height - 0.12), (0.72, 0.9)), glass)
        patch.fill(box(np.abs(u), v, 0.6, 0.9, 0.62, 0.82), between(rng, (0.8, 0.1, 0.1), (1, 0.95, 0.8)))
        patch.fill(box(u, v, -0.3, 0.3, 0.45, 0.6), np.float32([0.9, 0.9, 0.85]))
        return
    roof = ((-0.75 * half, 0.75), (-0.5 * half, height), (0.25 * half, height), (0.6 * half, 0.75))
    patch.fill(polygon(u, v, *roof), paint, 'car')
    patch.fill(box(u, v, -half, half, 0.3, 0.88, 0.2), paint, 'car')
    panes = polygon(u, v, (-0.66 * half, 0.85), (-0.47 * half, height - 0.12), (0.22 * half, height - 0.12),
                    (0.5 * half, 0.85))
    patch.fill(np.maximum(panes, 0.06 - np.abs(u + 0.1 * half)), glass)
    patch.fill(np.abs(v - 0.55) - 0.02 + 10 * (np.abs(u) > 0.9 * half), paint * 0.6)
    for wheel in wheels:
        patch.fill(disc(u, v, wheel, 0.33, 0.35), tyre, 'car')
        patch.fill(disc(u, v, wheel, 0.33, 0.18), np.float32([0.6, 0.6, 0.62]))


def draw_bus(scene, x, depth):
    """A bus from the side: a long box with one row of windows, a stripe and wheels."""
    rng = scene.rng
    half, height, way = rng.uniform(3.2, 4.5), rng.uniform(2.7, 3.3), rng.choice([-1, 1])
    patch = scene.patch(x, depth, half, height)
    scene.shadow(x, depth, half * 1.1)
    if patch is None:
        return
    u, v = patch.u * way, patch.v
    paint, glass = any_colour(rng, 0.3), between(rng, (0.08, 0.1, 0.12), scene.air * 0.8)
    body = box(u, v, -half, half, 0.35, height, 0.25)
    patch.light = 0.85 + 0.3 * v / height
    patch.fill(body, paint, 'bus')
    patch.fill(np.maximum(body, np.abs(v - 1.0) - 0.15), any_colour(rng))
    panes = np.maximum(np.abs(v - height * 0.68) - height * 0.17, np.abs((u + half) % 1.3 - 0.65) - 0.55)
    patch.fill(np.maximum(panes, body + 0.2), glass)
    patch.fill(box(u, v, half * 0.72, half * 0.9, 0.45, height * 0.85), glass * 0.7)
    for wheel in (-0.6 * half, 0.55 * half):
        patch.fill(disc(u, v, wheel, 0.45, 0.48), np.float32([0.06, 0.06, 0.07]), 'bus')
        patch.fill(disc(u, v, wheel, 0.45, 0.25), np.float32([0.6, 0.6, 0.62]))


def draw_person(scene, x, depth):
    """Somebody standing or walking."""
    rng = scene.rng
    height, stride, way = rng.uniform(1.55, 1.95), rng.uniform(0.05, 0.3), rng.choice([-1, 1])
    patch = scene.patch(x, depth, 0.6, height)
    scene.shadow(x, depth, 0.8)
    if patch is None:
        return
    u, v = patch.u * way, patch.v / height * 1.75
    skin, hair = between(rng, (0.3, 0.18, 0.12), (0.95, 0.76, 0.65), 0.03), between(rng, (0.08, 0.06, 0.05), (0.7, 0.6, 0.4))
    shirt, trousers = any_colour(rng), any_colour(rng, 0.08, 0.7)
    legs = np.minimum(limb(u, v, -0.08, 0.85, -stride, 0.08, 0.11), limb(u, v, 0.08, 0.85, stride, 0.08, 0.11))
    patch.fill(legs, trousers, 'person')
    arm = rng.uniform(0.1, 0.35)
    patch.fill(np.minimum(limb(u, v, -0.2, 1.32, -0.2 - arm, 0.85, 0.07), limb(u, v, 0.2, 1.32, 0.2 + arm, 0.85, 0.07)),
               shirt * 0.85, 'person')
    patch.fill(polygon(u, v, (-0.2, 0.75), (-0.27, 1.4), (0.27, 1.4), (0.2, 0.75)) - 0.03, shirt, 'person')
    patch.fill(disc(u, v, 0, 1.6, 0.15), hair, 'person')
    patch.fill(disc(u, v, 0.05, 1.57, 0.12), skin)


def draw_sign(scene, x, depth):
    """A road sign: a disc, a triangle or a board, rimmed, on a post."""
    rng = scene.rng
    radius, height, shape = rng.uniform(0.55, 0.85), rng.uniform(1.6, 2.6), rng.integers(3)
    patch = scene.patch(x, depth, radius, height + radius)
    if patch is None:
        return
    u, v = patch.u, patch.v - height
    patch.fill(box(u, v, -0.07, 0.07, -height, 0), between(rng, (0.3, 0.3, 0.3), (0.7, 0.7, 0.7)), 'sign')
    rim, face = any_colour(rng), any_colour(rng, 0.4, 1)
    if shape == 0:
        plate = disc(u, v, 0, 0, radius)
    elif shape == 1:
        plate = polygon(u, v, (-radius, -0.7 * radius), (0, radius), (radius, -0.7 * radius))
    else:
        plate = box(u, v, -radius, radius, -0.8 * radius, 0.8 * radius, 0.08)
    patch.fill(plate, rim, 'sign')
    patch.fill(plate + 0.2 * radius, face)
    patch.fill(box(u, v, -0.45 * radius, 0.45 * radius, -0.18 * radius, 0.08 * radius), rim * 0.5)


# What may stand in a scene: how it is drawn, how many at most, the chance of any, nearest and furthest in metres.
THINGS = (
    (draw_building, 3, 0.6, 13, 35), (draw_tree, 4, 0.65, 7, 20), (draw_fence, 2, 0.4, 6, 12),
    (draw_rock, 3, 0.4, 4, 8), (draw_bus, 2, 0.45, 8, 13), (draw_car, 3, 0.6, 5, 10),
    (draw_person, 4, 0.6, 3.5, 6.5), (draw_sign, 3, 0.55, 4, 8))


def draw_scene(rng, size):
    """Draws one scene.

    Args:
        rng (np.random.Generator): Decides everything; the same state gives the same scene, bit by bit.
        size (int): Side of the picture in pixels.

    Returns:
        tuple: The image, uint8 (size, size, 3) in RGB order, and the labels, uint8 (size, size): 0 is unlabelled,
        k is ``CLASSES[k - 1]``.
    """
    scene = Scene(rng, size)
    draw_sky(scene)
    if rng.random() < 0.65:
        draw_mountains(scene)
    draw_ground(scene)
    things = []
    for draw, most, chance, nearest, furthest in THINGS:
        if rng.random() < chance:
            for _ in range(rng.integers(1, most + 1)):
                depth = nearest * (furthest / nearest) ** rng.random()
                column = rng.uniform(0, size)
                things.append((depth, (column - scene.vanishing) * depth / scene.focal, draw))
    for depth, x, draw in sorted(things, key=lambda thing: -thing[0]):
        draw(scene, x, depth)
    return develop(scene), scene.label


def develop(scene):
    """The photograph: a colour cast and brightness for the time of day, uneven light, sensor noise; uint8."""
    rng = scene.rng
    warm = rng.normal(0, 0.12)
    cast = np.float32([1 + warm, 1 + rng.normal(0, 0.03), 1 - warm]) * np.float32(rng.uniform(0.65, 1.15))
    light = 0.85 + 0.3 * scene.noise(scene.columns / scene.size * 2, scene.rows / scene.size * 2, 1)
    image = np.clip(scene.image, 0, 1) * cast * grey(light)
    image = np.clip(image, 0, 1) ** np.float32(rng.uniform(0.75, 1.2))
    image += rng.normal(0, rng.uniform(0.01, 0.03), image.shape).astype(np.float32)
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
