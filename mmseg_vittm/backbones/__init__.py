"""MMSegmentation backbones: ViTTM, and what the paper compares it with."""
from .vit import ViTBackbone
from .vittm import ViTTM

__all__ = ['ViTBackbone', 'ViTTM']
