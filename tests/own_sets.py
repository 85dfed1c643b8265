"""Small data sets in every layout that users have; which class is where follows from the image."""
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from PIL import Image

from mmseg_vittm.commands.new_dataset.new_dataset import Wishes, make_dataset
from mmseg_vittm.commands.new_dataset.summary import Summary
from mmseg_vittm.stack import DATASETS

SIZE = 24, 32  # height, width
NAMES = ['sky', 'tree', 'road']
COLOURS = np.array([[0, 0, 255], [0, 255, 0], [128, 128, 128]], np.uint8)


def labels_of(number: int, classes: int = 3) -> np.ndarray:
    """The classes of an image (H, W): stripes, as high as its number says."""
    rows = (np.arange(SIZE[0]) + number) * classes // SIZE[0] % classes
    return np.repeat(rows[:, None], SIZE[1], axis=1).astype(np.uint8)


def image_of(number: int, classes: int = 3) -> np.ndarray:
    """An image (H, W, 3): each class its brightness, and noise."""
    noise = np.random.default_rng(number).integers(0, 40, (*SIZE, 3))
    return (labels_of(number, classes)[..., None] * (200 // classes) + noise).astype(np.uint8)


def save(path: Path, array: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def write_folders(root: Path, count: int = 6, splits: Sequence[str] = ('train', 'val'), images: str = 'images',
                  labels: str = 'labels', image_name: str = '{}.png', label_name: str = '{}.png', classes: int = 3,
                  change: Callable[[np.ndarray], np.ndarray] = lambda array: array) -> Path:
    """Writes a set: half of the images to each split, or all to one folder; `change` makes what is saved of labels."""
    for number in range(count):
        split = splits[number * len(splits) // count] if splits else ''
        name = f'frame_{number:03d}'
        save(root / images / split / image_name.format(name), image_of(number, classes))
        save(root / labels / split / label_name.format(name), change(labels_of(number, classes)))
    return root


def write_coco(root: Path, count: int = 4, whole: bool = False, prefix: str = '', one_more: bool = False) -> Path:
    """Writes images and a JSON file of COCO's kind: class 2 on the right half; class 1 on the left, if `whole`."""
    content = dict(images=[], annotations=[], categories=[dict(id=3, name='right'), dict(id=1, name='left')])
    for number in range(count):
        name = f'{number}.png'
        save(root / 'images' / name, image_of(number))
        content['images'].append(dict(id=number, file_name=prefix + name, height=SIZE[0], width=SIZE[1]))
        for category, left in ((3, SIZE[1] // 2), (1, 0)):
            if category == 1 and not whole:
                continue
            right = left + SIZE[1] // 2
            outline = [left, 0, right, 0, right, SIZE[0], left, SIZE[0]]
            content['annotations'].append(dict(id=len(content['annotations']), image_id=number, category_id=category,
                                               segmentation=[outline], area=SIZE[0] * SIZE[1] // 2, iscrowd=0))
    if one_more:
        content['images'].append(dict(id=99, file_name='gone.png'))
    (root / 'result.json').write_text(json.dumps(content))
    return root / 'result.json'


def make(root: Path, images: Path, labels: Path | None = None, **wishes) -> Summary:
    """What `tools/new_dataset.py` makes of a set, as `root/mine.py`."""
    from tiny_models import ROOT
    return make_dataset(Wishes(str(images), labels and str(labels), str(root / 'mine.py'), **wishes),
                        ROOT / 'configs', 1, lambda done, total, what: None)[0]


def truths(config: Path, split: str = 'val') -> dict[str, np.ndarray]:
    """The labels that a config's data set gives, by the name of the image; void is 255."""
    cfg = Config.fromfile(str(config))
    dataset = cfg[f'{split}_dataloader'].dataset
    dataset.update(test_mode=True, pipeline=[step for step in dataset.pipeline if step.type == 'LoadAnnotations'])
    built = DATASETS.build(dict(type='CheckedDataset', dataset=dataset, test_mode=True))
    return {Path(sample['img_path']).stem: sample['gt_seg_map'] for sample in built}


def check_config(config: Path, split: str = 'val') -> None:
    """All labels are those that the images were drawn by."""
    found = truths(config, split)
    assert found and all((labels == labels_of(int(name.split('_')[1]))).all() for name, labels in found.items())
