"""The canvas of a toy scene: a pinhole camera over a ground plane, and shapes to paint on it back to front.

Everything is a signed distance in metres (negative inside), so edges are antialiased, sizes follow the depth, and
the result depends on numpy alone.
"""

import numpy as np

CLASSES = ('sky', 'mountain', 'water', 'grass', 'road', 'pavement', 'building', 'fence', 'tree', 'rock', 'car', 'bus',
           'person', 'sign')


class Noise:
    """Smooth value noise in [0, 1] that repeats every 64 units.

    Args:
        rng (np.random.Generator): Where the lattice comes from.
    """

    def __init__(self, rng):
        self.lattice = np.pad(rng.random((64, 64), dtype=np.float32), (0, 1), mode='wrap').ravel()

    def __call__(self, u, v, octaves=2):
        """Noise at the points (u, v), arrays of one shape; each octave has half the size and twice the rate."""
        total = 0
        for octave in range(octaves):
            left, low = np.floor(u), np.floor(v)
            fu, fv = u - left, v - low
            fu, fv = fu * fu * (3 - 2 * fu), fv * fv * (3 - 2 * fv)
            left, low = left.astype(np.int32), low.astype(np.int32)
            corner = (low & 63) * 65 + (left & 63)
            below = self.lattice.take(corner)
            below += fu * (self.lattice.take(corner + 1) - below)
            above = self.lattice.take(corner + 65)
            above += fu * (self.lattice.take(corner + 66) - above)
            total = total + (below + fv * (above - below)) * 0.5 ** (octave + 1)
            u, v = 2 * u + 17.3, 2 * v + 5.7
        return total / (1 - 0.5 ** octaves)


class Scene:
    """A picture being painted, its labels, its camera and its light.

    The camera looks along the ground from `height` metres above it: a point x metres to the right, v metres up and
    `depth` metres away lies at column `vanishing + x * focal / depth`, row
    `horizon + (height - v) * focal / depth`.

    Args:
        rng (np.random.Generator): Decides everything that is random.
        size (int): Side of the square picture in pixels.
    """

    def __init__(self, rng, size):
        self.rng, self.size, self.noise = rng, size, Noise(rng)
        self.horizon = size * rng.uniform(0.27, 0.6)
        self.vanishing = size * rng.uniform(0.2, 0.8)
        self.focal = size * rng.uniform(0.8, 1.1)
        self.height = rng.uniform(1.6, 3.2)
        self.sun = rng.choice([-1, 1]) * rng.uniform(0.3, 1)
        self.haze = rng.uniform(60, 300)
        self.air = np.float32([0.8, 0.8, 0.8])
        self.image = np.zeros((size, size, 3), np.float32)
        self.label = np.zeros((size, size), np.uint8)
        self.rows, self.columns = np.mgrid[0:size, 0:size].astype(np.float32) + 0.5

    def patch(self, x, depth, half_width, height):
        """The window in which something of this size stands at (x, depth), all in metres; None if out of sight."""
        scale = self.focal / depth
        foot = self.horizon + self.height * scale
        centre = self.vanishing + x * scale
        left, right = int(centre - half_width * scale) - 2, int(centre + half_width * scale) + 3
        top, bottom = int(foot - height * scale) - 2, int(foot) + 3
        left, right, top, bottom = max(left, 0), min(right, self.size), max(top, 0), min(bottom, self.size)
        if left >= right or top >= bottom:
            return None
        window = (slice(top, bottom), slice(left, right))
        u = (self.columns[window] - centre) / scale
        v = (foot - self.rows[window]) / scale
        return Patch(self, window, u, v, scale, depth, self.sun * u / half_width)

    def ground(self):
        """The part below the horizon as a patch whose u and v are metres to the right and metres away."""
        window = (slice(int(self.horizon) + 1, self.size), slice(0, self.size))
        scale = (self.rows[window] - self.horizon) / self.height
        depth = self.focal / scale
        return Patch(self, window, (self.columns[window] - self.vanishing) / scale, depth, scale, depth, 0)

    def shadow(self, x, depth, length):
        """Darkens the ground beside something that stands at (x, depth), on the side away from the sun."""
        scale = self.focal / depth
        row, column = self.horizon + self.height * scale, self.vanishing + (x - self.sun * length / 2) * scale
        rows = slice(max(int(row - length * scale), int(self.horizon) + 1), max(int(row + length * scale), 0))
        d = np.hypot((self.columns[rows] - column) / (length * scale), (self.rows[rows] - row) / (0.2 * length * scale))
        self.image[rows] *= 1 - 0.45 * np.clip(3 - 3 * d, 0, 1)[..., None]


