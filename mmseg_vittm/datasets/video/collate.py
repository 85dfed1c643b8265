"""`clip_collate`: clips become one batch of frames."""
from collections.abc import Sequence

from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS

from ...errors import InputError


@FUNCTIONS.register_module()
def clip_collate(clips: Sequence[Sequence[dict]]) -> dict:
    """Returns the frames of a batch of clips as one batch, clip by clip, as an ordinary `SegDataPreProcessor` takes it.

    The place of a frame is in the metainfo of its data sample: `clip_position` 0 begins a clip.

    Args:
        clips: B clips of K packed frames each, as `VideoSegDataset` gives them in training.

    Returns:
        A dict of lists of B * K: `inputs`, tensors (3, H, W), and `data_samples`.

    Raises:
        InputError: They are no clips, or differ in length.
    """
    if not all(isinstance(clip, Sequence) for clip in clips):
        raise InputError(f'clip_collate takes clips, lists of frames, got a {type(clips[0]).__name__}; give the '
                         'dataloader a VideoSegDataset with test_mode=False, or leave collate_fn out')
    lengths = sorted({len(clip) for clip in clips})
    if len(lengths) > 1:
        raise InputError(f'clip_collate: clips of {lengths} frames in one batch; give all datasets the same '
                         'clip_length')
    return pseudo_collate([frame for clip in clips for frame in clip])
