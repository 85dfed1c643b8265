"""`StillMotion`: a still, seen by a smoothly moving camera, in the place of a clip."""
import math
from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ...errors import InputError
from ..label_checks import IGNORED


@TRANSFORMS.register_module()
class StillMotion(BaseTransform):
    """Replaces a clip by its first labelled frame, seen by a smoothly moving camera.

    It teaches a memory what small motion looks like where the labelled frames of a video are far apart, as methods of
    video object segmentation train on stills first. One of the frames, any, is the still itself; the others are warped
    about their centre. The camera's speed (pan, zoom and rotation) changes evenly from the clip's first frame to its
    last. Images are interpolated bilinearly and go on mirrored beyond the still's border, where labels are
    `ignore_index`; labels take the nearest pixel. One of `VideoSegDataset`'s `clip_transforms`. A clip without labels
    stays as it is.

    Args:
        prob: Probability, per clip, that it is replaced.
        max_shift: Fastest pan, in pixels of the loaded image per frame, each way.
        max_zoom: Fastest zoom, the largest factor from one frame to the next, at least 1; its inverse is as likely.
        max_rotate: Fastest rotation, in degrees per frame, either way.
        ignore_index: Label beyond the still's border.

    Raises:
        InputError: An argument is out of its range.
    """

    def __init__(self, prob: float = 0.5, max_shift: float = 4.0, max_zoom: float = 1.02, max_rotate: float = 0.5,
                 ignore_index: int = IGNORED):
        if not 0 <= prob <= 1:
            raise InputError(f'StillMotion: prob must be from 0 to 1, got {prob!r}')
        for name, value, least in (('max_shift', max_shift, 0), ('max_zoom', max_zoom, 1),
                                   ('max_rotate', max_rotate, 0)):
            if not least <= value < math.inf:
                raise InputError(f'StillMotion: {name} must be a number, {least} or more, got {value!r}')
        self.prob, self.ignore_index = prob, ignore_index
        self.fastest = np.array([max_shift, max_shift, math.log(max_zoom), max_rotate])

    def transform(self, frames: Sequence[dict]) -> list[dict]:
        """Returns the frames of a clip, or the still in motion.

        Args:
            frames: Loaded frames with `img` (H, W, 3) and maps (H, W) named by `seg_fields`.
        """
        still = next((frame for frame in frames if frame['is_labelled']), None)
        if np.random.random() >= self.prob or still is None:
            return list(frames)
        return [self._seen(still, *pose) for pose in self._path(len(frames))]

    def _path(self, length: int) -> np.ndarray:
        """Draws the camera's path: (length, 4), pixels right, pixels down, logarithm of the zoom, degrees."""
        first, last = np.random.uniform(-self.fastest, self.fastest, (2, 4))
        speed = np.linspace(first, last, max(length - 1, 1))[:length - 1]
        path = np.concatenate([np.zeros((1, 4)), np.cumsum(speed, axis=0)])
        return path - path[np.random.randint(length)]

    def _seen(self, still: dict, right: float, down: float, zoom: float, degrees: float) -> dict:
        height, width = still['img'].shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, math.exp(zoom))
        matrix[:, 2] += right, down
        seen = dict(still, region_path=None)  # the mask does not move along
        seen['img'] = cv2.warpAffine(still['img'], matrix, (width, height), flags=cv2.INTER_LINEAR,
                                     borderMode=cv2.BORDER_REFLECT_101)
        for key in still.get('seg_fields', ()):
            seen[key] = cv2.warpAffine(still[key], matrix, (width, height), flags=cv2.INTER_NEAREST,
                                       borderMode=cv2.BORDER_CONSTANT, borderValue=self.ignore_index)
        seen['seg_fields'] = list(still.get('seg_fields', ()))
        return seen

    def __repr__(self) -> str:
        shift, _, zoom, rotate = self.fastest
        return (f'StillMotion(prob={self.prob}, max_shift={shift:g}, max_zoom={math.exp(zoom):g}, '
                f'max_rotate={rotate:g}, ignore_index={self.ignore_index})')
