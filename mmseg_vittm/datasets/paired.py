"""`PairedSegDataset`: images and labels wherever they are, by a list of pairs."""
from collections.abc import Callable, Sequence
from pathlib import Path

from mmseg.datasets import BaseSegDataset

from ..errors import DataError, InputError
from ..stack import DATASETS
from .label_checks import IGNORED

UNKNOWN = 254  # what a label of no class becomes: above all classes, so that checks name it
FOLDERS = dict(img_path='', seg_map_path='')


@DATASETS.register_module()
class PairedSegDataset(BaseSegDataset):
    """Images with their labels by a list of both, as `tools/new_dataset.py` writes it.

    A line of `ann_file` is the path of an image, a tab, and that of its label, both below `data_root`. So images may
    have any endings, and labels any names; what is not listed is not read.

    Args:
        ann_file: The list.
        label_values: The label of each class in the files; None is 0, 1, 2, ... (1, 2, 3, ... with
            `reduce_zero_label`). 255 may be one.
        void_values: Further labels, of pixels that do not count; 255 is always one unless `label_values` has it.
        metainfo: As everywhere in MMSegmentation, like all that is not named here.

    Raises:
        DataError: A line of the list is no pair.
        InputError: `label_values` does not fit the classes or the other arguments.
    """

    def __init__(self, ann_file: str, label_values: Sequence[int] | None = None, void_values: Sequence[int] = (),
                 metainfo: dict | None = None, data_root: str | None = None,
                 data_prefix: dict[str, str | None] = FOLDERS, filter_cfg: dict | None = None,
                 indices: int | Sequence[int] | None = None, serialize_data: bool = True,
                 pipeline: Sequence[dict | Callable] = (), test_mode: bool = False, lazy_init: bool = False,
                 max_refetch: int = 1000, ignore_index: int = IGNORED, reduce_zero_label: bool = False,
                 backend_args: dict | None = None):
        super().__init__(
            ann_file=ann_file, metainfo=metainfo, data_root=data_root, data_prefix=dict(data_prefix),
            filter_cfg=filter_cfg, indices=indices, serialize_data=serialize_data, pipeline=list(pipeline),
            test_mode=test_mode, lazy_init=True, max_refetch=max_refetch, ignore_index=ignore_index,
            reduce_zero_label=reduce_zero_label, backend_args=backend_args)
        self.label_map = label_map_of(label_values, void_values, len(self._metainfo.get('classes') or ()),
                                      reduce_zero_label)
        self._metainfo.update(label_map=self.label_map)
        if not lazy_init:
            self.full_init()

    def load_data_list(self) -> list[dict]:
        """Lists the pairs, in the order of the list: `img_path`, `seg_map_path`, and what `BaseSegDataset` adds."""
        images, labels = (Path(self.data_prefix.get(key) or '') for key in ('img_path', 'seg_map_path'))
        samples = []
        for number, (image, label) in enumerate(read_pairs(self.ann_file), 1):
            if not image or not label:
                raise DataError(self.ann_file, f'line {number} is not an image, a tab and a label', 'correct the list, '
                                'or write it again by tools/new_dataset.py')
            samples.append(dict(img_path=str(images / image), seg_map_path=str(labels / label),
                                label_map=self.label_map, reduce_zero_label=self.reduce_zero_label, seg_fields=[]))
        return samples


def read_pairs(path: str | Path) -> list[tuple[str, str]]:
    """Returns the pairs of a list; an empty text where a line has no second part, or more than two.

    Raises:
        DataError: The list cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8', errors='surrogateescape').split('\n')
    except OSError as error:
        raise DataError(path, f'cannot be read ({error.strerror})', 'give ann_file the list of pairs') from error
    return [tuple(parts) if len(parts := line.split('\t')) == 2 else ('', '') for line in lines if line.strip()]


def label_map_of(values: Sequence[int] | None, void: Sequence[int], classes: int,
                 reduce_zero_label: bool) -> dict[int, int] | None:
    """Returns what becomes of labels, as `LoadAnnotations` takes it: from the label of a file to a class.

    Args:
        values: See `PairedSegDataset`.
        void: See there.
        classes: Number of classes.
        reduce_zero_label: See there.

    Raises:
        InputError: They do not go together.
    """
    if values is None and not void:
        return None
    if reduce_zero_label:
        raise InputError('label_values and void_values say what labels mean; set reduce_zero_label=False')
    values = list(range(classes)) if values is None else list(values)
    if len(values) != classes:
        raise InputError(f'label_values has {len(values)} labels for {classes} classes; give one per class')
    wrong = [value for value in (*values, *void) if type(value) is not int or not 0 <= value <= 255]
    twice = sorted(value for value in {*values, *void} if [*values, *void].count(value) > 1)
    if wrong or twice:
        raise InputError(f'label_values and void_values must be whole numbers from 0 to 255, each once, got '
                         f'{(wrong or twice)[0]!r}' + ' twice' * (not wrong))
    table = {value: UNKNOWN for value in range(classes)} | {value: IGNORED for value in void}
    table |= {value: number for number, value in enumerate(values)}
    return {value: number for value, number in table.items() if value != number}
