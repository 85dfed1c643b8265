"""The conditions of a measurement: device and versions, set and named."""
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from ..errors import InputError

PACKAGES = ('torch', 'timm', 'mmengine', 'mmcv', 'mmsegmentation', 'onedl-mmengine', 'onedl-mmcv',
            'onedl-mmsegmentation')
CPUINFO = Path('/proc/cpuinfo')
SPEED_FLAGS = ('avx2', 'avx512f', 'avx512_bf16', 'avx512_vnni', 'amx_bf16', 'amx_int8')


def resolve_device(name: str | None) -> torch.device:
    """Returns the device of a name such as `'cpu'` or `'cuda:0'`; None is the first GPU, or the CPU without one.

    Raises:
        InputError: There is no such device.
    """
    if name is None:
        name = 'cuda:0' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
    except (RuntimeError, ValueError) as error:
        raise InputError(f'device={name}: no such device; give cpu, cuda or cuda:N') from error
    if device.type not in ('cpu', 'cuda'):
        raise InputError(f'device={name}: can measure on cpu and cuda alone')
    if device.type == 'cuda':
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise InputError(f'device={name}: PyTorch sees {count} GPUs here; give device=cpu')
        device = torch.device('cuda', device.index or 0)
        torch.cuda.set_device(device)
    return device


def device_name(device: torch.device) -> str:
    """Returns the name of a GPU, or of the machine's processor."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    return _cpuinfo('model name') or platform.processor() or platform.machine()


def cpu_flags() -> list[str]:
    """Returns which of `SPEED_FLAGS` the CPU has; none on a system that does not tell as Linux does on x86."""
    return [flag for flag in SPEED_FLAGS if flag in _cpuinfo('flags').split()]


def describe_machine(device: torch.device) -> str:
    """Returns device, threads and torch's version, such as `'AMD EPYC (avx2), 2 threads, torch 2.15.0'`."""
    flags, threads = ', '.join(cpu_flags()) if device.type == 'cpu' else '', torch.get_num_threads()
    return (f'{device_name(device)}' + f' ({flags})' * bool(flags) + f', {threads} thread{"s" * (threads > 1)}, '
            f'torch {torch.__version__}')


def _cpuinfo(name: str) -> str:
    """Returns what the system says of its first processor; nothing where it does not."""
    try:
        found = re.search(rf'^{name}\s*: (.+)$', CPUINFO.read_text(), flags=re.MULTILINE)
    except OSError:
        return ''
    return found.group(1).strip() if found else ''


def device_slug(device: torch.device) -> str:
    """Returns a device's name for files: `nvidia-h200`, `amd-epyc`."""
    return re.sub(r'[^a-z0-9]+', '-', re.sub(r'\((R|TM)\)', '', device_name(device)).lower()).strip('-')


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
