"""Importing this makes mmengine read checkpoints without running code; for `custom_imports` of configs."""
from .mmengine_loader import use_safe_reading

use_safe_reading()
