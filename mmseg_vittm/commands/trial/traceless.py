"""Building that leaves no traces: no memory for weights, no random numbers drawn, nothing printed or logged."""
import contextlib
import io
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger
from torch import nn
from torch.overrides import TorchFunctionMode

CREATORS = {getattr(torch, name) for name in ('empty', 'empty_strided', 'full', 'ones', 'rand', 'randn', 'zeros')}


def build_on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Builds a model without memory or numbers for its weights, where it allows that, and else as usual."""
    try:
        with _OnMeta():
            return build()
    except Exception:  # of what cannot be done without numbers; what else is wrong fails again
        return build()


class _OnMeta(TorchFunctionMode):
    """Creates tensors without content; those that constructors compute with, by `linspace`, `arange`, have it."""

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if function in CREATORS and kwargs.get('device') is None and not kwargs.get('out'):
            kwargs = kwargs | dict(device='meta')
        return function(*args, **kwargs)


@contextlib.contextmanager
def nothing_drawn() -> Iterator[None]:
    """Leaves all random numbers of the process as they were."""
    python, array = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(array)


@contextlib.contextmanager
def nothing_said() -> Iterator[None]:
    """Keeps back what is printed, logged or warned of meanwhile: it comes again where the parts are built for use."""
    MMLogger.get_current_instance()  # is made where there is none
    loggers = {logger: logger.disabled for logger in MMLogger._instance_dict.values()}
    for logger in loggers:
        logger.disabled = True  # not logging.disable, whose answers mmengine's loggers would remember
    try:
        with (warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()),
              contextlib.redirect_stderr(io.StringIO())):
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, disabled in loggers.items():
            logger.disabled = disabled
