"""Whether a run was trained with the settings that a plan gives it."""
import os
from pathlib import Path
from typing import Any

from ...engine.state.changed_settings import Difference, differences

# Where something lies, or what is only known once a teacher is loaded: its weights' own checkpoint is compared.
PLACES = ('distillation.teacher.config', 'distillation.teacher.sha256')
PARTS = 4  # of the path of a run's checkpoint: DATA/ROW/seedN/iter_N.pth


def differing(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Returns what differs between the settings of a checkpoint and of a plan, a text each.

    Where data lie decides nothing, nor do two names of one file.

    Args:
        old: Of the checkpoint.
        new: Of the plan.
    """
    return [str(one) for one in differences(old, new) if not _is_place(one)]


def _is_place(one: Difference) -> bool:
    if one.keys[-1] == 'data_root' or one.name in PLACES:
        return True
    if not (isinstance(one.old, str) and isinstance(one.new, str)) or '/' not in one.old or '/' not in one.new:
        return False
    if os.path.exists(one.old) and os.path.exists(one.new):
        return os.path.samefile(one.old, one.new)
    parts = [Path(path).parts[-PARTS:] for path in (one.old, one.new)]
    return len(parts[0]) == PARTS and parts[0] == parts[1]
