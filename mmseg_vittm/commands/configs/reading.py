"""Configs as the command lines see them: read, pointed at their data, checked before anything long starts."""
import os
import stat
import traceback
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger

from ...classification.config_checks import check_images, is_image_set
from ...datasets.listing import check_folders, datasets_of
from ...errors import InputError, one_line
from .checks import check_config
from .longer_lists import unread_backends
from .sections import items_of
from .settings import change_settings, misspelt_sections
from .values import LOADERS


def load_config(path: str, cfg_options: dict | None = None, data_root: str | None = None,
                job: str | None = None) -> Config:
    """Reads a config, changes settings in it, points every dataset in it at its data, and checks it for a job.

    Args:
        path: The config file.
        cfg_options: Settings to change, such as `{'train_cfg.max_iters': 1000}`; see `change_settings`.
        data_root: See `set_data_root`.
        job: What the config is for; see `check_config`. None checks the settings alone.

    Raises:
        InputError: There is no such config, it cannot be read or imports what is not installed, it or what it
            configures does not know a setting, it has no dataset for a data root, or lacks what the job needs.
    """
    cfg = _read(path)
    cfg.default_scope = cfg.get('default_scope') or 'mmseg'  # mmengine's own default has none of these models
    for sentence in filter(None, (*misspelt_sections(cfg), unread_backends(cfg))):
        MMLogger.get_current_instance().warning(sentence)
    if cfg_options:
        change_settings(cfg, cfg_options)
    if job is not None:
        check_config(cfg, job)
    if data_root is not None:
        set_data_root(cfg, data_root)
    return cfg


def _read(path: str) -> Config:
    """Reads a config file.

    Raises:
        InputError: It is no regular file, or fails; says where, if it is Python.
    """
    if not path:
        raise InputError("the config '': no name of a file; those of this project are in configs/")
    file = Path(path)
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f'{path}: no such config file; those of this project are in configs/') from error
    except (OSError, ValueError) as error:  # too long a name, no permission, a zero byte
        raise InputError(f'{path}: no config file can be there ({one_line(error)}); those of this project are in '
                         'configs/') from error
    if not stat.S_ISREG(mode):
        kind = 'a folder' if stat.S_ISDIR(mode) else 'a device or a pipe'
        raise InputError(f'{path}: no config file, but {kind}; those of this project are in configs/')
    try:
        cfg = Config.fromfile(path)
        _read_whole(cfg._cfg_dict)
    except ImportError as error:  # of its custom_imports
        reason = one_line(error.__cause__ or error)  # mmengine's own goes on with sys.path
        raise InputError(f'{path}: the config imports what is not installed ({reason})') from error
    except RecursionError as error:
        raise InputError(f'{path}: cannot be read as a config: it, or one of its _base_, has itself as _base_, or is '
                         'nested too deep; correct _base_') from error
    except (Exception, SystemExit) as error:  # mmengine runs the file: it may raise anything
        reason = f'{_where(error, path)}{one_line(error)}'
        raise InputError(f'{path}: cannot be read as a config ({reason}); correct the file') from error
    return cfg


def _read_whole(node: Any) -> None:
    """Visits all of a config: one that imports its classes does so only where they are looked at."""
    for value in [part for _, part in items_of(node)] if isinstance(node, dict) else node:
        if isinstance(value, (dict, list, tuple)):
            _read_whole(value)


def _where(error: BaseException, path: str) -> str:
    """Returns the line at which a config, or one that it has as _base_, failed, where that is known: `'line 3: '`."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.name == '<module>' and not isinstance(error, SyntaxError) and not frame.filename.startswith('<'):
            base = '' if os.path.abspath(path) == os.path.abspath(frame.filename) else f'{frame.filename}, '
            return f'{base}line {frame.lineno}: ' if 'importlib' not in frame.filename else ''
    return ''


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
        InputError: The classes of classified images are not the model's, or one another's.
    """
    datasets = [(loader, dataset) for loader in loaders for dataset in datasets_of(cfg.get(loader) or {})]
    check_images(cfg, datasets)
    for loader, dataset in datasets:
        if not is_image_set(dataset):
            check_folders(dataset, loader)