class Patch:
    """A window of the scene with coordinates in metres.

    Attributes:
        u (np.ndarray): Metres to the right of the object's middle.
        v (np.ndarray): Metres above the ground.
        scale (float or np.ndarray): Pixels per metre.
    """

    def __init__(self, scene, window, u, v, scale, depth, light):
        self.scene, self.window, self.u, self.v, self.scale = scene, window, u, v, scale
        self.clear = np.exp(-depth / scene.haze)
        self.light = 1 + 0.25 * light

    def noise(self, rate, octaves=2):
        """Noise fixed to the object, `rate` bumps a metre."""
        return self.scene.noise(self.u * rate + 31, self.v * rate + 7, octaves)

    def fill(self, distance, colour, name=None):
        """Paints where `distance` is negative; with a class name it also labels, and leaves the contour unlabelled.

        Args:
            distance (np.ndarray): Signed distance in metres, of the window's shape.
            colour (np.ndarray): RGB in [0, 1], (3,) or one per pixel.
            name (str, optional): The class; None paints a detail of something already labelled.
        """
        pixels = distance * self.scale
        cover = np.clip(0.5 - pixels, 0, 1)[..., None]
        lit = colour * np.broadcast_to(self.light, pixels.shape)[..., None]
        clear = np.broadcast_to(self.clear, pixels.shape)[..., None]
        image, label = self.scene.image[self.window], self.scene.label[self.window]
        image += cover * (lit * clear + self.scene.air * (1 - clear) - image)
        if name is not None:
            index = CLASSES.index(name) + 1
            label[(pixels < 0.5) & (label != index)] = 0
            label[pixels < -0.5] = index


def box(u, v, left, right, bottom, top, radius=0.0):
    """Signed distance to a rectangle with rounded corners."""
    du = np.abs(u - (left + right) / 2) - (right - left) / 2 + radius
    dv = np.abs(v - (bottom + top) / 2) - (top - bottom) / 2 + radius
    return np.minimum(np.maximum(du, dv), 0) + np.hypot(np.maximum(du, 0), np.maximum(dv, 0)) - radius


def disc(u, v, centre_u, centre_v, radius):
    """Signed distance to a disc."""
    return np.hypot(u - centre_u, v - centre_v) - radius


def limb(u, v, u0, v0, u1, v1, radius):
    """Signed distance to a line of the given half-thickness with round ends."""
    du, dv = u1 - u0, v1 - v0
    t = np.clip(((u - u0) * du + (v - v0) * dv) / (du * du + dv * dv), 0, 1)
    return np.hypot(u - u0 - t * du, v - v0 - t * dv) - radius


def polygon(u, v, *corners):
    """Signed distance (a lower bound outside) to a convex polygon whose corners run clockwise, v pointing up."""
    distance = np.full_like(u, -np.inf)
    for (u0, v0), (u1, v1) in zip(corners, corners[1:] + corners[:1], strict=True):
        du, dv = u1 - u0, v1 - v0
        distance = np.maximum(distance, (du * (v - v0) - dv * (u - u0)) / np.hypot(du, dv))
    return distance


def any_colour(rng, dark=0.1, bright=0.95, vivid=0.0):
    """A colour of any hue, from grey (or, at the least, so vivid) to vivid."""
    value, saturation = rng.uniform(dark, bright), max(vivid, rng.uniform(0, 0.8) ** 1.3)
    hue = np.float32(np.clip(np.abs((rng.uniform(0, 6) + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1))
    return np.float32(value) * (1 - np.float32(saturation) * (1 - hue))


def between(rng, first, second, jitter=0.05):
    """A colour on the way from one to another, with each channel a little off."""
    t = rng.uniform()
    colour = np.float32(first) * (1 - t) + np.float32(second) * t + rng.normal(0, jitter, 3)
    return np.clip(colour, 0.02, 1).astype(np.float32)


def grey(factor):
    """An array of brightness factors as one that multiplies colours."""
    return factor[..., None]
