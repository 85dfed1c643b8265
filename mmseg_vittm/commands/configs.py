"""Configs as the command lines see them: read, pointed at their data, checked before anything long starts."""
from pathlib import Path

from mmengine.config import Config

from ..datasets.listing import check_folders, datasets_of
from ..errors import InputError, one_line

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def load_config(path: str, cfg_options: dict | None = None, data_root: str | None = None) -> Config:
    """Reads a config, changes settings in it, then points every dataset in it at its data.

    Args:
        path: The config file.
        cfg_options: Settings to change, such as `{'train_cfg.max_iters': 1000}`. `total_batch_size` is the batch of
            `train_dataloader` too.
        data_root: See `set_data_root`.

    Raises:
        InputError: There is no such config, it cannot be read or imports what is not installed, it has no place for a
            setting, or no dataset for a data root.
    """
    if not Path(path).is_file():
        raise InputError(f'{path}: no such config file; those of this project are in configs/')
    try:
        cfg = Config.fromfile(path)
    except ImportError as error:  # of its custom_imports
        reason = one_line(error.__cause__ or error)  # mmengine's own goes on with sys.path
        raise InputError(f'{path}: the config imports what is not installed ({reason})') from error
    except Exception as error:  # mmengine runs the file: it may raise anything
        raise InputError(f'{path}: cannot be read as a config ({one_line(error)})') from error
    if cfg_options:
        try:
            cfg.merge_from_dict(cfg_options)
            if 'total_batch_size' in cfg_options:
                cfg.train_dataloader.batch_size = cfg.total_batch_size
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            settings = ', '.join(f'{name}={value}' for name, value in cfg_options.items())
            raise InputError(f'{path}: has no place for the settings {settings} ({one_line(error)})') from error
    if data_root is not None:
        set_data_root(cfg, data_root)
    return cfg


def set_data_root(cfg: Config, data_root: str) -> None:
    """Points every dataset of a config at one folder.

    Raises:
        InputError: The config has no dataset.
    """
    datasets = [dataset for loader in LOADERS if cfg.get(loader) for dataset in datasets_of(cfg[loader])]
    if not datasets:
        raise InputError(f'data_root={data_root!r}: this config has no dataset that it could point there')
    for dataset in datasets:
        dataset.data_root = data_root
    if 'data_root' in cfg:
        cfg.data_root = data_root


def check_data(cfg: Config, loaders: tuple[str, ...]) -> None:
    """Checks that the folders of the datasets to be read exist and hold files; what is in them, `CheckedDataset` sees.

    Args:
        cfg: The config.
        loaders: Names of the dataloaders that will be used.

    Raises:
        DataError: One is missing or empty; says which, and where ADE20K is to be had.
    """
    for loader in loaders:
        for dataset in datasets_of(cfg.get(loader) or {}):
            check_folders(dataset, loader)
