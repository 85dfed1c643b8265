"""The method: the Vision Token Turing Machine in PyTorch and timm alone, without any mm* package.

Importing this registers the classifiers with timm: `timm.list_models('vittm*')`.
"""
from . import timm_models, tome
from .archs import ARCHS, resolve_arch
from .block import ViTTMBlock
from .both import Both
from .classifier import ViTTMClassifier
from .encoder import ViTTMEncoder
from .fusion import FUSIONS
from .heads import HEADS

__all__ = ['ARCHS', 'FUSIONS', 'HEADS', 'Both', 'ViTTMBlock', 'ViTTMClassifier', 'ViTTMEncoder', 'resolve_arch',
           'timm_models', 'tome']
