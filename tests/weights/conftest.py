"""What tests of weights share."""
import pytest
from tool_runs import write_config


@pytest.fixture(scope='module')
def config(tmp_path_factory) -> str:
    """The path of a tiny config."""
    return str(write_config(tmp_path_factory.mktemp('config')))
