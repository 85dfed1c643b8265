"""Data sets; importing this registers them with MMSegmentation."""
from .. import mm  # noqa: F401  (one sentence where MMSegmentation is missing)
from .checked_dataset import CheckedDataset
from .toy_scenes import ToyScenes

__all__ = ['CheckedDataset', 'ToyScenes']
