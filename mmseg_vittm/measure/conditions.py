"""The conditions of a measurement: device, precision and versions, set and named."""
import platform
import re
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from ..errors import InputError

DTYPES = {'fp32': torch.float32, 'tf32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
PACKAGES = ('torch', 'timm', 'mmengine', 'mmcv', 'mmsegmentation', 'onedl-mmengine', 'onedl-mmcv',
            'onedl-mmsegmentation')


def resolve_device(name: str | None) -> torch.device:
    """Returns the device of a name such as `'cpu'` or `'cuda:0'`; None is the first GPU, or the CPU without one.

    Raises:
        InputError: There is no such device.
    """
    if name is None:
        name = 'cuda:0' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f'--device {name}: no such device; give cpu, cuda or cuda:N') from error
    if device.type not in ('cpu', 'cuda'):
        raise InputError(f'--device {name}: can measure on cpu and cuda alone')
    if device.type == 'cuda':
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise InputError(f'--device {name}: PyTorch sees {count} GPUs here; give --device cpu')
        device = torch.device('cuda', device.index or 0)
        torch.cuda.set_device(device)
    return device


def device_name(device: torch.device) -> str:
    """Returns the name of a GPU, or of the machine's processor."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    try:
        found = re.search(r'^model name\s*: (.+)$', Path('/proc/cpuinfo').read_text(), flags=re.MULTILINE)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def device_slug(device: torch.device) -> str:
    """Returns a device's name for files: `nvidia-h200`, `amd-epyc`."""
    return re.sub(r'[^a-z0-9]+', '-', re.sub(r'\((R|TM)\)', '', device_name(device)).lower()).strip('-')


def set_precision(dtype: str, device: torch.device) -> None:
    """Lets matrix products and convolutions of float32 tensors use TF32 for `'tf32'`, and not otherwise.

    PyTorch's own default leaves convolutions on TF32; `'fp32'` here is float32 throughout.

    Raises:
        InputError: TF32 was asked for where there is none.
    """
    if dtype == 'tf32' and (device.type != 'cuda' or torch.cuda.get_device_capability(device) < (8, 0)):
        raise InputError('--dtype tf32: only Nvidia GPUs from Ampere on have it; give fp32, bf16 or fp16')
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype == 'tf32'


def autocast(dtype: str, device: torch.device) -> AbstractContextManager:
    """Returns the context in which a float32 model computes in `dtype`: autocast for `'bf16'` and `'fp16'`."""
    if DTYPES[dtype] is torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[dtype])


def synchronize(device: torch.device) -> None:
    """Waits until a GPU has done what it was given."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def versions() -> dict[str, str]:
    """Returns the installed versions of what a measurement depends on, by package."""
    found = {'python': platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
