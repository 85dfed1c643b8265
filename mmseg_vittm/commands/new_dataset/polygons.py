"""Polygons of COCO's kind, as Label Studio and CVAT export them, drawn as label maps."""
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import DataError, InputError, one_line, shown
from .class_lists import ClassEntry
from .pairs import IMAGES, files_below

MOST_CLASSES = 254  # 0 is what nobody drew, 255 void
WAYS = {'Label Studio': 'in Label Studio export as "COCO"', 'CVAT': 'in CVAT export as "COCO 1.0"'}


class Drawing(NamedTuple):
    """An image with the shapes on it.

    Attributes:
        image: The image's file.
        stated_size: (height, width) that the file of polygons says; None where it does not.
        shapes: Each its class, counted from 1, and its outline as COCO has it: lists of x, y, ..., or an RLE.
    """
    image: Path
    stated_size: tuple[int, int] | None
    shapes: list[tuple[int, list | dict]]


class Polygons(NamedTuple):
    """What a file of polygons holds.

    Attributes:
        classes: In the order of the categories' numbers.
        drawings: By image.
    """
    classes: list[ClassEntry]
    drawings: list[Drawing]


def read_polygons(file: Path, images: Path, allow_missing: bool) -> Polygons:
    """Reads a JSON file of COCO's kind.

    Args:
        file: The file.
        images: The folder that its images are below.
        allow_missing: Leave out images that are not there.

    Raises:
        DataError: It is no such file, an image is not there, or an outline is none.
        InputError: pycocotools is missing.
    """
    try:
        import pycocotools.mask  # noqa: F401
    except ImportError as error:
        raise InputError(f"{file}: needs pycocotools; pip install 'mmseg-vittm[annotations]'") from error
    content = _read(file)
    categories = sorted(content['categories'], key=lambda one: one['id'])
    used = {one['category_id'] for one in content['annotations']}
    unknown = used - {one['id'] for one in categories}
    if unknown:
        raise DataError(file, f'the category {min(unknown)} of an annotation is not listed', 'export it again')
    if not categories or len(categories) > MOST_CLASSES:
        raise DataError(file, f'has {len(categories)} categories', f'give 1 to {MOST_CLASSES}')
    numbers = {one['id']: number for number, one in enumerate(categories, 1)}
    shapes: dict[object, list] = {}
    for one in content['annotations']:
        outline = one.get('segmentation')
        if outline:
            shapes.setdefault(one['image_id'], []).append((float(one.get('area') or 0), numbers[one['category_id']],
                                                           outline))
    places, drawings = _by_name(images), []
    for one in content['images']:
        image = _place_of(str(one.get('file_name')), places)
        if image is None:
            if allow_missing:
                continue
            raise DataError(file, f'its image {shown(str(one.get("file_name")))} is not below {images}',
                            'add the image, or leave such images out by allow_missing=True')
        size = (int(one['height']), int(one['width'])) if one.get('height') and one.get('width') else None
        # The largest first, so that what lies on something is not hidden by it.
        own = [(number, outline) for _, number, outline in sorted(shapes.get(one['id'], []), key=lambda one: -one[0])]
        drawings.append(Drawing(image, size, own))
    if not drawings:
        raise DataError(file, 'lists no image that is there', f'give the folder of its images, got {images}')
    return Polygons([ClassEntry(str(one['name'])) for one in categories], drawings)


def _read(file: Path) -> dict:
    """Returns the content of a COCO file, whose parts are there."""
    if file.suffix.lower() == '.xml':
        raise DataError(file, 'this is XML', WAYS['CVAT'])
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(file, f'cannot be read as JSON ({one_line(error)})', 'export it again') from error
    if isinstance(content, list):
        raise DataError(file, "this is a list of tasks, Label Studio's own kind of JSON", WAYS['Label Studio'])
    parts = ('images', 'annotations', 'categories')
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in parts):
        raise DataError(file, f'has not all of {", ".join(parts)}', "give a JSON file of COCO's kind: "
                        + '; '.join(WAYS.values()))
    keys = dict(images=('id', 'file_name'), annotations=('image_id', 'category_id'), categories=('id', 'name'))
    for part, needed in keys.items():
        for number, one in enumerate(content[part]):
            missing = [key for key in needed if not isinstance(one, dict) or key not in one]
            if missing:
                raise DataError(file, f'{part}[{number}] has no {missing[0]}', 'export it again')
    return content


def _by_name(folder: Path) -> dict[str, Path | None]:
    """Returns the images below a folder by every end of their path, `c.jpg`, `b/c.jpg`; None of an end of several."""
    found: dict[str, Path | None] = {}
    for file in files_below(folder, IMAGES):
        parts = file.relative_to(folder).parts
        for at in range(len(parts)):
            name = '/'.join(parts[at:])
            found[name] = None if name in found else file
    return found


def _place_of(name: str, places: dict[str, Path | None]) -> Path | None:
    """Returns an image by the longest end of its name that is there: exports have folders of their own before it."""
    parts = name.replace('\\', '/').split('/')
    ends = ['/'.join(parts[at:]) for at in range(len(parts))]
    # Label Studio sets eight digits and a hyphen before names of uploads.
    ends += [parts[-1].partition('-')[2]] * (len(parts[-1].partition('-')[0]) == 8)
    return next((places[end] for end in ends if places.get(end) is not None), None)


def draw(drawing: Drawing, size: tuple[int, int], file: str) -> np.ndarray:
    """Returns a drawing's label map, (H, W) uint8: 0 where nothing is, else the number of the class.

    Args:
        drawing: The drawing.
        size: (height, width) of its image.
        file: What errors name.

    Raises:
        DataError: Its size is another one, or an outline cannot be drawn.
    """
    if drawing.stated_size not in (None, size):
        raise DataError(file, 'says that {} is {} x {} pixels, it is {} x {}'.format(
            drawing.image, *drawing.stated_size[::-1], *size[::-1]), 'give the images that were annotated')
    labels = np.zeros(size, np.uint8)
    for number, outline in drawing.shapes:
        labels[_mask(outline, size, drawing.image, file)] = number
    return labels


def _mask(outline: list | dict, size: tuple[int, int], image: Path, file: str) -> np.ndarray:
    """Returns where an outline is, (H, W) bool."""
    from pycocotools import mask
    try:
        if isinstance(outline, dict):
            packed = outline if isinstance(outline['counts'], (str, bytes)) else mask.frPyObjects(outline, *size)
        else:
            parts: Sequence = [part for part in outline if len(part) >= 6]  # less than three points is nothing
            if not parts:
                return np.zeros(size, bool)
            packed = mask.merge(mask.frPyObjects(parts, *size))
        found = mask.decode(packed).astype(bool)
    except Exception as error:  # a module in C, which raises what it likes
        raise DataError(file, f'an outline on {image} cannot be drawn ({one_line(error)})', 'correct it') from error
    if found.shape != size:
        raise DataError(file, f'an outline on {image} is of {found.shape[1]} x {found.shape[0]} pixels, not '
                        f'{size[1]} x {size[0]}', 'give the images that were annotated')
    return found
