"""Where a data set's images and labels lie: the usual layouts."""
import os
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import DataError, InputError
from .class_lists import ClassEntry
from .pairs import Pair, pair
from .splits import SPLITS, listed_names, split_by_lists

IMAGE_FOLDERS = ('images', 'image', 'imgs', 'img', 'img_dir', 'JPEGImages', 'inputs')
LABEL_FOLDERS = ('annotations', 'labels', 'masks', 'annotation', 'label', 'mask', 'ann_dir', 'SegmentationClass',
                 'labelTrainIds', 'gt', 'targets')
CITYSCAPES = (
    ('road', 7, (128, 64, 128)), ('sidewalk', 8, (244, 35, 232)), ('building', 11, (70, 70, 70)),
    ('wall', 12, (102, 102, 156)), ('fence', 13, (190, 153, 153)), ('pole', 17, (153, 153, 153)),
    ('traffic light', 19, (250, 170, 30)), ('traffic sign', 20, (220, 220, 0)), ('vegetation', 21, (107, 142, 35)),
    ('terrain', 22, (152, 251, 152)), ('sky', 23, (70, 130, 180)), ('person', 24, (220, 20, 60)),
    ('rider', 25, (255, 0, 0)), ('car', 26, (0, 0, 142)), ('truck', 27, (0, 0, 70)), ('bus', 28, (0, 60, 100)),
    ('train', 31, (0, 80, 100)), ('motorcycle', 32, (0, 0, 230)), ('bicycle', 33, (119, 11, 32)))
CITYSCAPES_LABELS = ('_gtFine_labelTrainIds.png', '_gtFine_labelIds.png')
VOC = ('background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
       'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor')


