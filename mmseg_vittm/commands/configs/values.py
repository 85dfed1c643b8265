"""Values of a config that would only fail, or do nothing, once much has been built."""
import multiprocessing
import numbers
import re
from typing import Any

from mmengine.config import Config

from ...errors import InputError
from .parts import file_of, is_own, shown_value
from .sections import Built, items_of, kind_of, part_of

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# Whole numbers: the smallest and largest that are possible; and sizes in pixels, or pairs of them.
SIZES = ('crop_size', 'image_size', 'img_size', 'stride')
LARGEST_SIZE = 1 << 16
WHOLE = {
    r'(train|val|test)_dataloader\.batch_size': (1, 1 << 20),
    r'(train|val|test)_dataloader\.num_workers': (0, 1024),
    r'total_batch_size': (1, 1 << 24),
    r'randomness\.seed': (0, (1 << 32) - 1),  # NumPy's
    r'train_cfg\.(max_iters|max_epochs|val_interval)': (1, 1 << 62),
    r'model\.num_classes': (2, 1 << 16),
    r'model\.(\w+\.)*(decode_head|auxiliary_head)(\.\d+)?\.num_classes': (1, 1 << 16),  # 0 is no head, of backbones
    r'env_cfg\.mp_cfg\.opencv_num_threads': (0, 1024),
    r'log_processor\.window_size': (1, 1 << 31),
    r'env_cfg\.resource_limit': (1, 1 << 31),
    r'(train|val|test)_dataloader\.num_batch_per_epoch': (1, 1 << 31),
}
PATHS = ('ann_file', 'data_root', 'img_suffix', 'out_dir', 'seg_map_suffix')
OPTIONAL = ('total_batch_size', 'randomness.seed', *(f'{loader}.num_batch_per_epoch' for loader in LOADERS))
COUNTS = ('max_iters', 'max_epochs', 'val_interval')  # of train_cfg; mmengine takes 1e5 too
LEVELS = ('CRITICAL', 'FATAL', 'ERROR', 'WARNING', 'WARN', 'INFO', 'DEBUG', 'NOTSET')
CHOICES = {
    'log_level': LEVELS,
    'resume': (True, False, 'auto', None),
    'sync_bn': ('torch', 'mmcv', None),
    'env_cfg.mp_cfg.mp_start_method': multiprocessing.get_all_start_methods(),
}


def check_values(cfg: Config, node: Any, path: str, kind: Any, scope: str) -> None:
    """Checks numbers that would only fail, or do nothing, once much has been built; none of a user's own class."""
    kind = kind_of(kind, node)
    if isinstance(node, dict):
        if is_own(node, kind, scope) if isinstance(kind, Built) else 'type' in node:
            return
        for name, value in items_of(node):
            check_values(cfg, value, f'{path}.{name}', part_of(kind, str(name)), scope)
        return
    if isinstance(node, (list, tuple)) and path.split('.')[-1] not in (*SIZES, 'size', 'scale'):
        for number, value in enumerate(node):
            check_values(cfg, value, f'{path}.{number}', kind, scope)
        return
    if path.split('.')[-1] in PATHS and isinstance(node, numbers.Number):
        raise InputError(f'{file_of(cfg)}: {path} must be a text, got {shown_value(node)}')
    if path == 'log_level' and type(node) is int and node >= 0:
        return
    if path in CHOICES and not any(type(node) is type(one) and node == one for one in CHOICES[path]):
        choices = ', '.join(map(str, CHOICES[path]))
        raise InputError(f'{file_of(cfg)}: {path} must be one of {choices}, got {shown_value(node)}')
    if path.split('.')[-1] in ('size', 'scale') and 'backbone' not in path:
        sides = node if isinstance(node, (list, tuple)) else [node]
        # (-1, 512) is 512 for the shorter side
        if all(isinstance(side, numbers.Real) for side in sides) and sides and (max(sides) <= 0 or 0 in sides):
            raise InputError(f'{file_of(cfg)}: {path} must be above 0, got {shown_value(node)}')
    for pattern, (least, most) in WHOLE.items():
        if not re.fullmatch(pattern, path) or node is None and path in OPTIONAL:
            continue
        if not isinstance(node, int) or isinstance(node, bool) or not least <= node <= most:
            raise InputError(f'{file_of(cfg)}: {path} must be a whole number from {least} to {most}, got '
                             f'{shown_value(node)}')
    if path.split('.')[-1] in SIZES and node is not None:
        sides = node if isinstance(node, (list, tuple)) else [node]
        if not all(isinstance(side, numbers.Real) and 0 < side <= LARGEST_SIZE for side in sides) or not sides:
            raise InputError(f'{file_of(cfg)}: {path} must be a size in pixels from 1 to {LARGEST_SIZE}, or a pair of '
                             f'them, got {shown_value(node)}')
