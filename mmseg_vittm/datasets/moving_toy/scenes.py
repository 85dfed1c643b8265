"""`MovingToyScenes`: short videos of toy scenes with their labels, drawn where they are first used."""
from collections.abc import Callable, Sequence

from ...stack import DATASETS
from ..toy.scenes import ToyScenes
from ..video.dataset import VideoSegDataset
from .files import DEFAULT_ROOT, MOVING_TOY_SCENES, TRAINING


@DATASETS.register_module()
class MovingToyScenes(VideoSegDataset):
    """Toy scenes before a moving camera, with things that are hidden for some frames, for trying what a memory gives.

    Each clip is a scene as `ToyScenes` has them, seen for 1.6 s at 15 Hz. About half of its frames are partly covered
    by foreign bodies close to the lens, mostly before a thing that was seen shortly before; some flicker, some are
    noisy. Labels are what is behind all that. The masks of `region_path` say which pixels are covered: a metric can
    score these alone.

    The set is drawn into `data/moving_toy_scenes` the first time it is read (about 4 minutes) and read from there ever
    after; into another folder only where `draw` asks for it, since a path may be mistyped. The same parameters give the
    same pictures everywhere; a clip depends on `seed`, `num_frames`, `image_size`, its split and its number alone, so a
    set of more clips begins with those of a smaller one.

    Args:
        data_root: The folder of the set. It must hold exactly this set; or nothing, where it is to be drawn.
        data_prefix: Folders under `data_root`. None is the training split, `dict(img_path='images/training',
            seg_map_path='annotations/training', region_path='hidden/training')`.
        pipeline: As in `VideoSegDataset`, like all that is not named here.
        num_train: Number of training clips.
        num_val: Number of validation clips.
        num_frames: Frames of a clip, at least 2.
        image_size: Side of the square pictures in pixels, at least 32.
        seed: Which clips, 0 or more.
        lazy_init: Whether to put off drawing and listing until the first frame is asked for.
        reduce_zero_label: Whether label 0 (unlabelled) becomes `ignore_index` and k becomes k - 1.
        check_files: Whether every file of the set must be there and hold something; `CheckedDataset`, which names bad
            files itself, sets False.
        draw: Whether to draw the set into `data_root` where nothing is there, whichever folder that is.

    Raises:
        DataError: `data_root` holds nothing, and is not to be drawn.
        InputError: A parameter makes no set; `data_root` holds another set, something else, or this set with files
            missing; or what `VideoSegDataset` raises.
        OutputError: The set cannot be drawn there.
    """
    METAINFO = ToyScenes.METAINFO

    def __init__(self, data_root: str = DEFAULT_ROOT, data_prefix: dict[str, str] | None = None,
                 pipeline: Sequence[dict | Callable] = (), test_mode: bool = False, num_train: int = 160,
                 num_val: int = 24, num_frames: int = 24, image_size: int = 128, seed: int = 0,
                 clip_length: int = 1, stride: int | Sequence[int] = 1,
                 clip_transforms: Sequence[dict | Callable] = (), metainfo: dict | None = None,
                 indices: int | Sequence[int] | None = None, serialize_data: bool = True, lazy_init: bool = False,
                 max_refetch: int = 1000, ignore_index: int = 255, reduce_zero_label: bool = True,
                 check_files: bool = True, draw: bool = False):
        self.parameters = dict(num_train=num_train, num_val=num_val, num_frames=num_frames, image_size=image_size,
                               seed=seed)
        self.preparation = dict(check_files=check_files, draw=draw)
        if data_prefix is None:
            data_prefix = dict(TRAINING)
        super().__init__(
            img_suffix='.jpg', seg_map_suffix='.png', data_root=data_root, data_prefix=data_prefix, pipeline=pipeline,
            test_mode=test_mode, clip_length=clip_length, stride=stride, clip_transforms=clip_transforms,
            metainfo=metainfo, indices=indices, serialize_data=serialize_data, lazy_init=lazy_init,
            max_refetch=max_refetch, ignore_index=ignore_index, reduce_zero_label=reduce_zero_label)

    def load_data_list(self) -> list[dict]:
        """Lists the frames of the split, see `VideoSegDataset`, after drawing the set if it is not there."""
        MOVING_TOY_SCENES.prepare(self.data_root, self.parameters, **self.preparation)
        return super().load_data_list()
