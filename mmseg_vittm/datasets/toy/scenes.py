"""`ToyScenes`: a procedural data set in ADE20K's on-disk layout, drawn where it is first used."""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS
from PIL import Image
from rich.progress import track

from .canvas import CLASSES
from .drawing import draw_scene

# Raise it with any change that changes a picture: a set on disk from another version is then refused, not mixed in.
DRAWING_VERSION = 2
RECORD = 'toy_scenes.json'
SPLITS = ('training', 'validation')


@DATASETS.register_module()
class ToyScenes(BaseSegDataset):
    """Street and country scenes drawn by a program, for trying things without a download.

    The set is drawn into `data_root` the first time it is read (about 15 s) and read from there ever after. The
    same parameters give the same pictures everywhere; a scene depends on `seed`, its split and its number alone,
    so a larger set begins with the scenes of a smaller one.

    Args:
        data_root (str): The folder of the set. It must hold exactly this set, be empty, or not exist.
        data_prefix (dict, optional): Folders under `data_root`. None is the training split,
            `dict(img_path='images/training', seg_map_path='annotations/training')`.
        pipeline (sequence): Transforms.
        test_mode (bool): Whether the set is for testing.
        num_train (int): Number of training scenes.
        num_val (int): Number of validation scenes.
        image_size (int): Side of the square pictures in pixels.
        seed (int): Which scenes.
        metainfo (dict, optional): Replaces parts of `METAINFO`, as everywhere in MMSegmentation.
        indices (int or sequence, optional): Use only these scenes of the split.
        serialize_data (bool): Whether to keep the list of files as one block that workers share.
        lazy_init (bool): Whether to put off drawing and listing until the first scene is asked for.
        max_refetch (int): How many times a scene that a transform rejects is replaced by another.
        ignore_index (int): The label of pixels that do not count.
        reduce_zero_label (bool): Whether label 0 (unlabelled) becomes `ignore_index` and k becomes k - 1.
        check_files (bool): Whether every file of the set must be there and hold something; `CheckedDataset`, which
            names bad files itself, sets False.

    Raises:
        ValueError: When a parameter makes no set, or `data_root` holds another set.
        FileExistsError: When `data_root` holds something else, or this set with files missing.
    """
    METAINFO = dict(
        classes=CLASSES,
        palette=[[135, 190, 235], [140, 120, 150], [40, 110, 200], [120, 190, 80], [90, 90, 100], [205, 175, 160],
                 [190, 90, 70], [150, 100, 50], [30, 110, 50], [160, 160, 130], [220, 40, 60], [250, 150, 30],
                 [240, 90, 200], [250, 230, 60]])

    def __init__(self,
                 data_root: str = 'data/toy_scenes',
                 data_prefix: dict[str, str] | None = None,
                 pipeline: Sequence[dict | Callable] = (),
                 test_mode: bool = False,
                 num_train: int = 600,
                 num_val: int = 40,
                 image_size: int = 128,
                 seed: int = 0,
                 metainfo: dict | None = None,
                 indices: int | Sequence[int] | None = None,
                 serialize_data: bool = True,
                 lazy_init: bool = False,
                 max_refetch: int = 1000,
                 ignore_index: int = 255,
                 reduce_zero_label: bool = True,
                 check_files: bool = True) -> None:
        self.parameters = dict(num_train=num_train, num_val=num_val, image_size=image_size, seed=seed,
                               check_files=check_files)
        if data_prefix is None:
            data_prefix = dict(img_path='images/training', seg_map_path='annotations/training')
        super().__init__(
            img_suffix='.jpg', seg_map_suffix='.png', data_root=data_root, data_prefix=data_prefix,
            pipeline=list(pipeline), test_mode=test_mode, metainfo=metainfo, indices=indices,
            serialize_data=serialize_data, lazy_init=lazy_init, max_refetch=max_refetch, ignore_index=ignore_index,
            reduce_zero_label=reduce_zero_label)

    def load_data_list(self) -> list[dict]:
        """Lists the files of the split, after drawing the set if it is not there."""
        prepare(self.data_root, **self.parameters)
        return super().load_data_list()


