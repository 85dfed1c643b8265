"""What a test writes of every image, checked before it begins."""
import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DefaultScope

from ..datasets.listing import datasets_of, drawn_set, list_samples
from ..datasets.picture_names import name_pictures, pictures_of
from ..errors import InputError, one_line
from ..outputs import claim_file, claim_folder, refuse_data_folder, refuse_existing, refuse_inputs
from .configs.classes import has_own
from .configs.reading import LOADERS


def check_test_outputs(cfg: Config, folders: dict[str, str], overwrite: bool = False) -> None:
    """Checks that what a test writes of each image can be written, and replaces nothing; makes nothing.

    The images of a dataset of a user's own class are known only once the Runner has built it: the hooks that write
    check them then.

    Args:
        cfg: The config.
        folders: Folders that get a PNG per image, by the name of the argument.
        overwrite: Replace those of an earlier test.

    Raises:
        InputError: A PNG is there, or would take the place of another or of data; or a folder is one of the data's.
        OutputError: One cannot be written.
    """
    for argument, folder in folders.items():
        if not folder:
            raise InputError(f'{argument}: the name of the folder is empty')
        refuse_data_folder(folder, argument, _data_folders(cfg))
        claim_folder(folder)
    if len({os.path.realpath(folder) for folder in folders.values()}) < len(folders):
        raise InputError(f'{folder}: both {" and ".join(folders)} would write there; give them folders of their own')
    if has_own((cfg.get('test_dataloader') or {}).get('dataset'), without='pipeline'):
        return
    pictures, inputs = [], []
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmseg'):
        for dataset in datasets_of(cfg.get('test_dataloader') or {}):
            try:
                built, samples = list_samples(dataset)
            except (AttributeError, KeyError, TypeError) as error:
                raise InputError(f'test_dataloader: its dataset cannot be built ({one_line(error)}); correct its config'
                                 ) from error
            pictures.append(pictures_of(built, samples))
            inputs += [sample[key] for sample in samples for key in ('img_path', 'seg_map_path') if sample.get(key)]
    names = sorted(set(name_pictures(pictures).values()))
    written = {argument: {os.path.join(os.path.realpath(folder), name): Path(folder, name) for name in names}
               for argument, folder in folders.items()}
    for (one, here), (other, there) in combinations(written.items(), 2):
        if same := sorted(here.keys() & there.keys()):
            raise InputError(f'{same[0]}: both {one} and {other} would write it; give them folders of their own')
    paths = [path for files in written.values() for path in files.values()]
    refuse_inputs(paths, inputs)
    refuse_existing(paths, overwrite)
    for path in paths:
        claim_file(path, overwrite=True)


def _data_folders(cfg: Config) -> Iterator[tuple[Path, bool]]:
    """Yields the folders of images and annotations of all splits, and whether everything below them is listed."""
    for dataset in (one for loader in LOADERS for one in datasets_of(cfg.get(loader) or {})):
        root, prefix = dataset.get('data_root') or '', dataset.get('data_prefix') or {}
        drawn = drawn_set(dataset)
        if drawn:
            root, prefix = root or drawn.default_root, prefix or drawn.training
        for folder in prefix.values():
            if isinstance(folder, str):
                yield Path(os.path.realpath(os.path.join(root, folder))), not dataset.get('ann_file')
