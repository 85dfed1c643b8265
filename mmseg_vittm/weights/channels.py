"""Patch embeddings of RGB images for images of another number of bands."""
from timm.models import adapt_input_conv
from torch import Tensor

from .report import LoadReport

RGB = 3


def fit_channels(name: str, kernel: Tensor, channels: int, report: LoadReport) -> Tensor:
    """Returns a patch embedding of RGB images for images of `channels` bands; any other stays as it is.

    As timm has it: filters of red, green and blue are repeated over the bands and scaled by 3 over their number, so
    that bands that are all the same give what they gave; of one band they are summed up.

    Args:
        name: What the report calls it.
        kernel: (C, 3, h, w).
        channels: Bands of the images.
        report: Takes that it was done.
    """
    if kernel.ndim != 4 or kernel.shape[1] != RGB or channels == RGB:
        return kernel
    report.resampled.append(f'{name} {RGB} -> {channels} bands, the filters of red, green and blue '
                            + ('summed up' if channels == 1 else f'repeated, times {RGB}/{channels}'))
    return adapt_input_conv(channels, kernel)
