"""Image classifiers, which backbones come from: models, data, augmentation, scores; importing this registers them."""
from ..stack import MODELS  # noqa: F401  (one sentence where MMSegmentation is missing)
from .accuracy import TopAccuracy
from .classifier import ImageClassifier
from .image_folders import ImageFolders
from .image_shards import ImageShards
from .pass_sampler import PassSampler
from .transforms import DecodeImage, TimmTransform

__all__ = ['DecodeImage', 'ImageClassifier', 'ImageFolders', 'ImageShards', 'PassSampler', 'TimmTransform',
           'TopAccuracy']
