"""What the tools share: configs with their data, safe and strict loading, launching, hooks."""
from .. import mm  # noqa: F401  (one sentence where MMSegmentation is missing)
from .amp import CpuAmpOptimWrapper
from .mean_loss_hook import MeanLossHook
from .optimize_hook import OptimizeHook
from .picture_hook import PictureHook
from .safe_loader import use_safe_loader

use_safe_loader()

__all__ = ['CpuAmpOptimWrapper', 'MeanLossHook', 'OptimizeHook', 'PictureHook']
