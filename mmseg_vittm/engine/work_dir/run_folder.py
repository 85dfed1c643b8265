"""The folder of one run's logs in its work dir: the run's own, and gone where the run fails before it has begun."""
import contextlib
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process

from ...errors import OutputError, TrainingStopped
from ...outputs import NO_ROOM, make_folder, missing_folders, not_written, remove_empty


class RunFolder:
    """A folder for the logs of one run; mmengine names it by the second, so that two runs of one would share it.

    Args:
        work_dir: The work dir; None where it is not known yet.

    Attributes:
        begun: Whether the run has done an iteration, so that its logs stay whatever happens.
    """

    def __init__(self, work_dir: str | None):
        self.begun = False
        self._work_dir = work_dir
        self._made = [] if work_dir is None else missing_folders(Path(work_dir))
        self._path: Path | None = None  # in the main process

    def make(self, work_dir: str, timestamp: str) -> str:
        """Makes the folder, in the main process, and returns its name in every one: the time, with a number if need be.

        Raises:
            OutputError: It cannot be made.
        """
        self._work_dir = work_dir
        answer = [None]
        if is_main_process():
            answer = [_make(Path(work_dir), timestamp)]
        broadcast_object_list(answer)
        name, error = answer[0]
        if error is not None:
            raise error
        if is_main_process():
            self._path = Path(work_dir) / name
        return name

    @contextlib.contextmanager
    def kept_if_begun(self) -> Iterator[None]:
        """Removes the folder where the block fails before the run has begun, with the empty folders made for it.

        Raises:
            OutputError: A log could not be written: in place of mmengine's error, it names the file.
        """
        try:
            yield
        except (Exception, TrainingStopped) as error:
            if not self.begun and self._path is not None:
                shutil.rmtree(self._path, ignore_errors=True)
                remove_empty(self._made)
            named = self._named(error)
            if named is None:
                raise
            raise named from error

    def _named(self, error: BaseException) -> OutputError | None:
        """Returns the error that names the log that mmengine could not write; None for any other."""
        if not isinstance(error, OSError) or self._work_dir is None:
            return None
        if error.filename is None:  # what is read has a name
            return not_written(self._path or self._work_dir, error) if error.errno in NO_ROOM else None
        if isinstance(error.filename, int):
            return None
        path = Path(os.fsdecode(error.filename))
        return not_written(path, error) if path.is_relative_to(self._work_dir) else None


def end_where_no_log_can_be_written(logger: logging.Logger) -> None:
    """Makes a log file that cannot be written, as on a full disk, an error; logging prints a traceback and goes on."""
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = lambda record, handler=handler: _cannot_log(handler, record)


def _cannot_log(handler: logging.FileHandler, record: logging.LogRecord) -> None:
    error = sys.exc_info()[1]  # logging calls this where it handles the error
    if isinstance(error, OSError):
        raise not_written(handler.baseFilename, error)
    logging.FileHandler.handleError(handler, record)


def _make(work_dir: Path, timestamp: str) -> tuple[str, OutputError | None]:
    """Makes a folder named by a time, and by a number where one is there.

    Returns:
        Its name, and the error where it cannot be made.
    """
    name, number = timestamp, 1
    try:
        make_folder(work_dir)
        while True:
            try:
                (work_dir / name).mkdir()
                return name, None
            except FileExistsError:
                number += 1
                name = f'{timestamp}_{number}'
    except OSError as error:
        return name, not_written(work_dir / name, error)
    except OutputError as error:
        return name, error
