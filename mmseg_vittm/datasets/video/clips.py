"""Clips: which frames of a video form one, and how a pipeline prepares them together."""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import DataError
from .same_decisions import apply_alike

# Of a frame, for models and metrics: in the metainfo of its data sample, whichever meta_keys the pipeline packs.
METAINFO_KEYS = ('video', 'video_frames', 'frame_number', 'frame_index', 'is_labelled', 'region_path')


def draw_places(index: int, video_frames: int, clip_length: int, strides: Sequence[int]) -> range:
    """Draws a stride, and returns the places of a clip's frames in their video.

    Args:
        index: Where the clip should begin; it begins earlier where the video would end before the clip.
        video_frames: Frames of the video.
        clip_length: Frames of the clip.
        strides: To draw from, as far as the video is long enough for them.
    """
    fitting = [stride for stride in strides if (clip_length - 1) * stride < video_frames]
    stride = fitting[np.random.randint(len(fitting))]
    span = (clip_length - 1) * stride
    begin = min(index, video_frames - 1 - span)
    return range(begin, begin + span + 1, stride)


def number_of_loading(steps: Sequence[Callable]) -> int:
    """Returns how many steps a pipeline begins with that load something."""
    for number, step in enumerate(steps):
        if not type(step).__name__.startswith('Load'):
            return number
    return len(steps)


def load(frames: Sequence[dict], steps: Sequence[Callable]) -> list[dict] | None:
    """Returns the frames of a clip after the steps that load them; None where a step refuses one.

    Raises:
        DataError: A file is bad, and `error.place` the place of its frame in the clip; or frames differ in size, which
            names both.
    """
    loaded = []
    for place, frame in enumerate(frames):
        try:
            for step in steps:
                frame = None if frame is None else step(frame)
        except DataError as error:
            error.place = place
            raise
        loaded.append(frame)
    if None in loaded:
        return None
    _check_sizes(loaded)
    return loaded


def augment(frames: list[dict], clip_transforms: Sequence[Callable], steps: Sequence[Callable]) -> list[dict] | None:
    """Returns the frames of a clip as the other steps of a pipeline make them, with the same decisions in all.

    Args:
        frames: What `load` returned.
        clip_transforms: Transforms of the whole clip, before the steps.
        steps: Transforms of a frame.

    Returns:
        What the last step returns per frame, with the metainfo of frames and their places; None where a step refuses
        one.
    """
    for transform in clip_transforms:
        frames = transform(frames)
    about = [dict(frame_metainfo(frame), clip_position=position, clip_length=len(frames))
             for position, frame in enumerate(frames)]
    for step in steps:
        frames = apply_alike(step, frames)
        if None in frames:
            return None
    return [add_metainfo(*pair) for pair in zip(frames, about, strict=True)]


def frame_metainfo(frame: dict) -> dict:
    """Returns what the data sample of a frame says of it."""
    return {key: frame[key] for key in METAINFO_KEYS}


def add_metainfo(packed: Any, about: dict) -> Any:
    """Adds to the data samples of what a pipeline has packed, several where it is test-time augmentation's."""
    samples = packed.get('data_samples') if isinstance(packed, dict) else None
    for sample in samples if isinstance(samples, (list, tuple)) else [samples]:
        if sample is not None:
            sample.set_metainfo(about)
    return packed


def _check_sizes(frames: Sequence[dict]) -> None:
    first = frames[0]
    for place, frame in enumerate(frames):
        if 'img' in frame and frame['img'].shape[:2] != first['img'].shape[:2]:
            sizes = ['{1} x {0} pixels'.format(*one['img'].shape) for one in (frame, first)]
            error = DataError(frame['img_path'], f'is {sizes[0]}, {first["img_path"]} of the same video {sizes[1]}',
                              'give all frames of a video one size')
            error.place = place
            raise error
