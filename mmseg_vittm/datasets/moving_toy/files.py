"""The files of a set of moving toy scenes, and how a clip is drawn into them."""
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from ..toy.drawn_set import SPLITS, DrawnSet, Key
from .clips import draw_clip

DEFAULT_ROOT = 'data/moving_toy_scenes'  # where scenes are drawn unasked
TRAINING = dict(img_path='images/training', seg_map_path='annotations/training', region_path='hidden/training')
RECORD = 'moving_toy_scenes.json'
COUNTS = (('num_train', 'Moving_train'), ('num_val', 'Moving_val'))  # of each of SPLITS, and the prefix of its names


def clip_files(parameters: dict[str, int]) -> Iterator[tuple[Key, list[str]]]:
    """Yields each clip's numbers (split, clip) and, frame by frame, its image, its annotation and what is hidden."""
    for number, (split, (count, prefix)) in enumerate(zip(SPLITS, COUNTS, strict=True)):
        for index in range(parameters[count]):
            clip = f'{split}/{prefix}_{index + 1:04d}'
            yield (number, index), [
                f'{kind}/{clip}/{frame:06d}.{ending}' for frame in range(parameters['num_frames'])
                for kind, ending in (('images', 'jpg'), ('annotations', 'png'), ('hidden', 'png'))]


def draw_files(parameters: dict[str, int], key: Key, paths: Sequence[Path]) -> None:
    """Draws one clip into its files."""
    frames = draw_clip((parameters['seed'], *key), parameters['image_size'], parameters['num_frames'])
    for frame, (pixels, label, hidden) in enumerate(frames):
        image, annotation, region = paths[3 * frame:3 * frame + 3]
        Image.fromarray(pixels).save(image, quality=92)
        Image.fromarray(label).save(annotation)
        Image.fromarray(hidden).save(region)


MOVING_TOY_SCENES = DrawnSet(
    'moving toy scenes', DEFAULT_ROOT, TRAINING, RECORD, version=1, files=clip_files, draw=draw_files,
    least=dict(num_train=1, num_val=1, num_frames=2, image_size=32, seed=0))
