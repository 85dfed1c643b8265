"""Data sets; importing this registers them with MMSegmentation."""
from ..stack import DATASETS  # noqa: F401  (one sentence where MMSegmentation is missing)
from .camvid import CamVid
from .checked_dataset import CheckedDataset
from .toy.scenes import ToyScenes

__all__ = ['CamVid', 'CheckedDataset', 'ToyScenes']
