"""A data worker or another process of the run that died, named where PyTorch fails because of it."""
import contextlib
import functools
import logging
import sys
import time
from collections.abc import Callable, Iterator

from mmengine.logging import MMLogger

from ...errors import TrainingError
from .data_workers import death_of_worker
from .other_processes import lost_process

SOON = 2.0  # seconds in which the system tells of a process whose end another one has noticed


@contextlib.contextmanager
def named_deaths(more: str = '') -> Iterator[None]:
    """Raises the error that names what died, in place of PyTorch's.

    Args:
        more: What the message says after that.

    Raises:
        TrainingError: A data worker or another process died.
    """
    for handler in MMLogger.get_current_instance().handlers:
        if getattr(handler.handleError, 'func', None) is not _pass_deaths_on:
            handler.handleError = functools.partial(_pass_deaths_on, handler.handleError)
    try:
        yield
    except Exception as error:  # PyTorch raises the death of a worker wherever the process happens to be
        death = _death_behind(error)
        if death is None:
            raise
        raise TrainingError(f'{death}{more}') from error


def _pass_deaths_on(handle_error: Callable[[logging.LogRecord], None], record: logging.LogRecord) -> None:
    """Handles an error in writing a line of a log: usually by a note; but a death that was told just then is none."""
    if isinstance(sys.exc_info()[1], RuntimeError) and death_of_worker(sys.exc_info()[1]) is not None:
        raise
    handle_error(record)


def _death_behind(error: Exception) -> TrainingError | None:
    """Returns the error that names what died, or None where nothing did."""
    try:
        death = death_of_worker(error)
        if death is None and isinstance(error, (ConnectionError, EOFError)):  # the end of a pipe to a worker
            time.sleep(SOON)
        return death or lost_process(error)
    except RuntimeError as late:  # by PyTorch's handler of SIGCHLD, only now
        return death_of_worker(late)
