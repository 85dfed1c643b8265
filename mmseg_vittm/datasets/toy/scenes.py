"""`ToyScenes`: a procedural data set in ADE20K's on-disk layout, drawn where it is first used."""
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from mmseg.datasets import BaseSegDataset
from PIL import Image

from ...stack import DATASETS
from .canvas import CLASSES
from .drawing import draw_scene
from .drawn_set import SPLITS, DrawnSet, Key

RECORD = 'toy_scenes.json'
DEFAULT_ROOT = 'data/toy_scenes'  # where scenes are drawn unasked
TRAINING = dict(img_path='images/training', seg_map_path='annotations/training')  # folders of that split
COUNTS = (('num_train', 'Toy_train'), ('num_val', 'Toy_val'))  # of each of SPLITS, and the prefix of its names


@DATASETS.register_module()
class ToyScenes(BaseSegDataset):
    """Street and country scenes drawn by a program, for trying things without a download.

    The set is drawn into `data/toy_scenes` the first time it is read (about 15 s) and read from there ever after; into
    another folder only where `draw` asks for it, since a path may be mistyped. The same parameters give the same
    pictures everywhere; a scene depends on `seed`, its split and its number alone, so a larger set begins with the
    scenes of a smaller one.

    Args:
        data_root: The folder of the set. It must hold exactly this set; or nothing, where it is to be drawn.
        data_prefix: Folders under `data_root`. None is the training split,
            `dict(img_path='images/training', seg_map_path='annotations/training')`.
        pipeline: As everywhere in MMSegmentation, like all that is not named here.
        num_train: Number of training scenes.
        num_val: Number of validation scenes.
        image_size: Side of the square pictures in pixels, at least 32.
        seed: Which scenes, 0 or more.
        lazy_init: Whether to put off drawing and listing until the first scene is asked for.
        reduce_zero_label: Whether label 0 (unlabelled) becomes `ignore_index` and k becomes k - 1.
        check_files: Whether every file of the set must be there and hold something; `CheckedDataset`, which names bad
            files itself, sets False.
        draw: Whether to draw the set into `data_root` where nothing is there, whichever folder that is.

    Raises:
        DataError: `data_root` holds nothing, and is not to be drawn.
        InputError: A parameter makes no set; `data_root` holds another set, something else, or this set with files
            missing.
        OutputError: The set cannot be drawn there.
    """
    METAINFO = dict(
        classes=CLASSES,
        palette=[[135, 190, 235], [140, 120, 150], [40, 110, 200], [120, 190, 80], [90, 90, 100], [205, 175, 160],
                 [190, 90, 70], [150, 100, 50], [30, 110, 50], [160, 160, 130], [220, 40, 60], [250, 150, 30],
                 [240, 90, 200], [250, 230, 60]])

    def __init__(self, data_root: str = DEFAULT_ROOT, data_prefix: dict[str, str] | None = None,
                 pipeline: Sequence[dict | Callable] = (), test_mode: bool = False, num_train: int = 600,
                 num_val: int = 40, image_size: int = 128, seed: int = 0, metainfo: dict | None = None,
                 indices: int | Sequence[int] | None = None, serialize_data: bool = True, lazy_init: bool = False,
                 max_refetch: int = 1000, ignore_index: int = 255, reduce_zero_label: bool = True,
                 check_files: bool = True, draw: bool = False):
        self.parameters = dict(num_train=num_train, num_val=num_val, image_size=image_size, seed=seed,
                               check_files=check_files, draw=draw)
        if data_prefix is None:
            data_prefix = dict(TRAINING)
        super().__init__(
            img_suffix='.jpg', seg_map_suffix='.png', data_root=data_root, data_prefix=data_prefix,
            pipeline=list(pipeline), test_mode=test_mode, metainfo=metainfo, indices=indices,
            serialize_data=serialize_data, lazy_init=lazy_init, max_refetch=max_refetch, ignore_index=ignore_index,
            reduce_zero_label=reduce_zero_label)

    def load_data_list(self) -> list[dict]:
        """Lists the files of the split, after drawing the set if it is not there."""
        prepare(self.data_root, **self.parameters)
        return super().load_data_list()


def prepare(data_root: str, num_train: int, num_val: int, image_size: int, seed: int, check_files: bool = True,
            draw: bool = False) -> None:
    """Sees to it that `data_root` holds the set: draws it if there is nothing, checks it if there is something.

    See `DrawnSet.prepare`; arguments and errors are those of `ToyScenes`.
    """
    parameters = dict(num_train=num_train, num_val=num_val, image_size=image_size, seed=seed)
    TOY_SCENES.prepare(data_root, parameters, check_files, draw)


def _scene_files(parameters: dict[str, int]) -> Iterator[tuple[Key, tuple[str, str]]]:
    """Yields each scene's numbers (split, scene), image and annotation, which are named as ADE20K names them."""
    for number, (split, (count, prefix)) in enumerate(zip(SPLITS, COUNTS, strict=True)):
        for index in range(parameters[count]):
            name = f'{prefix}_{index + 1:08d}'
            yield (number, index), (f'images/{split}/{name}.jpg', f'annotations/{split}/{name}.png')


def _draw_files(parameters: dict[str, int], key: Key, paths: Sequence[Path]) -> None:
    """Draws one scene into its image and annotation."""
    image, annotation = paths
    pixels, label = draw_scene(np.random.default_rng([parameters['seed'], *key]), parameters['image_size'])
    Image.fromarray(pixels).save(image, quality=92)
    Image.fromarray(label).save(annotation)


TOY_SCENES = DrawnSet('toy scenes', DEFAULT_ROOT, TRAINING, RECORD, version=2, files=_scene_files, draw=_draw_files,
                      least=dict(num_train=1, num_val=1, image_size=32, seed=0))
