"""A data worker or another process of the run that died, named where PyTorch fails because of it."""
import contextlib
from collections.abc import Iterator

from ...errors import TrainingError
from .data_workers import death_of_worker
from .other_processes import lost_process


@contextlib.contextmanager
def named_deaths(more: str = '') -> Iterator[None]:
    """Raises the error that names what died, in place of PyTorch's.

    Args:
        more: What the message says after that.

    Raises:
        TrainingError: A data worker or another process died.
    """
    try:
        yield
    except Exception as error:  # PyTorch raises the death of a worker wherever the process happens to be
        death = death_of_worker(error) or lost_process(error)
        if death is None:
            raise
        raise TrainingError(f'{death}{more}') from error
