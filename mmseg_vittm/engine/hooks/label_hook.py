"""LabelHook: every prediction of a test as a PNG of labels."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from PIL import Image

from ...outputs import whole_file
from .image_names import ImageNames


@HOOKS.register_module()
class LabelHook(Hook):
    """Writes the prediction of every image tested as a PNG of labels, as the data set's own label files number them.

    That is 0 for the first class, or 1 where the data set has `reduce_zero_label=True`, as in MMSegmentation's
    `IoUMetric(output_dir=...)`, or what the data set's label map makes the class of. That metric names files so that
    those of subfolders overwrite each other; for names here see `datasets.picture_names.name_pictures`. Labels above
    255 make PNGs of 16 bits. Of several processes each writes its own images.

    Args:
        out: Folder for the files.
        overwrite: Whether those of an earlier test are replaced.
    """

    def __init__(self, out: str, overwrite: bool = True):
        self.out, self.overwrite = Path(out), overwrite
        self._names = ImageNames()

    def before_test(self, runner: Runner) -> None:
        """Finds out what to call the images, and checks that they can be written.

        Raises:
            InputError: See `ImageNames.claim`.
            OutputError: See `ImageNames.claim`.
        """
        self._names = ImageNames(runner.test_dataloader.dataset)
        self._names.claim(self.out, 'out', self.overwrite)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                        outputs: Sequence | None = None) -> None:
        """Writes one file per image.

        Raises:
            OutputError: It cannot be written; nothing of it is left.
        """
        metainfo = runner.test_dataloader.dataset.metainfo
        for data_sample in outputs:
            first = int(bool(data_sample.get('reduce_zero_label', False)))
            labels = data_sample.pred_sem_seg.data.squeeze(0).cpu().numpy().astype(np.int64)
            classes = max(len(metainfo.get('classes') or ()), int(labels.max(initial=0)) + 1)
            numbers = file_labels(classes, first, metainfo.get('label_map'))
            with whole_file(self.out / self._names[data_sample.img_path]) as partial:
                Image.fromarray(numbers[labels]).save(partial)


def file_labels(classes: int, first: int, label_map: Mapping[int, int] | None) -> np.ndarray:
    """Returns the label of each class in a data set's files, (K,): uint8 where all fit.

    Args:
        classes: Number of classes.
        first: The label of the first one, before the map.
        label_map: From such labels to classes, as `LoadAnnotations` takes it, after `reduce_zero_label`.
    """
    numbers = np.arange(classes)
    for label, number in (label_map or {}).items():
        if number < classes:
            numbers[number] = label
    numbers += first
    return numbers.astype(np.uint8 if numbers.max(initial=0) <= 255 else np.uint16)
