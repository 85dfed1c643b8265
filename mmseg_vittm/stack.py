"""The MMSegmentation stack, the one door to it: imported quietly, or one sentence on what to install.

`from .stack import MODELS` is `from mmseg.registry import MODELS` with that sentence where MMSegmentation is missing.
"""
import contextlib
import importlib
import io
import sys
import warnings
from typing import Any

STACK = ('mmengine', 'mmcv', 'mmseg')
HINT = ("the MMSegmentation side of mmseg_vittm needs mmengine, mmcv and mmsegmentation: pip install "
        "'mmseg-vittm[mmseg]' (mmseg_vittm.vittm, the encoder alone, works without them)")
# What the maintained forks say at import although nothing is wrong: optional parts that we do not use.
_CHATTER = 'Could not import OneDL'
# What modules of ours take through this door, and where it is.
_NAMES = {'MMLogger': 'mmengine.logging', 'BaseModule': 'mmengine.model', 'DATASETS': 'mmseg.registry',
          'MODELS': 'mmseg.registry', 'WEIGHT_INITIALIZERS': 'mmengine.registry'}
_WARNINGS = ('.*MultiScaleDeformableAttention.*', '.*multi-scale deformable attention.*')


def stack_installed() -> bool:
    """Imports mmengine, mmcv and mmseg; returns False where one of the three is not installed.

    Raises:
        ImportError: They are installed, but one fails to import; also AssertionError, where mmseg refuses the
            version of mmcv.
    """
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), warnings.catch_warnings():
            for message in _WARNINGS:
                warnings.filterwarnings('ignore', message=message)
            for name in STACK:
                importlib.import_module(name)
            importlib.import_module('mmseg.datasets')
            importlib.import_module('mmseg.models')
    except ImportError as error:
        if error.name in STACK:
            return False
        raise
    finally:
        said = [line for line in output.getvalue().splitlines() if _CHATTER not in line]
        if said:
            sys.stdout.write('\n'.join(said) + '\n')
    return True


def require_stack() -> None:
    """Raises an ImportError that names the extra to install, where the MMSegmentation stack is missing."""
    if not stack_installed():
        raise ImportError(HINT)


def __getattr__(name: str) -> Any:
    """Returns a class or registry of the stack, see `_NAMES`."""
    if name not in _NAMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    require_stack()
    return getattr(importlib.import_module(_NAMES[name]), name)
