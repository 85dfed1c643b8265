"""The one door to the MMSegmentation stack: one sentence on what to install where it is missing."""
from .stack import require_stack

require_stack()

from mmengine.logging import MMLogger  # noqa: E402
from mmengine.model import BaseModule  # noqa: E402
from mmseg.registry import DATASETS, MODELS  # noqa: E402

__all__ = ['DATASETS', 'MODELS', 'BaseModule', 'MMLogger']