@dataclass
class Layout:
    """Where the files of a data set are.

    Attributes:
        name: What the layout is called.
        root: The folder that has all files.
        pairs: By split: `'all'`, or `'train'`, `'val'` and perhaps `'test'`.
        left_out: Files without partner, each with the reason.
        polygons: JSON files of COCO's kind that labels are drawn from, by split.
        classes: Classes that the layout itself implies.
        ignores_others: Whether labels that are no class's are void, as in Cityscapes' own files.
        label_folder: Folder of the labels, beside which converted ones go.
        lists: Files that say which image is in which split.
    """
    name: str
    root: Path
    pairs: dict[str, list[Pair]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    polygons: dict[str, Path] = field(default_factory=dict)
    classes: list[ClassEntry] | None = None
    ignores_others: bool = False
    label_folder: Path | None = None
    lists: list[Path] = field(default_factory=list)


def find_layout(images: str, labels: str | None, allow_missing: bool) -> Layout:
    """Finds images and labels.

    Args:
        images: Folder of the images; or, without `labels`, of the whole data set.
        labels: Folder of the labels, or a JSON file of COCO's kind.
        allow_missing: Leave out what has no partner.

    Raises:
        InputError: The layout is not known.
        DataError: A folder is missing or empty, or a file has no partner.
    """
    root = Path(images)
    if not root.is_dir():
        raise DataError(images, 'no such folder', 'give the folder of the images, or of the whole data set')
    if labels is not None:
        if Path(labels).is_file():
            return _polygons(root, {'all': Path(labels)})
        return _two_folders('two folders', root, Path(labels), allow_missing)
    if (root / 'leftImg8bit').is_dir() and (root / 'gtFine').is_dir():
        return _cityscapes(root, allow_missing)
    if (root / 'SegmentationClass').is_dir() and (root / 'JPEGImages').is_dir():
        return _voc(root, allow_missing)
    found = _named(root, IMAGE_FOLDERS), _named(root, LABEL_FOLDERS)
    if found[0] and found[1] and not _coco_files(found[1]):
        return _two_folders(f'{found[0].name}/ and {found[1].name}/', *found, allow_missing, root)
    parts = _split_folders(root)
    if parts and all(_named(folder, IMAGE_FOLDERS) and _named(folder, LABEL_FOLDERS) for folder in parts.values()):
        return _split_first(root, parts, allow_missing)
    files = _coco_files(root) or _coco_files(root / 'annotations')
    if files:
        return _polygons(root, files)
    raise InputError(f'{images}: no layout that is known; give the folders of images and labels, or name them '
                     'images/ and labels/, each with train/ and val/ or without')


def _named(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _split_folders(folder: Path) -> dict[str, Path]:
    """Returns the folders of splits in a folder, by split."""
    found = {split: _named(folder, names) for split, names in SPLITS.items()}
    return {split: place for split, place in found.items() if place is not None}


def _two_folders(name: str, images: Path, labels: Path, allow_missing: bool, root: Path | None = None,
                 label_ending: str = '') -> Layout:
    """Returns the layout of a folder of images and one of labels, with the same splits in both, or none."""
    for folder, kind in ((images, 'images'), (labels, 'labels')):
        if not folder.is_dir():
            raise DataError(folder, 'no such folder', f'give the folder of the {kind}')
    layout = Layout(name, root or _common(images, labels), label_folder=labels)
    ours, theirs = _split_folders(images), _split_folders(labels)
    both = [split for split in ours if split in theirs]
    if 'train' in both:
        for split in both:
            layout.pairs[split], left_out = pair(ours[split], theirs[split], allow_missing, label_ending)
            layout.left_out += left_out
        layout.left_out += [f'{ours[split]}: no labels for these images' for split in ours if split not in both]
        return layout
    layout.pairs['all'], layout.left_out = pair(images, labels, allow_missing, label_ending)
    return layout


def _common(*folders: Path) -> Path:
    return Path(os.path.commonpath([os.path.abspath(folder) for folder in folders]))


def _split_first(root: Path, parts: dict[str, Path], allow_missing: bool) -> Layout:
    layout = Layout('train/ and val/, each with images and labels', root, label_folder=root)
    for split, folder in parts.items():
        layout.pairs[split], left_out = pair(_named(folder, IMAGE_FOLDERS), _named(folder, LABEL_FOLDERS),
                                             allow_missing)
        layout.left_out += left_out
    return layout


def _cityscapes(root: Path, allow_missing: bool) -> Layout:
    """Returns Cityscapes' layout; its labels by their numbers for training, or else by its own."""
    for ending in CITYSCAPES_LABELS:
        if any((root / 'gtFine').glob(f'*/*/*{ending}')):
            break
    else:
        raise DataError(root / 'gtFine', f'no label ends in {" or ".join(CITYSCAPES_LABELS)}', 'unpack gtFine there')
    layout = _two_folders('Cityscapes', root / 'leftImg8bit', root / 'gtFine', allow_missing, root, ending)
    own = ending == CITYSCAPES_LABELS[1]
    layout.classes = [ClassEntry(name, value if own else number, colour)
                      for number, (name, value, colour) in enumerate(CITYSCAPES)]
    layout.ignores_others = True
    layout.pairs.pop('test', None)  # its labels are empty
    return layout


def _voc(root: Path, allow_missing: bool) -> Layout:
    """Returns PASCAL VOC's layout, which CVAT's "Segmentation mask" has too; images without label are usual there."""
    images, labels = root / 'JPEGImages', root / 'SegmentationClass'
    pairs, left_out = pair(images, labels, allow_missing=True)
    layout = Layout('PASCAL VOC', root, {'all': pairs}, label_folder=labels)
    layout.left_out = [one for one in left_out if not one.endswith('without label')]
    if (root / 'ImageSets' / 'Segmentation').is_dir():
        lists = {split: file for split, names in SPLITS.items() for name in names
                 if (file := root / 'ImageSets' / 'Segmentation' / f'{name}.txt').is_file()}
        if 'train' in lists:
            layout.lists = list(lists.values())
            labelled = {one.image.stem for one in pairs}
            if 'test' in lists and not labelled.issuperset(listed_names(lists['test'])):
                layout.left_out.append(f'{lists.pop("test")}: lists images without label')
            layout.pairs = split_by_lists(layout.pairs['all'], root, lists)
    if not any((root / name).is_file() for name in ('labelmap.txt', 'classes.txt')):
        layout.classes = [ClassEntry(name, number) for number, name in enumerate(VOC)]
    return layout


def _coco_files(folder: Path) -> dict[str, Path]:
    """Returns JSON files of COCO's kind in a folder, by the split that their name has; one alone is `'all'`."""
    files = sorted(folder.glob('*.json')) if folder.is_dir() else []
    found = {}
    for split, names in SPLITS.items():
        match = [file for file in files if any(name in file.stem.lower().replace('-', '_').split('_')
                                               or file.stem.lower().removeprefix('instances_').startswith(name)
                                               for name in names)]
        if match:
            found[split] = match[0]
    return found if 'train' in found else {'all': files[0]} if len(files) == 1 else {}


def _polygons(root: Path, files: dict[str, Path]) -> Layout:
    folder = next(iter(files.values())).parent
    return Layout('polygons of COCO', root if root == folder or root in folder.parents else _common(root, folder),
                  polygons=files, label_folder=root)
