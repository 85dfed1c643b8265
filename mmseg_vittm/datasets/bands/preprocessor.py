"""BandsPreProcessor: MMSegmentation's data preprocessor for images of any number of bands."""
from collections.abc import Sequence

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS

from ...errors import InputError


@MODELS.register_module()
class BandsPreProcessor(SegDataPreProcessor):
    """`SegDataPreProcessor` without its limit to 1 or 3 bands, and without a swap of colours.

    Upstream has no such limit, the forks do; both give the same numbers here. Images are normalised, then padded, to
    the right and at the bottom.

    Args:
        mean: Of each band, in the images' own numbers.
        std: Of each band.
        size: (height, width) that images are padded to in training.
        size_divisor: In place of `size`: what heights and widths become multiples of.
        pad_val: Value of the padding, after normalisation.
        seg_pad_val: Label of the padding.
        test_cfg: `dict(size=...)` or `dict(size_divisor=...)`: padding outside training; None is none.

    Raises:
        InputError: `mean` and `std` are not one finite number per band, or a `std` is not above 0. An image of another
            number of bands raises it when it comes.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], size: tuple[int, int] | None = None,
                 size_divisor: int | None = None, pad_val: float = 0, seg_pad_val: float = 255,
                 test_cfg: dict | None = None):
        super().__init__(size=size, size_divisor=size_divisor, pad_val=pad_val, seg_pad_val=seg_pad_val,
                         test_cfg=test_cfg)
        mean, std = (torch.tensor([float(one) for one in values]).view(-1, 1, 1) for values in (mean, std))
        if len(mean) != len(std) or len(mean) == 0:
            raise InputError(f'BandsPreProcessor: mean has {len(mean)} numbers, std {len(std)}; give one of each per '
                             'band')
        if not (mean.isfinite().all() and std.isfinite().all() and (std > 0).all()):
            raise InputError('BandsPreProcessor: mean and std must be finite, and std above 0, got '
                             f'mean={mean.flatten().tolist()}, std={std.flatten().tolist()}; a band whose std is 0 is '
                             'the same everywhere: leave it out (bands of LoadBands), or give it the std 1')
        self._enable_normalize = True
        self.register_buffer('mean', mean, False)
        self.register_buffer('std', std, False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalises, pads and stacks a batch.

        Args:
            data: `inputs`, a list of images (C, H, W), or a tensor of them, and `data_samples`.
            training: Whether to pad as in training, with the annotations.

        Returns:
            `inputs` (B, C, H, W) float32, and `data_samples`.

        Raises:
            InputError: An image has another number of bands.
        """
        samples = data.get('data_samples') or ()
        for number, image in enumerate(data['inputs']):
            if len(image) != len(self.mean):
                name = getattr(samples[number], 'img_path', None) if number < len(samples) else None
                raise InputError(f'{name or "an image"}: has {len(image)} bands, the mean of the data preprocessor '
                                 f'{len(self.mean)}; give images of so many bands, or a mean and std for these')
        return super().forward(data, training)
