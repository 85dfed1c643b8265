"""How many pixels of each class the labels of a training set have, image by image."""
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.logging import MMLogger
from mmseg.datasets.transforms import LoadAnnotations

from ...errors import DataError, InputError
from ..checked_transforms import steps_in
from ..listing import built_leaves

THREADS = 8
EVERY = 10.0  # seconds between two lines of progress


def label_counts(dataset: Sequence) -> np.ndarray:
    """Returns the pixels of each class in the label of each sample; labels are read as training reads them.

    Each process of several reads its share.

    Args:
        dataset: A data set of MMSegmentation, or a wrapper or concatenation of some. Labels that cannot be read count
            as empty where a `CheckedDataset` is to pass over bad data.

    Returns:
        (N, 255) int64. Void pixels, and labels beyond the classes, are not counted.

    Raises:
        DataError: A label cannot be read.
        InputError: The data set has no labels.
    """
    whole = getattr(dataset, 'dataset', dataset)
    leaves = list(built_leaves(whole))
    load = next((step for leaf in leaves for step in steps_in(leaf.pipeline)
                 if isinstance(step, LoadAnnotations)), None)
    if load is None:
        raise InputError(f'{type(whole).__name__}: its pipeline loads no labels (LoadAnnotations), by which images '
                         'could be drawn; take InfiniteSampler')
    skip = getattr(dataset, 'skip', False)

    def count(number: int) -> np.ndarray:
        results = dict(dataset.get_data_info(number), seg_fields=[])
        if results.get('seg_map_path') is None:
            return np.zeros(255, np.int64)
        try:
            load(results)
        except DataError:
            if not skip:
                raise
            return np.zeros(255, np.int64)
        return np.bincount(results['gt_seg_map'].ravel(), minlength=256)[:255]

    classes = len(getattr(whole, 'metainfo', {}).get('classes') or ()) or 255
    void = [index for leaf in leaves if 0 <= (index := getattr(leaf, 'ignore_index', 255)) < 255]
    rank, world_size = get_dist_info()
    own = _counted(count, range(rank, len(dataset), world_size))
    counts = np.zeros((len(dataset), 255), np.int64)
    for first, part in enumerate(all_gather_object(own)):
        counts[first::world_size] = part
    counts[:, classes:] = 0
    counts[:, void] = 0
    return counts


def _counted(count: Callable[[int], np.ndarray], numbers: range) -> np.ndarray:
    """Returns the counts of some samples (n, 255); says how it goes on where that takes long."""
    logger, began = MMLogger.get_current_instance(), time.monotonic()
    said = began
    found = np.zeros((len(numbers), 255), np.int64)
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        for done, row in enumerate(pool.map(count, numbers), 1):
            found[done - 1] = row
            now = time.monotonic()
            if now - said >= EVERY:
                said = now
                left = (now - began) / done * (len(numbers) - done)
                logger.info(f'Counting the classes of labels: {done} of {len(numbers)}, {left:.0f} s left')
    return found
