"""Prediction: what a segmentor sees in an image, and what its classes are called."""
from dataclasses import dataclass, field

import numpy as np
import torch
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ..errors import InputError
from ..visualization.pictures import add_legend, overlay
from ..weights.dataset_meta import num_classes

ROWS = 64  # of logits that are copied at once


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a segmentor sees in an image.

    Attributes:
        name: The image's path, or its place in the list, such as `'images[3]'`.
        image: The image (H, W, 3), uint8 RGB, turned as its EXIF orientation says; of other bands than these a
            `preview`: the first three, or the first, stretched to 8 bits.
        labels: Class indices (H, W) at the image's size: uint8, or uint16 with more than 256 classes.
        classes: Names of the classes.
        palette: One RGB colour per class.
        confidence: How probable each pixel's label is, (H, W) float32; None unless the predictor was to say it.
        is_cut: Whether a model that remembers began anew with this frame of a stream, because it shows another scene.
    """
    name: str
    image: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)
    palette: tuple[tuple[int, int, int], ...] = field(repr=False)
    confidence: np.ndarray | None = field(default=None, repr=False)
    is_cut: bool = False

    def overlay(self, opacity: float = 0.5, legend: bool = False) -> np.ndarray:
        """Returns the image under the labels' colours, (H, W, 3) uint8 RGB.

        Args:
            opacity: Weight of the labels' colours, 0 to 1.
            legend: Set the classes seen and their share of the area beside it, which makes the picture wider.
        """
        picture = overlay(self.image, self.labels, self.palette, opacity)
        return add_legend(picture, self.labels, self.classes, self.palette) if legend else picture


def confidence_of(sample: SegDataSample) -> Tensor:
    """Returns how probable each pixel's label is, (H, W) float32, by the softmax of a segmentor's final logits.

    In windows these are the mean of the logits that overlapping windows give a pixel, as the labels are made of. Of a
    head of one channel it is the sigmoid's probability of what was chosen.

    Args:
        sample: What the segmentor gave: its `confidence`, or else `seg_logits`.
    """
    if 'confidence' in sample:
        return sample.confidence.data[0]
    logits = sample.seg_logits.data  # (C, H, W), or (1, H, W) of probabilities
    if len(logits) == 1:
        return torch.where(sample.pred_sem_seg.data[0] > 0, logits[0], 1 - logits[0]).float()
    stripes = (stripe.float() for stripe in logits.split(ROWS, dim=1))
    return torch.cat([(stripe.amax(0) - stripe.logsumexp(0)).exp() for stripe in stripes])


def classes_of(model: nn.Module) -> tuple[tuple[str, ...], tuple[tuple[int, int, int], ...]]:
    """Returns names and colours of the classes: the checkpoint's, or those of the config's test data set."""
    meta = getattr(model, 'dataset_meta', None)
    if meta is None:
        kind = model.cfg.get('test_dataloader', {}).get('dataset', {}).get('type')
        meta = getattr(DATASETS.get(kind) if isinstance(kind, str) else kind, 'METAINFO', {})
    if not meta.get('classes'):
        raise InputError('the model does not say its classes; set model.dataset_meta=dict(classes=[...], '
                         'palette=[[red, green, blue], ...])')
    classes = tuple(meta['classes'])
    counts = num_classes(model)
    if counts and len(classes) not in counts:
        raise InputError(f'the model has {max(counts)} classes (num_classes of its decode head), but its dataset_meta '
                         f'names {len(classes)}; take the checkpoint that its config was trained to, or set '
                         'model.dataset_meta=dict(classes=[...], palette=[[red, green, blue], ...])')
    palette = meta.get('palette') or np.random.default_rng(0).integers(0, 256, (len(classes), 3))
    return classes, tuple(tuple(map(int, colour)) for colour in palette)
