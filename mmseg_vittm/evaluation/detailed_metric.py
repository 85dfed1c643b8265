"""`DetailedMetric`: mIoU and what is behind it: confusions, boundaries, calibration, the worst images."""
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric
from mmengine.structures import PixelData
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample
from torch import Tensor

from ..errors import InputError
from ..inference.prediction import confidence_of
from ..stack import MMLogger
from .boundary import RATIO, count_boundaries
from .calibration import BINS, count_reliability
from .confusion import count_pairs
from .details import Details, ImageDetails, score_image
from .worst import Thumbnail, WorstImages, worst_of


@METRICS.register_module()
class DetailedMetric(BaseMetric):
    """Scores segmentations in detail; values are in percent.

    - `aAcc`, `mIoU`, `mAcc`: `IoUMetric`'s.
    - `mBIoU`: the mean Boundary IoU, see `boundary.count_boundaries`.
    - `ECE`: the expected calibration error, see `calibration.calibration_error`, by the softmax of the final logits in
      the truth's size. A SlideSegmentor says it with `test_cfg.with_confidence`, EncoderDecoder and SlideTTAModel
      always; where a segmentor does not, or gives logits that are not those of its labels (SegTTAModel), it is left
      out with a warning.

    Frames of videos without labels are passed over. `details` has everything else. Of an image some numbers are kept,
    of the order of a kilobyte; no logits, no labels. Of several processes, what is scored is what one would score; of
    videos whose frames are not all labelled with `VideoSampler`, since `DefaultSampler` deals some out twice.

    Args:
        ignore_index: Label of void pixels, which count nowhere.
        boundary: Width of the boundary bands as a share of the image's diagonal.
        bins: Of confidence, for `ECE`.
        worst: Of how many images, those of the lowest mIoU, to keep a small picture.
        collect_device: See `BaseMetric`.
        prefix: See `BaseMetric`.
        collect_dir: See `BaseMetric`.

    Attributes:
        details: The `Details` of the last evaluation, in the main process; None before.
        worst: The worst images of the last evaluation, the worst first, in every process.

    Raises:
        InputError: An argument is wrong.
    """

    def __init__(self, ignore_index: int = 255, boundary: float = RATIO, bins: int = BINS, worst: int = 0,
                 collect_device: str = 'cpu', prefix: str | None = None, collect_dir: str | None = None):
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        check_ratio(boundary)
        for name, value, least in (('bins', bins, 1), ('worst', worst, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f'DetailedMetric: {name} must be a whole number, {least} or more, got {value!r}')
        self.ignore_index, self.boundary, self.bins, self.most = ignore_index, boundary, bins, worst
        self.details: Details | None = None
        self.worst: list[Thumbnail] = []
        self._worst = WorstImages(worst)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Takes note of predictions.

        Args:
            data_batch: Its `inputs`, (C, H, W) each, are what pictures of the worst images show.
            data_samples: Dicts with `pred_sem_seg` and `gt_sem_seg`, whose `data` are labels (1, H, W), with
                `confidence` (1, H, W) or `seg_logits` (C, H, W), and the metainfo of the image.

        Raises:
            InputError: Labels are missing, beyond the classes, or of another size than the prediction.
        """
        inputs = data_batch.get('inputs') if isinstance(data_batch, dict) else None
        for number, sample in enumerate(data_samples):
            if not sample.get('is_labelled', True):  # a frame of a video, between those that are
                continue
            image = inputs[number] if inputs is not None and len(inputs) == len(data_samples) else None
            self._score(sample, image if isinstance(image, Tensor) and image.ndim == 3 else None)

    def _score(self, sample: dict, image: Tensor | None) -> None:
        name, classes = str(sample.get('img_path', len(self.results))), len(self.dataset_meta['classes'])
        truth, prediction = self._labels(sample, name, classes)
        valid = truth != classes
        kept, right = prediction[valid], (prediction == truth)[valid]
        confidence = _confidence(sample)
        kind = np.uint8 if classes < 256 else np.uint16
        maps = [labels.cpu().numpy().astype(kind) for labels in (prediction, truth)]
        details = ImageDetails(
            name, count_pairs(kept, truth[valid], classes), count_boundaries(*maps, classes, classes, self.boundary),
            None if confidence is None else count_reliability(confidence[valid], right, self.bins))
        self.results.append(details)
        if self.most:
            self._worst.add(score_image(details, classes), image, maps[1], maps[0])

    def _labels(self, sample: dict, name: str, classes: int) -> tuple[Tensor, Tensor]:
        """Returns truth and prediction (H, W) int64, void pixels of the truth as `classes`."""
        if 'pred_sem_seg' not in sample:
            raise InputError(f'DetailedMetric: no segmentation of {name}; it scores segmentors alone')
        if 'gt_sem_seg' not in sample:
            raise InputError(f'DetailedMetric: {name} comes without its label; put LoadAnnotations into the test '
                             'pipeline')
        prediction = sample['pred_sem_seg']['data'].squeeze(0).long()
        truth = sample['gt_sem_seg']['data'].squeeze(0).to(prediction)
        if truth.shape != prediction.shape:
            raise InputError(f'DetailedMetric: the label of {name} is {_size(truth)}, its prediction '
                             f'{_size(prediction)}; put LoadAnnotations behind Resize in the test pipeline, so that '
                             'the label keeps the size of its image')
        void = truth == self.ignore_index
        wrong = truth[~void & ((truth < 0) | (truth >= classes))]
        if wrong.numel():
            raise InputError(f'DetailedMetric: {name} is labelled {int(wrong[0])}, but there are {classes} classes, '
                             f'from 0, and void is {self.ignore_index}; correct the labels, or reduce_zero_label')
        if prediction.numel() and int(prediction.max()) >= classes:
            raise InputError(f'DetailedMetric: of {name}, class {int(prediction.max())} is predicted, but the data set '
                             f'has {classes}, from 0; give the model its num_classes, and where it has one output '
                             'channel, the data set two classes')
        return torch.where(void, classes, truth), prediction

    def evaluate(self, size: int) -> dict[str, float]:
        """Returns the scores of all images since the last evaluation; see `mmengine.evaluator.BaseMetric`.

        Args:
            size: Number of images of the data set.
        """
        self.worst = worst_of(all_gather_object(self._worst.found), self.most)
        self._worst = WorstImages(self.most)
        return super().evaluate(size)

    def compute_metrics(self, results: list[ImageDetails]) -> dict[str, float]:
        """Returns the scores, by name, and sets `details`.

        Args:
            results: What was kept of each image.
        """
        self.details = Details(tuple(self.dataset_meta['classes']), list(results))
        scores = self.details.scores()
        if 'ECE' not in scores:
            MMLogger.get_current_instance().warning(
                'DetailedMetric: ECE is left out: the segmentor does not say how sure it is of its labels; set '
                "model.test_cfg.with_confidence=True, or tta_model.type='SlideTTAModel'")
        return {name: round(100 * value, 2) for name, value in scores.items()}


def check_ratio(boundary: float) -> None:
    """Checks the width of boundary bands.

    Raises:
        InputError: It is no share of an image's diagonal.
    """
    if isinstance(boundary, bool) or not isinstance(boundary, (int, float)) or not 0 < boundary <= 0.5:
        raise InputError(f"boundary={boundary!r}: must be a share of the image's diagonal, above 0 and up to 0.5, such "
                         f'as {RATIO}')


def _confidence(sample: dict) -> Tensor | None:
    """Returns how sure the segmentor is of each pixel's label, (H, W); None where it does not say."""
    given = {name: PixelData(data=sample[name]['data']) for name in ('confidence', 'seg_logits', 'pred_sem_seg')
             if name in sample}
    if not {'confidence', 'seg_logits'} & set(given):
        return None
    logits = given['seg_logits'].data if 'confidence' not in given else ()
    if len(logits) > 1 and (logits.argmax(0) != given['pred_sem_seg'].data.reshape(logits.shape[1:])).any():
        return None  # of one view of several
    found = SegDataSample()
    found.set_data(given)
    return confidence_of(found)


def _size(labels: Tensor) -> str:
    return ' x '.join(str(side) for side in reversed(labels.shape)) + ' pixels'
