"""`CheckedDataset`: any dataset, with every bad file an error that names it, or passed over."""
import copy
import logging

import cv2
import torch
from mmengine.dist import is_main_process
from mmseg.datasets.transforms import LoadAnnotations

from ..errors import DataError, InputError, one_line
from ..stack import DATASETS, MMLogger
from .checked_transforms import has_step, use_checked_transforms
from .listing import (
    built_leaves,
    datasets_of,
    leave_files_to_checks,
    list_samples,
    missing_annotations,
    stray_annotations,
)

BAD_DATA = ('error', 'skip')


def check_skip_options(bad_data: str = 'error', max_skipped: int = 10) -> None:
    """Checks what `CheckedDataset` is told of bad data.

    Raises:
        InputError: An option is wrong.
    """
    if bad_data not in BAD_DATA:
        raise InputError(f'bad_data must be one of {list(BAD_DATA)}, got {bad_data!r}')
    if not isinstance(max_skipped, int) or max_skipped < 0:
        raise InputError(f'max_skipped must be a number of samples, 0 or more, got {max_skipped!r}')


@DATASETS.register_module()
class CheckedDataset:
    """A wrapper that makes bad files of any dataset one error that names the file, its problem and the remedy.

    Checked are: a file missing, empty, truncated (even by a byte), damaged or no image; an image without annotation;
    a label file with several channels, of another size than its image, or with labels above the classes; a dataset
    without images. Good files give the same pixels as without. It checks what MMSegmentation's `LoadImageFromFile` and
    `LoadAnnotations` load, wherever they are in pipelines; errors of other transforms at least name the image.

    Our Runner wraps the dataset of every dataloader, so that `bad_data` and `max_skipped` may stand in the config of
    any dataset (`train_dataloader.dataset.bad_data="skip"`). With another Runner, one line does it:
    `train_dataloader['dataset'] = dict(type='CheckedDataset', dataset=train_dataloader['dataset'])`.

    Args:
        dataset: Config of the dataset, which may be a wrapper or a concatenation.
        bad_data: `'error'`, or `'skip'`. With `'skip'`, training logs a bad sample once, with the reason, and takes the
            next one instead, always the same; testing looks at all files first and leaves bad samples out, which is
            logged and stated with the scores: they are those of a smaller data set.
        max_skipped: With `'skip'`, more bad samples than that are an error which lists them.
        test_mode: Whether scores are computed on it.
        num_classes: Classes of the model. Of training data it is an error to have more; and where the dataset does not
            know its classes, labels must be below.

    Raises:
        InputError: An option is wrong; the dataset has no images, or cannot be read; annotations are missing.
    """

    def __init__(self, dataset: dict, bad_data: str = 'error', max_skipped: int = 10, test_mode: bool = False,
                 num_classes: int | None = None):
        check_skip_options(bad_data, max_skipped)
        self.skip, self.max_skipped, self.test_mode = bad_data == 'skip', max_skipped, test_mode
        self.dataset = _build(dataset)
        for leaf in built_leaves(self.dataset):
            self._prepare(leaf, num_classes)
        self.skipped = torch.zeros(len(self.dataset), dtype=torch.uint8).share_memory_()  # by all DataLoader workers
        self.kept = self._leave_out() if self.skip and test_mode else None

    @property
    def metainfo(self) -> dict:
        """Classes, palette and the like, as of the dataset."""
        return copy.deepcopy(self.dataset.metainfo)

    @property
    def left_out(self) -> list[str]:
        """The images that scores leave out."""
        return [] if self.kept is None else self._skipped_images()

    def __len__(self) -> int:
        return len(self.dataset) if self.kept is None else len(self.kept)

    def get_data_info(self, idx: int) -> dict:
        """Returns what the dataset says of a sample."""
        return self.dataset.get_data_info(idx if self.kept is None else self.kept[idx])

    def __getitem__(self, idx: int) -> dict:
        """Returns a sample as its pipeline prepares it; in training with `bad_data='skip'`, or the next good one.

        Raises:
            DataError: A file of it is bad.
            InputError: More samples were bad than may be skipped; lists them.
        """
        if self.kept is not None:
            return self._load(self.kept[idx])
        if not self.skip:
            return self._load(idx)
        for step in range(len(self)):
            at = (idx + step) % len(self)
            if not self.skipped[at]:
                try:
                    return self._load(at)
                except DataError as error:
                    # Of a clip of frames it is the bad frame, one for all clips that have it.
                    self._pass_over(at + getattr(error, 'samples_away', 0), error)
        raise InputError(f"bad_data='skip': every sample is bad: {', '.join(self._skipped_images())}")

    def _load(self, idx: int) -> dict:
        try:
            return self.dataset[idx]
        except (OSError, cv2.error) as error:  # of other transforms
            raise DataError(self._image_of(idx), f'cannot be prepared ({one_line(error)})',
                            'correct the image or its annotation') from error

    def _pass_over(self, idx: int, error: DataError) -> None:
        """Marks a sample as bad and logs it, once among all workers."""
        if self.skipped[idx]:
            return
        self.skipped[idx] = 1
        number = int(self.skipped.sum())
        if number > self.max_skipped:
            raise InputError(f"bad_data='skip': {number} samples are bad, more than max_skipped={self.max_skipped}: "
                             f'{", ".join(self._skipped_images())}; the last: {error}')
        # mmengine shows no warnings of other processes than the first
        MMLogger.get_current_instance().log(logging.WARNING if is_main_process() else logging.ERROR,
                                            f'Skipped ({number} of at most {self.max_skipped}): {error}')

    def _image_of(self, idx: int) -> str:
        return str(self.dataset.get_data_info(idx).get('img_path', f'sample {idx}'))

    def _skipped_images(self) -> list[str]:
        return [self._image_of(int(i)) for i in self.skipped.nonzero().flatten()]

    def _prepare(self, leaf, num_classes: int | None) -> None:
        """Gives a dataset the transforms that check, and looks for annotations that are missing."""
        classes = leaf.metainfo.get('classes')
        if not has_step(leaf.pipeline, LoadAnnotations):
            use_checked_transforms(leaf.pipeline, leaf, None)
            return
        if classes and num_classes and len(classes) > num_classes and not self.test_mode:
            raise InputError(f"{type(leaf).__name__} has {len(classes)} classes, the model's decode_head "
                             f'num_classes={num_classes}; set it to {len(classes)}')
        use_checked_transforms(leaf.pipeline, leaf, len(classes) if classes else num_classes)
        samples = [leaf.get_data_info(i) for i in range(len(leaf))]
        missing = missing_annotations(samples)
        if missing and not self.skip:
            more = f' (and {len(missing) - 1} others are missing)' if len(missing) > 1 else ''
            optional = ', set labels_optional=True' * (getattr(leaf, 'labels_optional', None) is False)
            raise DataError(missing[0], f'no such file{more}', f'add the annotation{optional}, or take its image out '
                            'of the data set; tools/check_dataset.py lists all that is wrong')
        stray = stray_annotations(leaf, samples)
        if stray and is_main_process():
            MMLogger.get_current_instance().warning(f'{len(stray)} annotations belong to no image, such as {stray[0]}')

    def _leave_out(self) -> list[int]:
        """Looks at all samples and returns the good ones."""
        logger = MMLogger.get_current_instance()
        logger.info(f"bad_data='skip': looking at all {len(self.dataset)} samples to be scored")
        good = []
        for idx in range(len(self.dataset)):
            try:
                self._load(idx)
                good.append(idx)
            except DataError as error:
                self._pass_over(idx, error)
        if not good:
            raise InputError(f"bad_data='skip': every sample is bad: {', '.join(self._skipped_images())}")
        return good


def _build(cfg: dict) -> object:
    """Builds a dataset.

    Raises:
        InputError: It cannot be built; says which dataset has no images.
    """
    cfg = leave_files_to_checks(cfg)
    try:
        return DATASETS.build(cfg)
    except (OSError, ValueError, AssertionError) as error:
        if isinstance(error, InputError):
            raise
        for leaf in datasets_of(cfg):
            list_samples(leaf)
        raise InputError(f'{cfg["type"]}: the dataset cannot be built ({one_line(error)}); correct its config'
                         ) from error
