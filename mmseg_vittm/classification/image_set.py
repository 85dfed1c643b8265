"""What data sets of classified images share: a list that takes little memory, and a pipeline."""
from typing import Any

from mmengine.dataset import BaseDataset


class ImageSet(BaseDataset):
    """Base of the data sets of classified images; nothing is read before `full_init`.

    A subclass gives `class_names()`, `read_list()` and `sample(index)`.

    Args:
        data_root: The folder of the data.
        data_prefix: Where in it the images are.
        pipeline: Transforms of a sample, which has `img_path` and `label`.
        test_mode: Whether scores are computed on it.
        lazy_init: Whether to list the images later, when they are needed.
    """

    def __init__(self, data_root: str | None, data_prefix: dict, pipeline: list, test_mode: bool, lazy_init: bool):
        super().__init__(data_root=data_root, data_prefix=data_prefix, pipeline=pipeline, test_mode=test_mode,
                         lazy_init=True)
        if not lazy_init:
            self.full_init()

    def class_names(self) -> list[str]:
        """Returns the names of the classes, in the order of their labels."""
        raise NotImplementedError

    def read_list(self) -> int:
        """Lists the images, and returns how many there are."""
        raise NotImplementedError

    def sample(self, index: int) -> dict:
        """Returns `img_path` and `label` of an image, and `content` where it is no file of its own."""
        raise NotImplementedError

    def full_init(self) -> None:
        """Lists the images, once.

        Raises:
            InputError: There are none, or something is wrong with their list.
        """
        if not self._fully_initialized:
            self._metainfo['classes'] = tuple(self.class_names())
            self._length = self.read_list()
            self._fully_initialized = True

    def __len__(self) -> int:
        self.full_init()
        return self._length

    def get_data_info(self, idx: int) -> dict:
        """Returns what is known of an image before it is loaded."""
        self.full_init()
        idx = range(self._length)[idx]
        return self.sample(idx) | dict(sample_idx=idx)

    def prepare_data(self, idx: int) -> Any:
        """Returns an image as the pipeline prepares it."""
        return self.pipeline(self.get_data_info(idx))

    def __getitem__(self, idx: int) -> Any:
        return self.prepare_data(idx)
