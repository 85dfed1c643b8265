"""What the paper compares ViTTM with, as MMSegmentation backbones."""
from .. import mm  # noqa: F401  (one sentence where MMSegmentation is missing)
from .vit import ViTBackbone

__all__ = ['ViTBackbone']
