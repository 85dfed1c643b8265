"""The files of a config's datasets: what is listed, what is missing, what nothing belongs to."""
import copy
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import ConfigDict
from mmengine.dataset import BaseDataset

from ..errors import DataError, InputError, one_line
from ..stack import DATASETS
from .moving_toy.files import MOVING_TOY_SCENES
from .moving_toy.scenes import MovingToyScenes
from .toy.drawn_set import DrawnSet
from .toy.scenes import TOY_SCENES, ToyScenes

ADE20K_SOURCE = 'http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip (0.9 GB)'
DRAWN = ((ToyScenes, TOY_SCENES), (MovingToyScenes, MOVING_TOY_SCENES))
SKIP_OPTIONS = ('bad_data', 'max_skipped')  # of a dataset's config: for CheckedDataset, not for the dataset


def datasets_of(node: ConfigDict | list) -> Iterator[ConfigDict]:
    """Yields every dataset in a dataloader's config, inside wrappers and concatenations too."""
    if isinstance(node, dict):
        if 'data_root' in node or 'data_prefix' in node or drawn_set(node):
            yield node
        for key, value in node.items():
            if key not in ('pipeline', 'data_prefix'):
                yield from datasets_of(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from datasets_of(value)


def drawn_set(dataset: dict) -> DrawnSet | None:
    """Returns what a dataset's config has a program draw where it is first used; None for files that are just there."""
    kind = dataset.get('type')
    return next((drawn for each, drawn in DRAWN if kind in (each, each.__name__, f'mmseg.{each.__name__}')), None)


def built_leaves(dataset: object) -> Iterator[BaseDataset]:
    """Yields the datasets that list files, inside wrappers and concatenations."""
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    if isinstance(dataset, BaseDataset):
        yield dataset
    else:
        for one in inner:
            if one is not None:
                yield from built_leaves(one)


def built_folders(dataset: BaseDataset) -> Iterator[tuple[Path, bool]]:
    """Yields the folders of a dataset's images and annotations, and whether everything below them is listed."""
    for folder in (dataset.data_prefix or {}).values():
        if isinstance(folder, str) and _is_local(folder):
            yield Path(os.path.realpath(folder)), not dataset.ann_file


def leave_files_to_checks(cfg: dict) -> dict:
    """Returns a copy of a dataset's config in which toy scenes do not refuse a set with bad files."""
    cfg = copy.deepcopy(cfg)
    for leaf in datasets_of(cfg):
        if drawn_set(leaf):
            leaf.setdefault('check_files', False)
    return cfg


def check_folders(dataset: ConfigDict, dataloader: str) -> None:
    """Checks that the folders of one dataset exist and hold files.

    Args:
        dataset: Its config.
        dataloader: Name of the dataloader that has it.

    Raises:
        DataError: One is missing or empty, or no folder is named; says where ADE20K is to be had.
    """
    if dataset.get('backend_args'):  # is no folder
        return
    root, prefix = dataset.get('data_root'), dataset.get('data_prefix') or {}
    if not isinstance(prefix, dict) or not all(isinstance(path, (str, os.PathLike, type(None)))
                                               for path in (root, *prefix.values())):
        raise DataError(f'{dataloader}: data_root must be a folder, and data_prefix name folders in it, got {root!r} '
                        f'and {prefix!r}; correct them')
    drawn = drawn_set(dataset)
    if drawn:
        drawn.check_drawn(root or drawn.default_root, dataset.get('draw', False))
        return
    root = Path(root or '')
    for folder in prefix.values():
        path = root / (folder or '')
        problem = None if os.path.isdir(path) else 'no such folder'
        try:
            if problem is None and not any(os.scandir(path)):
                problem = 'the folder is empty'
        except OSError as error:
            problem = f'cannot be read ({error.strerror})'
        if problem:
            raise DataError(path.resolve(), f'{problem}, but {dataloader} ({dataset.get("type")}) reads it',
                            _remedy(dataset, root))


def _remedy(dataset: ConfigDict, root: Path) -> str:
    if dataset.get('type') != 'ADE20KDataset':
        return 'give data_root=DIR, the folder that holds it'
    text = ('give data_root=DIR, the folder ADEChallengeData2016 that holds images/ and annotations/, each with '
            f'training/ and validation/. ADE20K is at {ADE20K_SOURCE}')
    inner = root / 'ADEChallengeData2016'
    return text + f". Did you mean data_root='{inner}'?" * inner.is_dir()


def list_samples(cfg: dict) -> tuple[BaseDataset, list[dict]]:
    """Lists the files of one dataset, without its pipeline.

    Args:
        cfg: Its config: no wrapper's.

    Returns:
        The dataset, and what it says of each sample (`img_path`, `seg_map_path`, ...).

    Raises:
        DataError: It has no images.
        InputError: It cannot be listed.
    """
    cfg = {key: value for key, value in leave_files_to_checks(cfg).items() if key not in SKIP_OPTIONS}
    cfg.update(pipeline=[], lazy_init=True, serialize_data=False)
    dataset = None
    try:
        dataset = DATASETS.build(cfg)
        dataset.full_init()
    except (OSError, ValueError, AssertionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f'{cfg["type"]}: its files cannot be listed ({one_line(error)}); correct data_root, '
                         'data_prefix or ann_file') from error
    samples = [dataset.get_data_info(i) for i in range(len(dataset.data_list))]
    if not samples:
        raise no_images(dataset)
    return dataset, samples


def no_images(dataset: BaseDataset) -> DataError:
    """Returns the error of a dataset that lists no images."""
    where = dataset.ann_file or (dataset.data_prefix or {}).get('img_path') or dataset.data_root or '.'
    suffix = getattr(dataset, 'img_suffix', None)
    kind = f'no image{f" ending in {suffix!r}" if suffix and not dataset.ann_file else ""}'
    return DataError(where, f'{kind} for {type(dataset).__name__}', 'put the images there, or correct data_root, '
                     'data_prefix or img_suffix')


def missing_annotations(samples: Sequence[dict]) -> list[str]:
    """Returns the annotations of samples that are not there; folders are listed once, which is quick on any disk."""
    paths = [sample['seg_map_path'] for sample in samples if _is_local(sample.get('seg_map_path'))]
    present = {folder: _names(folder) for folder in {os.path.dirname(path) for path in paths}}
    return [path for path in paths if os.path.basename(path) not in present[os.path.dirname(path)]]


def stray_annotations(dataset: BaseDataset, samples: Sequence[dict]) -> list[str]:
    """Returns the annotations in a dataset's folder that belong to no image; none where a file says what to read."""
    folder, suffix = (dataset.data_prefix or {}).get('seg_map_path'), getattr(dataset, 'seg_map_suffix', None)
    if dataset.ann_file or not suffix or not _is_local(folder) or not os.path.isdir(folder) or dataset._indices:
        return []
    labels = [*(sample.get('seg_map_path') for sample in samples), *getattr(dataset, 'labels_left_out', ())]
    known = {os.path.normpath(path) for path in labels if path}
    there = (os.path.normpath(path) for path in Path(folder).rglob(f'*{suffix}'))
    return sorted(path for path in there if path not in known)


def _is_local(path: str | None) -> bool:
    return bool(path) and '://' not in path and not path.startswith('s3:')


def _names(folder: str) -> set[str]:
    try:
        return set(os.listdir(folder or '.'))
    except OSError:
        return set()
