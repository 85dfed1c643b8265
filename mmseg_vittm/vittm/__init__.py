"""The method: the Vision Token Turing Machine in PyTorch and timm alone, without any mm* package."""
from .block import ViTTMBlock
from .classifier import ViTTMClassifier
from .encoder import ARCHS, ViTTMEncoder, resolve_arch
from .fusion import FUSIONS
from .heads import HEADS

__all__ = ['ARCHS', 'FUSIONS', 'HEADS', 'ViTTMBlock', 'ViTTMClassifier', 'ViTTMEncoder', 'resolve_arch']
