"""`VideoMetric`: mIoU of videos, how consistent the labels are over time, and the mIoU of a part of the pixels."""
import math
from collections.abc import Sequence

import torch
from mmengine.dist import get_rank
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from torch import Tensor

from ..datasets.video.masks import read_mask
from ..errors import InputError
from ..stack import MMLogger
from .consistency import VideoConsistency


@METRICS.register_module()
class VideoMetric(IoUMetric):
    """Scores the frames of videos; all values are in percent.

    - `mIoU`, `aAcc`, `mAcc` and the table of classes are `IoUMetric`'s, over all labelled frames.
    - `mVC8`, `mVC16`: video consistency. Over every window of n labelled frames, of the pixels whose true class is the
      same in all n, the share whose predicted class is right in all n; the mean over windows. Source: Miao et al.,
      "VSPW: A Large-scale Dataset for Video Scene Parsing in the Wild", CVPR 2021. Windows without such a pixel, and
      videos of fewer frames than n, have no say.
    - `flips`: of the pixels whose true class stays from one labelled frame to the next, the share whose predicted class
      changes, over all such pairs of frames; the less, the steadier.
    - `mIoU_hidden`: `mIoU` over the pixels of the masks alone that the data set's `region_path` names, the mean over
      classes that the truth or the prediction has there.

    Void pixels count nowhere. Frames without labels are passed over: windows and pairs are of labelled frames that
    follow each other in the list of those. A value that nothing says anything of is left out, with a warning: mVC_n
    where no video has n labelled frames, say.

    The frames of a video must come in order; videos may be interleaved. Of several processes each must have whole
    videos, as `VideoSampler` deals them out. Each frame gives one result of a few numbers, whose sums are those of one
    process. Needed is the metainfo that `VideoSegDataset` gives.

    Args:
        ignore_index: Label of void pixels.
        iou_metrics: As `IoUMetric`, like all that is not named here.
        windows: Numbers n of frames, each for a value `mVC{n}`, at least 2.
        region: What the masked pixels are called: `mIoU_{region}`.

    Raises:
        InputError: An argument is wrong.
    """

    def __init__(self, ignore_index: int = 255, iou_metrics: Sequence[str] = ('mIoU', ),
                 nan_to_num: int | None = None, beta: int = 1, collect_device: str = 'cpu',
                 output_dir: str | None = None, format_only: bool = False, prefix: str | None = None,
                 windows: Sequence[int] = (8, 16), region: str = 'hidden'):
        if not all(isinstance(window, int) and window >= 2 for window in windows):
            raise InputError(f'VideoMetric: windows must be numbers of frames, 2 or more each, got {windows!r}')
        super().__init__(ignore_index=ignore_index, iou_metrics=list(iou_metrics), nan_to_num=nan_to_num, beta=beta,
                         collect_device=collect_device, output_dir=output_dir, format_only=format_only, prefix=prefix)
        self.windows, self.region = tuple(windows), region
        self._videos: dict[str, VideoConsistency] = {}
        self._latest: dict[str, int] = {}

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Takes note of predictions.

        Args:
            data_batch: Is not looked at.
            data_samples: Dicts with `pred_sem_seg` and `gt_sem_seg`, whose `data` are labels (1, H, W), and the
                metainfo of the frame.

        Raises:
            InputError: A frame is of no video, out of order, or of another size than its prediction; or labels are
                missing.
            DataError: A mask cannot be read, or has another size.
        """
        for sample in data_samples:
            if self.format_only:
                super().process(data_batch, [sample])
            elif sample.get('is_labelled', True):
                self._score(sample)
            elif self.output_dir is not None:  # writes the prediction; its score counts nowhere
                blank = torch.full_like(sample['pred_sem_seg']['data'], self.ignore_index)
                super().process(data_batch, [dict(sample, gt_sem_seg=dict(data=blank))])
                self.results.pop()
            if sample.get('frame_index') == sample.get('video_frames', 0) - 1:
                self._videos.pop(sample.get('video'), None)  # its last frame

    def _score(self, sample: dict) -> None:
        video, prediction = self._place(sample), sample['pred_sem_seg']['data'].squeeze(0)
        truth = self._truth(sample, prediction)
        super().process({}, [sample])
        areas = self.results.pop()
        counts = self._videos[video].add(prediction, truth)
        self.results.append(dict(counts, video=video, rank=get_rank(), areas=areas,
                                 region=self._region(sample, prediction, truth)))

    def _place(self, sample: dict) -> str:
        """Returns a frame's video, after looking whether it follows the frames before."""
        video, index = sample.get('video'), sample.get('frame_index')
        if video is None or index is None:
            raise InputError(f'VideoMetric: {sample.get("img_path")} is a frame of no video; give the dataloader a '
                             'VideoSegDataset, or take IoUMetric')
        if index <= self._latest.get(video, -1):
            raise InputError(f'VideoMetric: frame {index} of video {video!r} came after frame {self._latest[video]}; '
                             "set sampler=dict(type='VideoSampler')")
        self._latest[video] = index
        self._videos.setdefault(video, VideoConsistency(self.windows, self.ignore_index))
        return video

    def _truth(self, sample: dict, prediction: Tensor) -> Tensor:
        if 'gt_sem_seg' not in sample:
            raise InputError(f'VideoMetric: {sample.get("img_path")} comes without its label; put LoadAnnotations into '
                             'the test pipeline')
        truth = sample['gt_sem_seg']['data'].squeeze(0).to(prediction)
        if truth.shape != prediction.shape:
            raise InputError(f'VideoMetric: the label of {sample.get("img_path")} is {_size(truth.shape)}, its '
                             f'prediction {_size(prediction.shape)}; put LoadAnnotations behind Resize in the test '
                             'pipeline, so that the label keeps the size of its image')
        size = self._videos[sample['video']].size
        if size not in (None, tuple(truth.shape)):
            raise InputError(f'VideoMetric: {sample.get("img_path")} is {_size(truth.shape)}, frames before of video '
                             f'{sample["video"]!r} are {_size(size)}; give all frames of a video one size')
        return truth

    def _region(self, sample: dict, prediction: Tensor, truth: Tensor) -> tuple[Tensor, ...] | None:
        """Returns the areas of `intersect_and_union` in a frame's mask; None without one."""
        path = sample.get('region_path')
        if path is None:
            return None
        hidden = torch.from_numpy(read_mask(path, tuple(truth.shape))).to(truth.device)
        label = torch.where(hidden, truth, self.ignore_index)
        return self.intersect_and_union(prediction, label, len(self.dataset_meta['classes']), self.ignore_index)

    def evaluate(self, size: int) -> dict:
        """Returns the scores of all frames since the last evaluation; see `mmengine.evaluator.BaseMetric`.

        Args:
            size: Number of frames of the data set.
        """
        try:
            return super().evaluate(size)
        finally:
            self._videos.clear()
            self._latest.clear()

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Returns the scores, by name.

        Args:
            results: What `process` kept of each labelled frame.

        Raises:
            InputError: No frame has a label; or a video was dealt out to several processes.
        """
        if self.format_only:
            return super().compute_metrics(results)
        if not results:
            raise InputError('VideoMetric: no frame has a label; correct data_prefix of the dataset')
        _check_whole_videos(results)
        scores = super().compute_metrics([result['areas'] for result in results])
        scores |= self._consistency(results) | self._region_score(results)
        return scores

    def _consistency(self, results: list[dict]) -> dict[str, float]:
        scores = {}
        for window in self.windows:
            shares = [result['steady'][window] for result in results if window in result['steady']]
            if shares:
                # The exact sum: the same in whichever order processes hand their frames in.
                scores[f'mVC{window}'] = _percent(math.fsum(shares), len(shares))
            else:
                _warn(f'mVC{window} is left out: no video has {window} labelled frames with a pixel whose class stays')
        unmoved = sum(result['unmoved'] for result in results)
        if unmoved:
            scores['flips'] = _percent(sum(result['flipped'] for result in results), unmoved)
        else:
            _warn('flips is left out: no video has two labelled frames with a pixel whose class stays')
        return scores

    def _region_score(self, results: list[dict]) -> dict[str, float]:
        masked = [result['region'] for result in results if result['region'] is not None]
        if not masked:
            return {}
        intersection, union, *_ = map(sum, zip(*masked, strict=True))
        if not union.sum():
            _warn(f'mIoU_{self.region} is left out: the masks have no labelled pixel')
            return {}
        seen = union > 0
        return {f'mIoU_{self.region}': _percent(float((intersection[seen] / union[seen]).sum()), int(seen.sum()))}


def _check_whole_videos(results: list[dict]) -> None:
    process: dict[str, int] = {}
    for result in results:
        if process.setdefault(result['video'], result['rank']) != result['rank']:
            raise InputError(f"VideoMetric: the frames of video {result['video']!r} went to several processes; set "
                             "sampler=dict(type='VideoSampler')")


def _percent(part: float, whole: int) -> float:
    return round(100 * part / whole, 2)


def _size(shape: Sequence[int]) -> str:
    return ' x '.join(str(side) for side in reversed(shape)) + ' pixels'


def _warn(message: str) -> None:
    MMLogger.get_current_instance().warning(f'VideoMetric: {message}')
