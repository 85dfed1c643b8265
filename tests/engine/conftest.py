"""What tests of training runs share."""
from pathlib import Path

import pytest
from forked_runs import train, write_random_config


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """A folder of a module's own."""
    return tmp_path_factory.mktemp('runs')


@pytest.fixture(scope='module')
def config(folder) -> Path:
    """A tiny config whose training draws on all random numbers."""
    return write_random_config(folder)


@pytest.fixture(scope='module')
def whole(folder, config) -> Path:
    """The work dir of an uninterrupted run, in one process without data workers."""
    train(config, folder / 'whole')
    return folder / 'whole'
