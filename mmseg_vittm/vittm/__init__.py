"""The method: the Vision Token Turing Machine in PyTorch and timm alone, without any mm* package."""
from .block import ViTTMBlock
from .encoder import ARCHS, ViTTMEncoder, resolve_arch
from .fusion import FUSIONS
from .heads import HEADS

__all__ = ['ARCHS', 'FUSIONS', 'HEADS', 'ViTTMBlock', 'ViTTMEncoder', 'resolve_arch']
