"""`ToyScenes`: a procedural data set in ADE20K's on-disk layout, drawn where it is first used."""
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from mmengine.dist import is_main_process
from mmseg.datasets import BaseSegDataset
from PIL import Image
from rich.progress import track

from ...errors import DataError, InputError
from ...outputs import not_written
from ...stack import DATASETS, MMLogger
from .canvas import CLASSES
from .drawing import draw_scene

# Raise it with any change that changes a picture: a set on disk from another version is then refused, not mixed in.
DRAWING_VERSION = 2
RECORD = 'toy_scenes.json'
DEFAULT_ROOT = 'data/toy_scenes'  # where scenes are drawn unasked
TRAINING = dict(img_path='images/training', seg_map_path='annotations/training')  # folders of that split
REMEDY = (f'toy scenes are drawn unasked only into {DEFAULT_ROOT}; correct data_root, or have them drawn there by '
          'cfg_options train_dataloader.dataset.draw=True val_dataloader.dataset.draw=True '
          'test_dataloader.dataset.draw=True')
SPLITS = {'training': ('num_train', 'Toy_train'), 'validation': ('num_val', 'Toy_val')}
LEAST = dict(num_train=1, num_val=1, image_size=32, seed=0)


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

    A set appears under its name only when it is complete: it is drawn into a folder of its own beside `data_root`
    and renamed. Of several processes that draw at once the first to finish wins and the others use its result.
    Arguments and errors are those of `ToyScenes`.
    """
    record = dict(drawing_version=DRAWING_VERSION, num_train=num_train, num_val=num_val, image_size=image_size,
                  seed=seed)
    for name, least in LEAST.items():
        if not isinstance(record[name], int) or record[name] < least:
            raise InputError(f'{name} must be an integer of at least {least}, got {record[name]!r}')
    check_drawn(data_root, draw)
    root = Path(os.path.realpath(data_root))
    if _is_nothing(root):
        _draw(root, record)
    _check(root, record, check_files)


def check_drawn(data_root: str, draw: bool = False) -> None:
    """Checks that there is something in `data_root`, or that scenes may be drawn there.

    Raises:
        DataError: Neither.
    """
    root = Path(os.path.realpath(data_root))
    if not draw and root != Path(os.path.realpath(DEFAULT_ROOT)) and _is_nothing(root):
        raise DataError(root, 'the folder is empty' if os.path.exists(root) else 'no such folder', REMEDY)


def _is_nothing(root: Path) -> bool:
    try:
        return not os.path.exists(root) or os.path.isdir(root) and not any(os.scandir(root))
    except OSError as error:
        raise DataError(root, f'cannot be read ({error.strerror})', 'choose another data_root') from error


def _draw(root: Path, record: dict[str, int]) -> None:
    """Draws the set that `record` describes beside `root` and renames it to `root`, unless that now exists."""
    MMLogger.get_current_instance().info(f'Drawing the toy scenes into {root} (once)')
    draft = root.parent / f'.{root.name}.{uuid.uuid4().hex}.tmp'
    try:
        for kind in ('images', 'annotations'):
            for split in SPLITS:
                (draft / kind / split).mkdir(parents=True)
        scenes = [*_scene_files(draft, record)]
        for key, image, annotation in track(scenes, 'Drawing toy scenes', disable=not is_main_process()):
            pixels, label = draw_scene(np.random.default_rng([record['seed'], *key]), record['image_size'])
            Image.fromarray(pixels).save(image, quality=92)
            Image.fromarray(label).save(annotation)
        (draft / RECORD).write_text(json.dumps(record, indent=2) + '\n')
        try:
            os.rename(draft, root)
        except OSError:
            if not (root / RECORD).exists():  # which another process has drawn meanwhile
                raise
    except OSError as error:
        raise not_written(root, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check(root: Path, record: dict[str, int], check_files: bool) -> None:
    """Raises an error unless `root` holds the set that `record` describes, whole where `check_files` is set."""
    remedy = f'Choose another data_root, or delete {root} yourself if you can do without it; it is then drawn anew.'
    try:
        found = json.loads((root / RECORD).read_text())
        found = {name: found[name] for name in record}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f'{root} exists but is no set of toy scenes: its {RECORD} is missing or unreadable. {remedy}') from error
    different = [f'{name} is {found[name]} there, {value} was asked for' for name, value in record.items()
                 if found[name] != value]
    if different:
        raise InputError(f'{root} holds other toy scenes: {"; ".join(different)}. {remedy}')
    if not check_files:
        return
    present = {entry.path for kind in ('images', 'annotations') for split in SPLITS if (root / kind / split).is_dir()
               for entry in os.scandir(root / kind / split) if entry.stat().st_size}
    wanted = [str(path) for _, *pair in _scene_files(root, record) for path in pair]
    missing = [path for path in wanted if path not in present]
    if missing:
        raise InputError(f'{len(missing)} of the {len(wanted)} files of {root} are missing or empty, the first is '
                         f'{missing[0]}. {remedy}')


def _scene_files(root: Path, record: dict[str, int]) -> Iterator[tuple[tuple[int, int], Path, Path]]:
    """Yields each scene's numbers (split, scene), image and annotation, which are named as ADE20K names them."""
    for number, (split, (count, prefix)) in enumerate(SPLITS.items()):
        for index in range(record[count]):
            name = f'{prefix}_{index + 1:08d}'
            yield ((number, index), root / 'images' / split / f'{name}.jpg',
                   root / 'annotations' / split / f'{name}.png')
