"""Where labels go beside crowded points: clear of each other, of markers, bars and the edges."""
import math
from collections.abc import Sequence

Box = tuple[float, float, float, float]  # left, bottom, right, top
Place = tuple[float, float]
Line = tuple[Place, Place]


def boxes_overlap(one: Box, other: Box, pad: float = 0.0) -> bool:
    """Whether two boxes come nearer to each other than `pad`."""
    return (one[0] < other[2] + pad and other[0] < one[2] + pad
            and one[1] < other[3] + pad and other[1] < one[3] + pad)


def line_crosses_box(start: Place, end: Place, box: Box) -> bool:
    """Whether a straight line passes through a box."""
    low, high = 0.0, 1.0
    for axis in (0, 1):
        step = end[axis] - start[axis]
        near, far = box[axis] - start[axis], box[axis + 2] - start[axis]
        if step == 0:
            if not near < 0 < far:
                return False
            continue
        low, high = max(low, min(near / step, far / step)), min(high, max(near / step, far / step))
    return low < high


def nearest_in_box(place: Place, box: Box) -> Place:
    """Returns the place in a box that is nearest to another place."""
    return min(max(place[0], box[0]), box[2]), min(max(place[1], box[1]), box[3])


def _candidates(anchor: Place, size: Place) -> list[tuple[float, Box]]:
    """Boxes for a label around its anchor, each with its cost: the distance, and how unusual the side is."""
    found, (width, height) = [], size
    for ring in (8, 12, 17, 23, 30, 38, 48, 60, 74, 90):
        # Shift of the centre to the side, in half widths; up or down; the cost.
        for side, up, cost in ((1, 0, 0), (0, 1, 1), (1, 1, 1), (-1, 0, 2), (0, -1, 2), (1, -1, 2), (-1, 1, 3),
                               (-1, -1, 3), (.6, 1, 4), (-.6, 1, 4), (.6, -1, 4), (-.6, -1, 4)):
            reach = ring if not up else 0.6 * ring if abs(side) == 1 else 0
            x = anchor[0] + side * width / 2 + math.copysign(reach, side) * (side != 0)
            y = anchor[1] + up * (height / 2 + (0.6 * ring if abs(side) == 1 else ring))
            found.append((ring + cost, (x - width / 2, y - height / 2, x + width / 2, y + height / 2)))
    return found


def place_labels(anchors: Sequence[Place], sizes: Sequence[Place], bounds: Box, lines: Sequence[Line] = (),
                 bars: Sequence[Line] = (), radius: float = 5.0) -> list[Box]:
    """Places a label beside each anchor so that labels keep clear of each other, of markers, bars and the edges.

    Each label in turn, and again until nothing improves, takes the cheapest of a fixed set of places; so the same
    input has the same result. All lengths are in one unit, such as points.

    Args:
        anchors: Centres of the markers.
        sizes: (width, height) of the labels.
        bounds: The box that holds all labels.
        lines: Lines that labels had better not lie on.
        bars: Lines that labels must not lie on.
        radius: Half the size of a marker.

    Returns:
        A box per label.
    """
    markers = [(x - radius, y - radius, x + radius, y + radius) for x, y in anchors]
    options = [_candidates(anchor, size) for anchor, size in zip(anchors, sizes, strict=True)]
    placed: dict[int, Box] = {}

    def cost(index: int, box: Box) -> float:
        anchor = anchors[index]
        end = nearest_in_box(anchor, box)
        around = (box[0] - 3, box[1] - 1, box[2] + 3, box[3] + 1)
        wrong = (box[0] < bounds[0]) + (box[1] < bounds[1]) + (box[2] > bounds[2]) + (box[3] > bounds[3])
        wrong += sum(line_crosses_box(*bar, around) for bar in bars)
        doubtful = sum(line_crosses_box(*line, box) for line in lines)
        for other, marker in enumerate(markers):
            if other == index:
                continue
            wrong += boxes_overlap(box, marker, 1.0) + line_crosses_box(anchor, end, marker)
            doubtful += math.dist(anchors[other], nearest_in_box(anchors[other], box)) < 1.5 * math.dist(anchor, end)
            if other in placed:
                wrong += boxes_overlap(box, placed[other], 2.0) + line_crosses_box(anchor, end, placed[other])
                wrong += line_crosses_box(anchors[other], nearest_in_box(anchors[other], placed[other]), box)
        return 1000 * wrong + 12 * doubtful

    def cheapest(index: int) -> Box:
        return min(options[index], key=lambda option: option[0] + cost(index, option[1]))[1]

    for _ in range(12):
        before = dict(placed)
        for index in sorted(range(len(anchors)), key=lambda i: anchors[i]):
            placed[index] = cheapest(index)
        if placed == before:
            break
    return [placed[index] for index in range(len(anchors))]
