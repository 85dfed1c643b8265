"""A drawn image through a pipeline and into a classifier, to see before training that they fit together."""
import io
from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmengine.dataset import Compose
from PIL import Image

from .classifier import ImageClassifier

SIDE = 64  # pixels


def try_batch(model: ImageClassifier, pipeline: Sequence[dict], collate: Callable, training: bool) -> None:
    """Has two images go through a pipeline, and a batch of them into a model, without computing.

    Args:
        model: The model.
        pipeline: Transforms of a sample.
        collate: What makes a batch of samples.
        training: Whether they are for training.

    Raises:
        ValueError: A part refuses what the one before it gives; says what is wrong.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, 'PNG')
    try:
        transforms = Compose(pipeline)
        samples = [transforms(dict(img_path='drawn', content=content.getvalue(), label=0)) for _ in range(2)]
        batch = collate(samples)
        inputs, labels = batch['inputs'], batch['labels']
    except (KeyError, TypeError) as error:
        raise ValueError(f'its pipeline must begin with DecodeImage and end with TimmTransform, and its collate_fn be '
                         f'default_collate: {error!r}') from error
    if not (isinstance(inputs, torch.Tensor) and isinstance(labels, torch.Tensor)):
        raise ValueError('its collate_fn makes no tensors of images and labels; give default_collate')
    if not inputs.isfinite().all():
        raise ValueError('its pipeline makes pixels that are no finite numbers; correct mean and std')
    try:
        inputs, _ = (model.data_preprocessor(batch, training)[name] for name in ('inputs', 'labels'))
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{type(model.data_preprocessor).__name__} is no data_preprocessor for a classifier; leave '
                         'model.data_preprocessor out') from error
    model.try_images(inputs)
