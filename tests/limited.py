"""A full disk, for as long as a function runs: in a process of its own, whose files may not grow beyond a size."""
import logging
import os
import pickle
import resource
import sys
import warnings
from collections.abc import Callable

from mmengine.logging import MMLogger


def with_small_files(most: int, function: Callable, *arguments) -> BaseException | None:
    """Calls a function where no file may grow beyond some bytes (EFBIG, treated as a full disk); returns its error."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # of forks beside threads, which only sleep
        child = os.fork()
    if not child:
        error = None
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            sys.stdout = sys.stderr = open(os.devnull, 'w')  # noqa: SIM115  (for the rest of this process)
            _close_logs()
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            function(*arguments)
        except BaseException as caught:  # noqa: B036  (is what is asked for)
            error = type(caught)(str(caught))
        os.write(writer, pickle.dumps(error))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, 'rb') as file:
        content = file.read()
    os.waitpid(child, 0)
    return pickle.loads(content)


def _close_logs() -> None:
    """Takes leave of the log files that trainings of other tests have opened in this process: they may be larger."""
    for logger in MMLogger._instance_dict.values():
        logger.handlers = [handler for handler in logger.handlers if not isinstance(handler, logging.FileHandler)]


def tree(folder) -> dict[str, bytes | str]:
    """What is in a folder, by relative path: contents of files, `'folder'`, or where links lead."""
    found = {}
    for path in sorted(folder.rglob('*')):
        name = str(path.relative_to(folder))
        found[name] = (os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else
                       'folder' if path.is_dir() else 'other')
    return found
