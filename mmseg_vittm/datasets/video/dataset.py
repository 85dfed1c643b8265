"""`VideoSegDataset`: videos frame by frame, with labels on some or all frames; clips of them to train on."""
import os
from collections.abc import Callable, Sequence

from mmengine import fileio
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from ...errors import DataError, InputError, one_line
from ...stack import DATASETS, MMLogger
from ..checked_transforms import has_step, use_checked_transforms
from .clips import add_metainfo, augment, draw_places, frame_metainfo, load, number_of_loading
from .frames import compile_pattern, in_videos, read_name, with_places

FOLDERS = dict(img_path='', seg_map_path='')


@DATASETS.register_module()
class VideoSegDataset(BaseSegDataset):
    """Videos as frames on disk, in order, with labels on some or all of them.

    A frame is `VIDEO/NAME.jpg` below `data_prefix['img_path']`, and its label `VIDEO/NAME.png` below
    `data_prefix['seg_map_path']`; the frame number is the last run of digits of NAME. Where frames lie in one folder,
    names have both: `SEQUENCE_NUMBER.jpg`, as CamVid's `0006R0_f00930.jpg`. Sample i is about frame i, so that the
    length is the number of frames:

    - In training it is a *clip*: a list of `clip_length` frames of one video, each as the pipeline packs it. It begins
      at frame i, or earlier where the video ends before. The pipeline takes the same random decisions in all frames,
      see `video.same_decisions`. Batch clips by `collate_fn=dict(type='clip_collate')`.
    - With `test_mode=True` it is frame i alone, as of any dataset. Test with `sampler=dict(type='VideoSampler')`.

    The metainfo of each data sample has `video`, `video_frames` (how many it has), `frame_number`, `frame_index` (from
    0 in its video), `clip_position` (from 0 in the clip; in testing the `frame_index`), `clip_length` (in training),
    `is_labelled`, and `region_path`.

    Args:
        ann_file: As everywhere in MMSegmentation, like all that is not named here.
        data_prefix: Folders below `data_root`. A third one, `region_path`, has masks by which metrics score a part of
            the pixels: PNGs named as labels are, not 0 where a pixel counts. Frames without a file there have none.
        clip_length: Frames of a clip in training, at least 1.
        stride: Step from one frame of a clip to the next, in listed frames; of several one is drawn per clip, among
            those at which the video is long enough.
        clip_transforms: Transforms that take and return the list of a clip's frames, in training, after the leading
            steps of the pipeline that load something and before the others; their frames are dicts with `img` (H, W, 3)
            and `gt_seg_map` (H, W).
        labels_optional: Whether frames may lack a label file. Such a frame has `seg_map_path=None` and a label map
            of `ignore_index`.
        frame_pattern: Regular expression with the groups `video` and `frame` that fits the whole path of a frame below
            `data_prefix['img_path']`, without its ending. None reads names as said above.
        max_gap: Where two successive frame numbers are further apart, a new video begins, and the parts of such a
            sequence are called `SEQUENCE@FIRSTFRAME`. None sets no limit.
        indices: The frames to take, or how many of the first. Clips are made of what is left.

    Attributes:
        labels_left_out: Label files of videos that are too short for a clip.

    Raises:
        DataError: A folder has no frames; a name has no frame number; two frames of a video have the same.
        InputError: An option is wrong; every video is too short for a clip; or no frame has a label.
    """

    def __init__(self, ann_file: str = '', img_suffix: str = '.jpg', seg_map_suffix: str = '.png',
                 metainfo: dict | None = None, data_root: str | None = None,
                 data_prefix: dict[str, str | None] = FOLDERS, filter_cfg: dict | None = None,
                 indices: int | Sequence[int] | None = None, serialize_data: bool = True,
                 pipeline: Sequence[dict | Callable] = (), test_mode: bool = False, lazy_init: bool = False,
                 max_refetch: int = 1000, ignore_index: int = 255, reduce_zero_label: bool = False,
                 backend_args: dict | None = None, clip_length: int = 1, stride: int | Sequence[int] = 1,
                 clip_transforms: Sequence[dict | Callable] = (), labels_optional: bool = False,
                 frame_pattern: str | None = None, max_gap: int | None = None):
        self.clip_length, self.strides = _at_least_one(clip_length=clip_length), _strides(stride)
        self.max_gap = None if max_gap is None else _at_least_one(max_gap=max_gap)
        self.labels_optional, self.frame_pattern = labels_optional, compile_pattern(frame_pattern)
        self.labels_left_out: list[str] = []
        self.clip_transforms = [TRANSFORMS.build(step) if isinstance(step, dict) else step for step in clip_transforms]
        super().__init__(
            ann_file=ann_file, img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, metainfo=metainfo,
            data_root=data_root, data_prefix={key: path for key, path in data_prefix.items() if path is not None},
            filter_cfg=filter_cfg, indices=indices, serialize_data=serialize_data, pipeline=list(pipeline),
            test_mode=test_mode, lazy_init=True, max_refetch=max_refetch, ignore_index=ignore_index,
            reduce_zero_label=reduce_zero_label, backend_args=backend_args)
        self._check_pipeline()
        # Whose LoadAnnotations knows frames without labels, also where no CheckedDataset is around.
        use_checked_transforms(self.pipeline, self, len(self._metainfo.get('classes') or ()) or None)
        if not lazy_init:
            self.full_init()

    def load_data_list(self) -> list[dict]:
        """Lists all frames, by video and number.

        Returns:
            A dict per frame: `img_path`, `seg_map_path` (None where it has no label), `video`, `frame_number`,
            `frame_index`, `video_frames` (how many its video has), `is_labelled`, `region_path` (None where it has
            none), and what `BaseSegDataset` adds.
        """
        try:
            frames = super().load_data_list()
        except (OSError, AssertionError) as error:
            raise InputError(f'{type(self).__name__}: its frames cannot be listed ({one_line(error)}); correct '
                             'data_root, data_prefix or ann_file') from error
        folder = self.data_prefix.get('img_path') or ''
        if not frames:
            raise DataError(self.ann_file or folder or '.', f'no image ending in {self.img_suffix!r} for '
                            f'{type(self).__name__}', 'put the frames there, or correct data_root, data_prefix or '
                            'img_suffix')
        names = [frame['img_path'][len(folder):].replace(os.sep, '/').lstrip('/').removesuffix(self.img_suffix)
                 for frame in frames]
        labelled, masked = self._found('seg_map_path', names), self._found('region_path', names)
        sole = os.path.basename(os.path.abspath(folder)) if folder else 'video'
        for frame, name in zip(frames, names, strict=True):
            frame['video'], frame['frame_number'] = read_name(name, self.frame_pattern, sole, frame['img_path'])
            if name not in labelled:
                frame['seg_map_path'] = None
            frame['is_labelled'] = name in labelled
            frame['region_path'] = self._beside('region_path', name) if name in masked else None
        return in_videos(frames, self.max_gap)

    def full_init(self) -> None:
        """Lists the frames, once, and in training leaves out the videos that are too short for a clip."""
        if self._fully_initialized:
            return
        self.data_list = self.load_data_list()
        if self._indices is not None:
            chosen = {frame['img_path'] for frame in self._get_unserialized_subset(self._indices)}
            self.data_list = with_places([frame for frame in self.data_list if frame['img_path'] in chosen])
        self.data_list = self.filter_data()  # after the choice, which may leave a video too short
        if self.serialize_data:
            self.data_bytes, self.data_address = self._serialize_data()
        self._fully_initialized = True

    def filter_data(self) -> list[dict]:
        """Returns the frames of videos that are long enough for a clip; in testing all.

        Raises:
            InputError: None is.
        """
        least = 1 + (self.clip_length - 1) * min(self.strides)
        kept = [frame for frame in self.data_list if self.test_mode or frame['video_frames'] >= least]
        if len(kept) < len(self.data_list):
            short = {frame['video']: frame['video_frames'] for frame in self.data_list
                     if frame['video_frames'] < least}
            said = (f'{len(short)} videos have fewer than the {least} frames of a clip (clip_length='
                    f'{self.clip_length}, stride={min(self.strides)}), such as {next(iter(short))!r} with '
                    f'{next(iter(short.values()))}')
            if not kept:
                raise InputError(f'{type(self).__name__}: all {said}; make clip_length or stride smaller, or max_gap '
                                 'larger')
            self.labels_left_out = [frame['seg_map_path'] for frame in self.data_list
                                    if frame['video'] in short and frame['is_labelled']]
            MMLogger.get_current_instance().info(f'Left out of training: {said}')
        return kept

    def prepare_data(self, idx: int) -> list[dict] | dict | None:
        """Returns the clip that belongs to a frame; in testing the frame. None where the pipeline refuses it.

        Raises:
            DataError: A file is bad; frames of the clip differ in size, which names both.
        """
        frame = self.get_data_info(idx)
        if self.test_mode:
            about = dict(frame_metainfo(frame), clip_position=frame['frame_index'])
            return add_metainfo(self.pipeline(frame), about)
        places = draw_places(frame['frame_index'], frame['video_frames'], self.clip_length, self.strides)
        numbers = [idx - frame['frame_index'] + place for place in places]
        steps = self.pipeline.transforms
        loading = number_of_loading(steps)
        try:
            frames = load([self.get_data_info(number) for number in numbers], steps[:loading])
        except DataError as error:
            error.samples_away = numbers[error.place] - idx  # CheckedDataset passes over the frame, not the clip
            raise
        return None if frames is None else augment(frames, self.clip_transforms, steps[loading:])

    def _found(self, key: str, names: Sequence[str]) -> set[str]:
        """Returns which frames have a file in a folder of labels or masks; all, where all must have one."""
        folder = self.data_prefix.get(key)
        if folder is None:
            return set()
        if key == 'seg_map_path' and not self.labels_optional:
            return set(names)
        try:
            files = set(fileio.list_dir_or_file(folder, list_dir=False, suffix=self.seg_map_suffix, recursive=True,
                                                backend_args=self.backend_args))
        except OSError as error:
            raise DataError(folder, f'cannot be read ({one_line(error)})', f'correct data_prefix[{key!r}], or leave '
                            'it out') from error
        found = {file.replace(os.sep, '/').removesuffix(self.seg_map_suffix) for file in files} & set(names)
        if not found:
            raise DataError(folder, f'holds no file of any of {len(names)} frames, such as '
                            f'{self._beside(key, names[0])}', f'correct data_prefix[{key!r}] or seg_map_suffix')
        return found

    def _beside(self, key: str, name: str) -> str:
        return os.path.join(self.data_prefix[key], name + self.seg_map_suffix)

    def _check_pipeline(self) -> None:
        steps = self.pipeline.transforms
        if steps and self.clip_transforms and not self.test_mode and not number_of_loading(steps):
            raise InputError(f'{type(self).__name__}: clip_transforms need images, but the pipeline begins with '
                             f'{type(steps[0]).__name__}; begin it with LoadImageFromFile and LoadAnnotations')
        if 'seg_map_path' not in self.data_prefix and not self.labels_optional and has_step(self.pipeline,
                                                                                            LoadAnnotations):
            raise InputError(f"{type(self).__name__}: the pipeline has LoadAnnotations, and data_prefix no "
                             "'seg_map_path'; give it, or set labels_optional=True")


def _at_least_one(**named: int) -> int:
    name, value = next(iter(named.items()))
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f'{name} must be a whole number, 1 or more, got {value!r}')
    return value


def _strides(stride: int | Sequence[int]) -> tuple[int, ...]:
    several = tuple(stride) if isinstance(stride, (list, tuple)) else (stride, )
    if not several:
        raise InputError('stride must be a number, or a list of some, got an empty list')
    return tuple(_at_least_one(stride=each) for each in several)
