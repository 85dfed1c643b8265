"""What the tools share: configs with their data, safe and strict loading, launching, hooks."""
from .. import mm  # noqa: F401  (one sentence where MMSegmentation is missing)
from .amp import CpuAmpOptimWrapper
from .checked_loaders import LeftOutHook
from .loading import StrictRunner
from .mean_loss_hook import MeanLossHook
from .optimize_hook import OptimizeHook
from .picture_hook import PictureHook

__all__ = ['CpuAmpOptimWrapper', 'LeftOutHook', 'MeanLossHook', 'OptimizeHook', 'PictureHook', 'StrictRunner']
