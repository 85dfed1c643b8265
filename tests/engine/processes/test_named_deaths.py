"""The death of a data worker is told wherever PyTorch's handler of SIGCHLD happens to raise it."""
import logging

import pytest
from mmengine.logging import MMLogger

from mmseg_vittm.engine.processes import named_deaths
from mmseg_vittm.errors import TrainingError

TOLD = 'DataLoader worker (pid 77) is killed by signal: Killed. '
NAMED = r'a data worker, process 77, was killed by the system \(Killed\), probably out of memory; .*; go on'


@pytest.mark.parametrize('first', [ConnectionResetError(104, 'Connection reset by peer'), EOFError()])
def test_its_pipe_ends_before_the_system_tells(monkeypatch, first):
    def late(seconds):
        raise RuntimeError(TOLD)
    monkeypatch.setattr(named_deaths.time, 'sleep', late)
    with pytest.raises(TrainingError, match=NAMED), named_deaths.named_deaths('; go on'):
        raise first


def test_a_pipe_that_ends_by_itself_stays_what_it_is(monkeypatch):
    monkeypatch.setattr(named_deaths.time, 'sleep', lambda seconds: None)
    with pytest.raises(ConnectionResetError), named_deaths.named_deaths():
        raise ConnectionResetError


def test_told_while_another_error_is_looked_at(monkeypatch):
    def interrupted(error):
        raise RuntimeError(TOLD)
    monkeypatch.setattr(named_deaths, 'lost_process', interrupted)
    with pytest.raises(TrainingError, match=NAMED), named_deaths.named_deaths('; go on'):
        raise BrokenPipeError


def test_told_while_a_line_of_the_log_is_written(monkeypatch, capsys):
    """logging would print the error and go on."""
    logger = MMLogger.get_current_instance()

    def emit(self, record):
        try:
            raise RuntimeError(record.msg)
        except Exception:
            self.handleError(record)
    monkeypatch.setattr(logging.StreamHandler, 'emit', emit)
    with pytest.raises(TrainingError, match=NAMED), named_deaths.named_deaths('; go on'):
        logger.info(TOLD)
    assert 'Traceback' not in capsys.readouterr().err
    with named_deaths.named_deaths():
        logger.info('no room')
    assert 'RuntimeError: no room' in capsys.readouterr().err


def test_a_worker_says_nothing_of_connections_that_its_training_process_dropped(run_python):
    said = run_python("""
import functools, sys, threading
from mmseg_vittm.engine.processes.data_workers import _pass_over_lost_connections
sys.excepthook = functools.partial(_pass_over_lost_connections, sys.excepthook)
for error in (ConnectionResetError('dropped'), EOFError('over'), ValueError('wrong')):
    try:
        raise error
    except Exception:
        sys.excepthook(*sys.exc_info())
""")
    assert 'wrong' in said.stderr and 'dropped' not in said.stderr and 'over' not in said.stderr
