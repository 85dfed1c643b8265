"""What the tools share: configs with their data, safe and strict loading, launching, hooks."""
from .. import mm  # noqa: F401  (one sentence where MMSegmentation is missing)
from .amp import CpuAmpOptimWrapper
from .atomic_files import AtomicBackend
from .checked_loaders import LeftOutHook
from .checkpoint_hook import AtomicCheckpointHook
from .data_position import DataPositionHook
from .finite_loss_hook import FiniteLossHook
from .last_validation_hook import LastValidationHook
from .mean_loss_hook import MeanLossHook
from .optimize_hook import OptimizeHook
from .peer_watch import PeerWatchHook
from .picture_hook import PictureHook
from .random_state import RandomStateHook
from .runner import StrictRunner
from .safe_loader import use_safe_loader

use_safe_loader()

__all__ = [
    'AtomicBackend', 'AtomicCheckpointHook', 'CpuAmpOptimWrapper', 'DataPositionHook', 'FiniteLossHook',
    'LastValidationHook', 'LeftOutHook', 'MeanLossHook', 'OptimizeHook', 'PeerWatchHook', 'PictureHook',
    'RandomStateHook', 'StrictRunner'
]
