"""What the trial of every part shares: errors that name it, and lists of which each element is built."""
import contextlib
import copy
import traceback
from collections.abc import Iterator
from typing import Any

import mmengine.registry
from mmengine.config import Config

from ...errors import CheckpointError, InputError, OutputError, one_line, shown
from ..configs.classes import has_own


@contextlib.contextmanager
def named(cfg: Config, section: str) -> Iterator[None]:
    """Turns errors of building a section into one that names it."""
    try:
        yield
    except (InputError, CheckpointError, OutputError):
        raise
    except Exception as error:  # whatever the classes of a config raise
        reason, remedy = one_line(error), 'correct its settings'
        if isinstance(error, ImportError) or 'please install' in reason.lower():
            remedy = 'install what it names, or use something else'
        elif not str(error):  # a bare assertion
            reason += f': {shown(traceback.extract_tb(error.__traceback__)[-1].line or "")}'
            remedy += ', or what they name'
        raise InputError(f'{cfg.filename}: {section} cannot be built ({reason}); {remedy}') from error


def try_each(cfg: Config, section: str, registry: mmengine.registry.Registry, node: Any = None) -> None:
    """Builds each element of a list that is not a user's own."""
    for number, one in enumerate(cfg[section] if node is None else node):
        if isinstance(one, dict) and not has_own(one):
            with named(cfg, f'{section}.{number}'):
                registry.build(copy.deepcopy(one))
