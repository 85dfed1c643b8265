"""MMSegmentation's transforms that read files, with every file checked: a good one gives the same pixels."""
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine.dataset import BaseDataset, Compose
from mmseg.datasets.transforms import LoadAnnotations

from ..errors import DataError, InputError
from .image_files import AGAIN, damage, decode, read_file
from .label_checks import IGNORED, check_label, check_range, label_table


def read_image(path: str, flag: str, transform: LoadImageFromFile | LoadAnnotations) -> np.ndarray:
    """Returns the image in a file, which must be whole.

    Args:
        path: The file.
        flag: `'color'`, `'unchanged'` and the like.
        transform: Says from where, and with which decoder.

    Raises:
        DataError: The file is missing, empty, truncated (even by a byte), damaged or no image.
    """
    content = read_file(path, transform.backend_args)
    problem = damage(content)
    if problem:
        raise DataError(path, problem, AGAIN)
    return decode(content, path, flag, transform.imdecode_backend)


class LoadCheckedImage(LoadImageFromFile):
    """`LoadImageFromFile` whose errors name the file.

    Args:
        stock: The transform whose options it takes.
    """

    def __init__(self, stock: LoadImageFromFile):
        super().__init__()
        vars(self).update(vars(stock))

    def transform(self, results: dict) -> dict | None:
        """Loads the image that `img_path` names; see `mmcv.transforms.LoadImageFromFile`.

        Raises:
            DataError: The file is missing, empty, truncated or no image.
        """
        try:
            image = read_image(results['img_path'], self.color_type, self)
        except DataError:
            if self.ignore_empty:
                return None
            raise
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results


class LoadCheckedAnnotations(LoadAnnotations):
    """`LoadAnnotations` that checks labels, and whose errors name the file.

    A frame of a `VideoSegDataset` without a label file gets a map of `ignore_index`.

    Args:
        stock: The transform whose options it takes.
        num_classes: Labels from there on are an error; None where nobody knows how many there are.
        ignore_index: Is allowed, like 255.
    """

    def __init__(self, stock: LoadAnnotations, num_classes: int | None, ignore_index: int):
        super().__init__()
        vars(self).update(vars(stock))
        self.num_classes, self.ignore_index = num_classes, ignore_index

    def _load_seg_map(self, results: dict) -> None:
        path, reduce = results['seg_map_path'], results['reduce_zero_label']
        if path is None and results.get('is_labelled') is False:  # of a video with labels on some frames
            results['gt_seg_map'] = np.full(results['ori_shape'], self.ignore_index, np.uint8)
            results['seg_fields'].append('gt_seg_map')
            return
        label = read_image(path, 'unchanged', self)
        label = label[..., 0] if label.ndim == 3 and label.shape[2] == 1 else label
        check_label(label, path, results.get('img_path'), results.get('ori_shape'))
        label = label.astype(np.uint8)
        used = cv2.LUT(label, label_table(reduce, results.get('label_map')))  # indexing takes 2 ms more
        if self.num_classes is not None:
            check_range(label, used, path, self.num_classes, self.ignore_index, reduce)
        results['gt_seg_map'] = used
        results['seg_fields'].append('gt_seg_map')


def use_checked_transforms(step: Any, dataset: BaseDataset, num_classes: int | None) -> Any:
    """Returns a pipeline, or a transform, with MMSegmentation's transforms that read files replaced by checked ones.

    Transforms of other classes stay as they are. What they hold (`TestTimeAug`, `RandomApply`, ...) is searched too
    and changed in place.

    Args:
        step: A transform, a list of them or a `Compose`.
        dataset: The dataset whose files it loads.
        num_classes: Labels from there on are an error; None where nobody knows how many classes there are.

    Raises:
        InputError: A transform and the dataset differ in `reduce_zero_label`.
    """
    reduce, ignore_index = getattr(dataset, 'reduce_zero_label', None), getattr(dataset, 'ignore_index', IGNORED)

    def visit(node: Any) -> Any:
        if type(node) is LoadImageFromFile and node.file_client_args is None:
            return LoadCheckedImage(node)
        if type(node) in (LoadAnnotations, LoadCheckedAnnotations):  # the number of classes may be known only now
            if None not in (node.reduce_zero_label, reduce) and node.reduce_zero_label != reduce:
                raise InputError(f'LoadAnnotations has reduce_zero_label={node.reduce_zero_label}, its dataset '
                                 f'{type(dataset).__name__} {reduce}; set both to the same')
            return LoadCheckedAnnotations(node, num_classes, ignore_index)
        if type(node) in (list, tuple):
            return type(node)(map(visit, node))
        if isinstance(node, (BaseTransform, Compose)):
            for name, value in vars(node).items():
                setattr(node, name, visit(value))
        return node

    return visit(step)


def steps_in(node: Any) -> Iterator[BaseTransform]:
    """Yields the transforms of a pipeline, and those that they hold."""
    if isinstance(node, BaseTransform):
        yield node
    nodes = node if type(node) in (list, tuple) else vars(node).values() if isinstance(
        node, (BaseTransform, Compose)) else ()
    for one in nodes:
        yield from steps_in(one)


def has_step(step: Any, kind: type) -> bool:
    """Tells whether a pipeline, or what its transforms hold, has a transform of a class."""
    return any(isinstance(one, kind) for one in steps_in(step))
