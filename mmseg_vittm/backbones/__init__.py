"""MMSegmentation backbones: ViTTM, and what it is compared with."""
from .algm import ALGM
from .lookupvit import LookupViT
from .revvit import RevViT
from .tome import ToMe
from .vit import ViTBackbone
from .vittm import ViTTM

__all__ = ['ALGM', 'LookupViT', 'RevViT', 'ToMe', 'ViTBackbone', 'ViTTM']
