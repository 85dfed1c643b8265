"""mmseg_vittm: ViTTM, the Vision Token Turing Machine, for MMSegmentation.

Importing this registers the backbones, the segmentor and data sets with MMSegmentation's registries, and makes mmengine
read checkpoints without running code in them (`engine.safe_loader`). Where MMSegmentation is not installed, the
encoder (`mmseg_vittm.vittm`) is there all the same.
"""
from .stack import HINT, stack_installed
from .version import __version__
from .weight_files import trust_checkpoints

_REGISTERED = ('ViTTM', 'ViTBackbone', 'SlideSegmentor', 'SlideTTAModel', 'ToyScenes', 'optimize', 'Prediction',
               'Predictor')

if stack_installed():
    from . import engine  # noqa: F401  (registers hooks)
    from .backbone import ViTTM
    from .baselines import ViTBackbone
    from .datasets import ToyScenes
    from .fast_path import optimize
    from .predictor import Prediction, Predictor
    from .segmentor import SlideSegmentor, SlideTTAModel
else:
    def __getattr__(name: str):
        if name in _REGISTERED:
            raise ImportError(HINT)
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

__all__ = ['Prediction', 'Predictor', 'SlideSegmentor', 'SlideTTAModel', 'ToyScenes', 'ViTBackbone', 'ViTTM',
           '__version__', 'optimize', 'trust_checkpoints']
