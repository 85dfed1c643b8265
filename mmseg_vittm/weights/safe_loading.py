"""Importing this makes mmengine read checkpoints without running code; for `custom_imports` of configs."""
from .mmengine_loader import use_safe_loader

use_safe_loader()
