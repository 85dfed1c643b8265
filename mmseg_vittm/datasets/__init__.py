"""Data sets; importing this registers them with MMSegmentation."""
from .toy_scenes import ToyScenes

__all__ = ['ToyScenes']
