"""Whether a run was trained with the settings that a plan gives it."""
import os
import re
from typing import Any

from ...engine.state.changed_settings import Difference, differences

# Where something lies, or what is only known once a teacher is loaded: its weights' own checkpoint is compared.
PLACES = ('distillation.teacher.config', 'distillation.teacher.sha256')
CHECKPOINT = re.compile(r'(?:.*/)?([^/]+/[^/]+/seed\d+/iter_\d+\.pth)')  # of a run, in any work dir


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
    return same_file(one.old, one.new)


def same_file(one: str, other: str) -> bool:
    """Returns whether two paths are of one file, or of the checkpoint of one run, wherever its work dir is."""
    if os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other):
        return True
    runs = [CHECKPOINT.fullmatch(path) for path in (one, other)]
    return all(runs) and runs[0][1] == runs[1][1]
