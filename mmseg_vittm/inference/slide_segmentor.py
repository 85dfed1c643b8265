"""SlideSegmentor: MMSegmentation's EncoderDecoder without logits in the image's size."""
import math

import torch
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder, SegTTAModel
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ..stack import MODELS
from .windows import resampling_matrix, tiled_confidence, window_labels, window_logits, window_starts

# Pixels that go through the network together unless `test_cfg.window_batch` says how many windows do.
PIXELS_TOGETHER = {'cpu': 4 * 512**2, 'cuda': 32 * 512**2}
Size = tuple[int, int]


@MODELS.register_module()
class SlideSegmentor(EncoderDecoder):
    """EncoderDecoder with the same weights, options and results, faster and in less memory at inference.

    What follows the head, upsampling, adding overlapping windows, dividing, removing padding, undoing a flip and
    resizing to the original size, is linear and separable, so it is two small matrices per image
    (`windows.resampling_matrix`), and labels are computed a stripe of rows at a time. Windows of an image, and of a
    batch, go through the network together. Labels differ from EncoderDecoder's where two logits are equal to rounding.

    Three entries of `test_cfg` on top of EncoderDecoder's:

    - `window_batch`: how many windows go through the network together. The default is what makes 4 x 512 x 512
      pixels on a CPU and 32 x 512 x 512 on a GPU, one window at least.
    - `with_logits`: also return `seg_logits` (C, H, W) in the original size, as EncoderDecoder always does;
      `SlideTTAModel` sets it.
    - `with_confidence`: also return `confidence` (1, H, W), the softmax probability of each pixel's label, without
      logits in the image's size; `Predictor(with_confidence=True)` sets it.

    Heads whose `predict` is not BaseDecodeHead's (a forward pass and a resize) run as in EncoderDecoder.
    """

    compilable = True  # whether `optimize` may compile the network

    def predict(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """Segments a batch of images.

        Args:
            inputs: (B, 3, H, W), normalised.
            data_samples: One per image, with `ori_shape` and what else the pipeline noted; without, results have the
                size of the inputs.

        Returns:
            The data samples with `pred_sem_seg` (1, H, W), and `seg_logits` (C, H, W) with `with_logits`, both in
            the original size.
        """
        if not self.is_linear_after_head():
            return super().predict(inputs, data_samples)
        if data_samples is None:
            data_samples = [SegDataSample() for _ in inputs]
            metas = [{}] * len(inputs)
        else:
            metas = [sample.metainfo for sample in data_samples]
        size, crop, starts = self._windows(tuple(inputs.shape[2:]), metas[0])
        for sample, meta, low in zip(data_samples, metas, self._low_logits(inputs, starts, crop), strict=True):
            rows, cols = self._matrices(low, size, crop, starts, meta)
            self._finish(sample, low, rows, cols)
        return data_samples

    def network(self, windows: Tensor) -> Tensor:
        """Returns the logits (N, C, h, w) of windows (N, 3, H, W) at the head's resolution; `optimize` replaces it."""
        return self.decode_head.forward(self.extract_feat(windows))

    def windows_together(self, crop: Size, device: torch.device) -> int:
        """Returns how many windows of a size, (height, width), go through the network together on a device."""
        pixels = PIXELS_TOGETHER.get(device.type, PIXELS_TOGETHER['cuda'])
        return self.test_cfg.get('window_batch') or max(1, pixels // math.prod(crop))

    def _forward(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None) -> Tensor:
        return self.network(inputs)

    def is_linear_after_head(self) -> bool:
        """Whether `predict` of the decode head is its forward pass and a bilinear resize."""
        return gives_logits(self.decode_head)

    def _windows(self, inputs: Size, meta: dict) -> tuple[Size, Size, tuple[tuple[int, ...], tuple[int, ...]]]:
        """Returns the size of the logits before they are cut and resized, that of a window, and the windows' starts."""
        mode = self.test_cfg.get('mode', 'whole')
        if mode not in ('slide', 'whole'):
            raise ValueError(f"test_cfg.mode must be 'slide' or 'whole', got {mode!r}")
        if mode == 'whole':  # upsampled to what the head takes for the input's size
            size = tuple(meta.get('pad_shape', meta.get('img_shape', inputs))[:2])
            return size, size, ((0, ), (0, ))
        crop_size, stride = self.test_cfg['crop_size'], self.test_cfg['stride']
        return inputs, tuple(map(min, inputs, crop_size)), tuple(map(window_starts, inputs, crop_size, stride))

    def _low_logits(self, inputs: Tensor, starts: tuple, crop: Size) -> Tensor:
        """Runs the network on all windows; returns (B, C, Ky, Kx), the cells of an axis's windows in a row."""
        places = [(image, top, left) for image in range(len(inputs)) for top in starts[0] for left in starts[1]]
        together = self.windows_together(crop, inputs.device)
        logits = []
        for first in range(0, len(places), together):
            windows = torch.stack([inputs[image, :, top:top + crop[0], left:left + crop[1]]
                                   for image, top, left in places[first:first + together]])
            logits.append(self.network(windows))
        low = torch.cat(logits).unflatten(0, (len(inputs), len(starts[0]), len(starts[1])))
        return low.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)

    def _matrices(self, low: Tensor, size: Size, crop: Size, starts: tuple, meta: dict) -> tuple[Tensor, Tensor]:
        """Returns an image's matrices, rows (H, Ky) and columns (W, Kx)."""
        left, right, top, bottom = meta.get('img_padding_size') or meta.get('padding_size') or (0, 0, 0, 0)
        flip = meta.get('flip_direction') if meta.get('flip') else None
        if flip not in (None, 'horizontal', 'vertical'):
            raise ValueError(f"flip_direction must be 'horizontal' or 'vertical', got {flip!r}")
        out = meta.get('ori_shape', size)
        cells = low.shape[1] // len(starts[0]), low.shape[2] // len(starts[1])
        return tuple(resampling_matrix(cells[axis], crop[axis], starts[axis], size[axis], out[axis], *padding,
                                   flip == direction, bool(self.align_corners), low.device)
                     for axis, padding, direction in ((0, (top, bottom), 'vertical'), (1, (left, right), 'horizontal')))

    def _finish(self, sample: SegDataSample, low: Tensor, rows: Tensor, cols: Tensor) -> None:
        """Writes labels, and logits where they are wanted, into a data sample."""
        if low.shape[0] > 1 and self.test_cfg.get('with_confidence', False):
            labels, confidence = (PixelData(data=one[None]) for one in tiled_confidence(low, rows, cols))
            sample.set_data(dict(pred_sem_seg=labels, confidence=confidence))
            if not self.test_cfg.get('with_logits', False):
                return
        if low.shape[0] > 1 and not self.test_cfg.get('with_logits', False):
            sample.set_data(dict(pred_sem_seg=PixelData(data=window_labels(low, rows, cols)[None])))
            return
        logits = window_logits(low, rows, cols)
        if low.shape[0] > 1:
            labels = logits.argmax(dim=0, keepdim=True)
        else:
            logits = logits.sigmoid()
            labels = (logits > self.decode_head.threshold).to(logits)
        sample.set_data(dict(seg_logits=PixelData(data=logits), pred_sem_seg=PixelData(data=labels)))


def gives_logits(head: nn.Module) -> bool:
    """Whether a decode head's forward pass gives logits, which its `predict` only resizes."""
    kind = type(head)
    return (issubclass(kind, BaseDecodeHead) and kind.predict is BaseDecodeHead.predict
            and kind.predict_by_feat is BaseDecodeHead.predict_by_feat)


@MODELS.register_module()
class SlideTTAModel(SegTTAModel):
    """MMSegmentation's test-time augmentation, which needs logits: asks a SlideSegmentor for them.

    Merged samples have the mean probability of each pixel's label as `confidence` (1, H, W), and no `seg_logits`, which
    would be those of one view. Of a head of one channel the labels are those of the mean probability, where
    MMSegmentation takes the sigmoid of probabilities.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.module.test_cfg['with_logits'] = True

    def merge_preds(self, data_samples_list: list[list[SegDataSample]]) -> list[SegDataSample]:
        """Returns one prediction of several views of each image.

        Args:
            data_samples_list: Of each image, what the segmentor gave of its views, in the original size and not
                flipped, with `seg_logits` (C, H, W).

        Returns:
            One sample per image with `pred_sem_seg` and `confidence`.
        """
        for views in data_samples_list:
            for view in views:
                view.pop('confidence', None)
        logits = [[view.seg_logits.data for view in views] for views in data_samples_list]
        merged = super().merge_preds(data_samples_list)
        for sample, views in zip(merged, logits, strict=True):
            if len(views[0]) == 1:
                probable = torch.stack(views).mean(0)
                labels = probable > self.module.decode_head.threshold
                sample.set_data(dict(pred_sem_seg=PixelData(data=labels.to(probable))))
                confidence = torch.where(labels, probable, 1 - probable)
            else:
                chosen = sample.pred_sem_seg.data.reshape(1, *views[0].shape[1:])
                confidence = sum((view.gather(0, chosen) - view.logsumexp(0, keepdim=True)).exp()
                                 for view in views) / len(views)
            del sample.seg_logits
            sample.set_data(dict(confidence=PixelData(data=confidence.float())))
        return merged
