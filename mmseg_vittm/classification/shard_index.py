"""Where the samples of WebDataset shards are: tar files listed once, so that any sample is found at once."""
import os
import tarfile
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..datasets.image_files import AGAIN, no_file
from ..errors import DataError, InputError, one_line, shown
from .classes import some
from .names import Names

IMAGES = ('jpg', 'jpeg', 'png', 'webp', 'ppm')
LABEL = 'cls'
INSTALL = "shards need the library webdataset: pip install 'mmseg-vittm[imagenet]'"


def shard_files(shards: str | Sequence[str], data_root: str | None) -> list[str]:
    """Returns the files that a pattern of shards stands for, all of which are there.

    Args:
        shards: A path such as `'train-{000000..000146}.tar'`, or a list of them, below `data_root` if not whole.
        data_root: The folder of the data.

    Raises:
        InputError: The pattern names none, or one that is no local file; or some are missing, and which.
    """
    try:
        from webdataset.shardlists import expand_urls
    except ImportError as error:
        raise InputError(INSTALL) from error
    given = [shards] if isinstance(shards, str) else shards
    if not isinstance(given, (list, tuple)) or not given or not all(isinstance(one, str) and one for one in given):
        raise InputError("shards must be a pattern such as 'train-{000000..000146}.tar', or a list of them, got "
                         f'{shards!r}')
    try:
        files = [file for one in given for file in expand_urls(one)]
    except Exception as error:  # of unbalanced braces, or a variable in them
        raise InputError(f'shards {shown(given[0])}: no pattern of files ({one_line(error)}); give one such as '
                         "'train-{000000..000146}.tar'") from error
    remote = [file for file in files if '://' in file or file.startswith(('pipe:', 's3:', 'gs:'))]
    if remote:
        raise InputError(f'shards {shown(remote[0])}: no local file; copy the shards to a disk: a run that goes on '
                         'exactly where it stopped has to find any sample in them')
    files = [os.path.join(data_root or '', file) for file in files]
    missing = [file for file in files if not os.path.exists(file)]
    if missing:
        raise DataError(missing[0], f'no such shard; {len(missing)} of {len(files)} are missing: '
                        f'{some([Path(file).name for file in missing])}',
                        'give data_root=DIR, the folder that holds them, or correct the pattern in shards')
    for file in files:
        error = no_file(file)
        if error is not None:
            raise error
    return files


@dataclass
class ShardIndex:
    """Where the samples of shards are.

    Attributes:
        files: The shards.
        sizes: Number of samples in each.
        keys: What each sample is called, over all shards.
        places: Per sample the offset and the size of its image, and of its label, in bytes: (N, 4).
    """
    files: list[str]
    sizes: np.ndarray
    keys: Names
    places: np.ndarray

    @classmethod
    def read(cls, files: Sequence[str]) -> 'ShardIndex':
        """Lists the samples of shards, by the library's rule: names alike up to the first dot are one sample.

        Only headers are read, not the images: some seconds for ImageNet-1K.

        Raises:
            DataError: A shard is damaged or empty, or a sample has no image or no label.
        """
        sizes, places = [], array('q')  # a list of numbers takes ten times the memory

        def keys() -> Iterator[str]:
            for file in files:
                count = 0
                for key, place in _samples_in(file):
                    places.extend(place)
                    count += 1
                    yield key
                if not count:
                    raise DataError(file, 'no samples in this shard', 'make it again, or take it out of the pattern')
                sizes.append(count)
        names = Names(keys())
        return cls(list(files), np.array(sizes), names, np.array(places, np.int64).reshape(-1, 4))

    def __len__(self) -> int:
        return len(self.keys)


def _samples_in(file: str) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    from webdataset.tariterators import group_by_keys
    try:
        for sample in group_by_keys(_members(file)):
            key = sample['__key__']
            image = next((sample[ending] for ending in IMAGES if ending in sample), None)
            if image is None or LABEL not in sample:
                wanted = f'label (.{LABEL})' if image else f'image (.{", .".join(IMAGES)})'
                raise DataError(file, f'the sample {shown(key)} has no {wanted}', 'make the shard again')
            yield key, (*image, *sample[LABEL])
    except DataError:
        raise
    except (EOFError, OSError, ValueError, tarfile.TarError) as error:
        reason = ' '.join(str(part) for part in error.args if isinstance(part, str)) or one_line(error)
        raise DataError(file, f'cannot be read as a shard ({shown(reason)})', AGAIN) from error


def _members(file: str) -> Iterator[dict]:
    """Yields the files in a tar file as the library's readers do, with their place in it instead of their content."""
    with tarfile.open(file, 'r:') as tar:
        for member in tar:
            if member.isreg() and not member.name.startswith('__'):
                yield dict(fname=member.name, data=(member.offset_data, member.size), __url__=file)
            tar.members = []  # else it keeps all of them
    with open(file, 'rb') as content:  # which the library ends like any other, at a damaged header too
        content.seek(tar.offset)
        rest = content.read(tarfile.BLOCKSIZE)
        if len(rest) < tarfile.BLOCKSIZE:
            raise DataError(file, f'truncated: {content.tell()} bytes without the end of the tar file', AGAIN)
        while rest:
            if rest.strip(tarfile.NUL):
                raise DataError(file, f'damaged: what comes at byte {tar.offset} is no file', AGAIN)
            rest = content.read(1 << 20)
