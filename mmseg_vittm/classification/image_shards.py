"""ImageShards: classified images in WebDataset's tar shards."""
import os
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from ..errors import DataError, shown
from ..stack import DATASETS, MMLogger
from .classes import NUMBERED, read_class_list
from .image_set import ImageSet
from .shard_index import ShardIndex, shard_files

MOST_OPEN = 64  # shards in each process
LONGEST_LABEL = 32  # bytes


@DATASETS.register_module()
class ImageShards(ImageSet):
    """Images and labels in tar shards as the library `webdataset` writes them: `KEY.jpg` and `KEY.cls` for each image.

    Every sample has a number, so that order and position in training are exact; `PassSampler` keeps reading within a
    few shards at a time. The shards are local files.

    Args:
        data_root: The folder of the shards.
        shards: Their names, such as `'train-{000000..000146}.tar'`, or a list of such.
        classes: A file with the name of a class on each line, in the order of labels; or their number.
        pipeline: Transforms of a sample, such as `DecodeImage` and `TimmTransform`.
        test_mode: Whether scores are computed on it.
        lazy_init: Whether to list the samples later, when they are needed.

    Raises:
        InputError: A shard is missing or damaged, or there are no such classes.
    """

    def __init__(self, data_root: str | None = '', shards: str | Sequence[str] = '',
                 classes: str | int = 'classes.txt', pipeline: list = [], test_mode: bool = False,  # noqa: B006
                 lazy_init: bool = False):
        self.shards, self.classes = shards, classes
        self._open: OrderedDict[str, int] = OrderedDict()
        super().__init__(data_root, {}, pipeline, test_mode, lazy_init)

    @property
    def shard_sizes(self) -> np.ndarray:
        """Number of samples in each shard, in order."""
        self.full_init()
        return self._index.sizes

    def class_names(self) -> list[str]:
        """Returns the names of the classes; see there."""
        self._metainfo[NUMBERED] = type(self.classes) is int
        return read_class_list(self.classes, self.data_root)

    def read_list(self) -> int:
        """Lists the samples of all shards."""
        self._index = ShardIndex.read(shard_files(self.shards, self.data_root))
        self._ends = np.cumsum(self._index.sizes)
        count = len(self._index)
        MMLogger.get_current_instance().info(
            f'{self._index.files[0]} to {os.path.basename(self._index.files[-1])}: {count:,} images in '
            f'{len(self._index.files)} shards')
        return count

    def sample(self, index: int) -> dict:
        """Returns `img_path`, `SHARD:KEY`, of a sample; its label and content come when it is loaded."""
        file = self._index.files[int(np.searchsorted(self._ends, index, side='right'))]
        return dict(img_path=f'{file}:{self._index.keys[index]}')

    def prepare_data(self, idx: int) -> object:
        """Returns an image as the pipeline prepares it.

        Raises:
            DataError: The shard cannot be read any more, or the label is no class.
        """
        info = self.get_data_info(idx)
        idx = info['sample_idx']  # not negative
        offset, size, label_offset, label_size = self._index.places[idx].tolist()
        file = self._index.files[int(np.searchsorted(self._ends, idx, side='right'))]
        info['label'] = self._label(info['img_path'], file, label_offset, label_size)
        info['content'] = self._bytes(file, offset, size)
        return self.pipeline(info)

    def _label(self, name: str, file: str, offset: int, size: int) -> int:
        text = self._bytes(file, offset, min(size, LONGEST_LABEL)).strip()
        count = len(self._metainfo['classes'])
        if not text.isdigit() or size > LONGEST_LABEL or not int(text) < count:
            raise DataError(name, f'its label {shown(text.decode(errors="replace"))!r} is none of {count} classes, '
                            f'0 to {count - 1}', 'correct classes, or make the shard again')
        return int(text)

    def _bytes(self, file: str, offset: int, size: int) -> bytes:
        try:
            if file not in self._open:
                self._open[file] = os.open(file, os.O_RDONLY)
                if len(self._open) > MOST_OPEN:
                    os.close(self._open.popitem(last=False)[1])
            self._open.move_to_end(file)
            return os.pread(self._open[file], size, offset)  # which has no position that forks would share
        except OSError as error:
            raise DataError(file, f'cannot be read ({error.strerror})', 'make it a readable file') from error

    def __getstate__(self) -> dict:  # for workers that are not forked
        return self.__dict__ | {'_open': OrderedDict()}

    def __del__(self):
        for number in vars(self).get('_open', {}).values():
            os.close(number)