def prepare(data_root: str, num_train: int, num_val: int, image_size: int, seed: int,
            check_files: bool = True) -> None:
    """Sees to it that `data_root` holds the set: draws it if there is nothing, checks it if there is something.

    A set appears under its name only when it is complete: it is drawn into a folder of its own beside `data_root`
    and renamed. Of several processes that draw at once the first to finish wins and the others use its result.

    Args:
        data_root (str): The folder of the set.
        num_train (int): Number of training scenes.
        num_val (int): Number of validation scenes.
        image_size (int): Side of the pictures in pixels, at least 32.
        seed (int): Which scenes, at least 0.
        check_files (bool): Whether every file must be there and hold something.

    Raises:
        ValueError: When a parameter makes no set, or `data_root` holds another set.
        FileExistsError: When `data_root` holds something else, or this set with files missing.
    """
    for name, value, least in (('num_train', num_train, 1), ('num_val', num_val, 1), ('image_size', image_size, 32),
                               ('seed', seed, 0)):
        if not isinstance(value, int) or value < least:
            raise ValueError(f'{name} must be an integer of at least {least}, got {value!r}')
    record = dict(drawing_version=DRAWING_VERSION, num_train=num_train, num_val=num_val, image_size=image_size,
                  seed=seed)
    root = Path(os.path.realpath(data_root))
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        draw(root, record)
    check(root, record, check_files)


def draw(root: Path, record: dict) -> None:
    """Draws the set that `record` describes beside `root` and renames it to `root`, unless that now exists."""
    logger = MMLogger.get_current_instance()
    logger.info(f'Drawing the toy scenes into {root} (once)')
    root.parent.mkdir(parents=True, exist_ok=True)
    draft = root.parent / f'.{root.name}.{uuid.uuid4().hex}.tmp'
    try:
        for split in SPLITS:
            (draft / 'images' / split).mkdir(parents=True)
            (draft / 'annotations' / split).mkdir(parents=True)
        for split, index, image, annotation in track(
                list(scene_files(draft, record)), description='Drawing toy scenes', disable=not is_main_process()):
            rng = np.random.default_rng([record['seed'], split, index])
            pixels, label = draw_scene(rng, record['image_size'])
            Image.fromarray(pixels).save(image, quality=92)
            Image.fromarray(label).save(annotation)
        (draft / RECORD).write_text(json.dumps(record, indent=2) + '\n')
        try:
            os.rename(draft, root)
        except OSError:
            if not (root / RECORD).exists():
                raise
            logger.info(f'Another process has drawn {root} meanwhile; using that')
        else:
            logger.info(f'Drew {record["num_train"]} training and {record["num_val"]} validation scenes')
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def check(root: Path, record: dict, check_files: bool = True) -> None:
    """Raises an error unless `root` holds the set that `record` describes, whole where `check_files` is set."""
    remedy = f'Choose another data_root, or delete {root} yourself if you can do without it; it is then drawn anew.'
    try:
        found = json.loads((root / RECORD).read_text())
        found = {name: found[name] for name in record}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileExistsError(
            f'{root} exists but is no set of toy scenes: its {RECORD} is missing or unreadable. {remedy}') from error
    different = [f'{name} is {found[name]} there, {value} was asked for' for name, value in record.items()
                 if found[name] != value]
    if different:
        raise ValueError(f'{root} holds other toy scenes: {"; ".join(different)}. {remedy}')
    if not check_files:
        return
    present = {entry.path for split in SPLITS for kind in ('images', 'annotations') if (root / kind / split).is_dir()
               for entry in os.scandir(root / kind / split) if entry.stat().st_size}
    wanted = [str(path) for _, _, *pair in scene_files(root, record) for path in pair]
    missing = [path for path in wanted if path not in present]
    if missing:
        raise FileExistsError(f'{len(missing)} of the {len(wanted)} files of {root} are missing or empty, the first is '
                              f'{missing[0]}. {remedy}')


def scene_files(root: Path, record: dict):
    """Yields (split number, scene number, image path, annotation path) of every scene, named as ADE20K names them."""
    for number, (split, short, count) in enumerate(zip(SPLITS, ('train', 'val'),
                                                       (record['num_train'], record['num_val']), strict=True)):
        for index in range(count):
            name = f'Toy_{short}_{index + 1:08d}'
            yield (number, index, root / 'images' / split / f'{name}.jpg',
                   root / 'annotations' / split / f'{name}.png')
