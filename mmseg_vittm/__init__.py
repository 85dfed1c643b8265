"""mmseg_vittm: ViTTM, the Vision Token Turing Machine, for MMSegmentation.

Importing this registers the backbones, segmentors, data sets, the Runner and its hooks with the registries of mmengine
and MMSegmentation, and the classifiers with timm. Where MMSegmentation is not installed, the encoder and they
(`mmseg_vittm.vittm`) are there all the same.
"""
from . import ttm, vittm
from .stack import HINT, stack_installed
from .version import __version__
from .weights.files import trust_checkpoints

# Of what is exported: classes that registries know, and what needs the stack without being registered.
_REGISTERED = ('ALGM', 'CheckedDataset', 'ImageClassifier', 'ImageFolders', 'ImageShards', 'LookupViT',
               'MachineMemory', 'MovingToyScenes', 'PastAttention', 'RevViT', 'SlideSegmentor', 'SlideTTAModel',
               'StreamSegmentor', 'StrictRunner', 'ToMe', 'ToyScenes', 'VideoMetric', 'VideoSegDataset', 'ViTBackbone',
               'ViTTM')
_FUNCTIONS = ('Prediction', 'Predictor', 'StreamBatch', 'StreamState', 'load_model', 'optimize')

if stack_installed():
    from .backbones import ALGM, LookupViT, RevViT, ToMe, ViTBackbone, ViTTM
    from .classification import ImageClassifier, ImageFolders, ImageShards
    from .datasets import CheckedDataset, MovingToyScenes, ToyScenes, VideoSegDataset
    from .engine import StrictRunner
    from .evaluation import VideoMetric
    from .inference.fast import optimize
    from .inference.predictor import Prediction, Predictor
    from .inference.slide_segmentor import SlideSegmentor, SlideTTAModel
    from .inference.stream_batch import StreamBatch
    from .inference.stream_state import StreamState
    from .streaming import MachineMemory, PastAttention, StreamSegmentor
    from .weights.whole_model import load_model
else:
    def __getattr__(name: str):
        if name in _REGISTERED + _FUNCTIONS:
            raise ImportError(HINT)
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

__all__ = ['ALGM', 'CheckedDataset', 'ImageClassifier', 'ImageFolders', 'ImageShards', 'LookupViT', 'MachineMemory',
           'MovingToyScenes', 'PastAttention', 'Prediction', 'Predictor', 'RevViT', 'SlideSegmentor', 'SlideTTAModel',
           'StreamBatch', 'StreamSegmentor', 'StreamState', 'StrictRunner', 'ToMe', 'ToyScenes', 'VideoMetric',
           'VideoSegDataset', 'ViTBackbone', 'ViTTM', '__version__', 'load_model', 'optimize', 'trust_checkpoints',
           'ttm', 'vittm']
