"""Mixed precision for training, on GPUs by mmengine's wrapper and on CPUs by ours."""
import contextlib

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

from ..errors import InputError


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """Runs the forward pass under bfloat16 autocast on the CPU.

    mmengine's `AmpOptimWrapper` insists on an accelerator. bfloat16 has float32's range, so no loss scale is
    needed. Arguments are `OptimWrapper`'s.
    """

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module):
        """Enters autocast and `OptimWrapper`'s own context (gradient accumulation)."""
        with super().optim_context(model), torch.autocast('cpu', dtype=torch.bfloat16):
            yield


def use_amp(cfg: Config) -> None:
    """Switches a config to mixed precision: dynamic loss scale on a GPU, bfloat16 on a CPU.

    Raises:
        InputError: The config's optimiser wrapper is one that mixed precision cannot replace.
    """
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind in ('AmpOptimWrapper', 'CpuAmpOptimWrapper'):
        return
    if kind != 'OptimWrapper':
        raise InputError(f"amp=True replaces the optim_wrapper 'OptimWrapper', but the config has {kind!r}; leave out "
                         'amp=True, or change optim_wrapper.type')
    if torch.cuda.is_available():
        cfg.optim_wrapper.type, cfg.optim_wrapper.loss_scale = 'AmpOptimWrapper', 'dynamic'
    else:
        cfg.optim_wrapper.type = 'CpuAmpOptimWrapper'
