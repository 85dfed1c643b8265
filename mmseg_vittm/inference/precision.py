"""The number formats that inference computes in."""
import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from ..errors import InputError

# TF32 is float32 whose matmuls and convolutions round their inputs to 10 bits of mantissa.
DTYPES = {'fp32': torch.float32, 'tf32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}


def check_dtype(dtype: str, device: torch.device) -> None:
    """Checks that a device computes in a format.

    Raises:
        InputError: It is none of `DTYPES`, or the device has none such.
    """
    if dtype not in DTYPES:
        raise InputError(f'dtype must be one of {sorted(DTYPES)}, got {dtype!r}')
    if dtype == 'tf32' and (device.type != 'cuda' or torch.cuda.get_device_capability(device) < (8, 0)):
        raise InputError(f'dtype tf32: only Nvidia GPUs from Ampere on have it, not {device}; give fp32, bf16 or fp16')


@contextlib.contextmanager
def computing_in(dtype: str, device: torch.device) -> Iterator[None]:
    """A context in which a float32 model computes in `dtype`, whatever is set around it.

    bf16 and fp16 are autocast. fp32 is float32 throughout, also in convolutions, which PyTorch leaves on TF32.
    """
    flags = [torch.backends.cuda.matmul, torch.backends.cudnn] if device.type == 'cuda' else []
    before = [flag.allow_tf32 for flag in flags]
    half = DTYPES[dtype] is not torch.float32
    try:
        for flag in flags:
            flag.allow_tf32 = dtype == 'tf32'
        with torch.autocast(device.type, DTYPES[dtype] if half else None, enabled=half):
            yield
    finally:
        for flag, value in zip(flags, before, strict=True):
            flag.allow_tf32 = value


def cast_matmuls(model: nn.Module, dtype: str) -> None:
    """Stores the weights of linear layers, convolutions and attention in `dtype`, as autocast would at every call.

    Norms, position embeddings and other parameters stay in float32, so that results are autocast's.
    """
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.MultiheadAttention, nn.modules.conv._ConvNd)):
            module.to(DTYPES[dtype])
