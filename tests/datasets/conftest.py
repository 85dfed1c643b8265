"""Fixtures of the tests of data sets."""
import logging
from pathlib import Path

import pytest
from bad_files import write_set
from mmengine.logging import MMLogger


@pytest.fixture(scope='session')
def good(tmp_path_factory) -> Path:
    """A tiny data set of good files, for tests that only read it."""
    return write_set(tmp_path_factory.mktemp('good'))


class Records(logging.Handler):
    """Gathers log lines of this process and, through a file, of workers."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def emit(self, record):
        with open(self.path, 'a') as file:
            file.write(record.getMessage() + '\n')


@pytest.fixture
def log(tmp_path):
    handler, logger = Records(tmp_path / 'log.txt'), MMLogger.get_current_instance()
    handler.path.touch()
    logger.addHandler(handler)
    yield handler.path
    logger.removeHandler(handler)
