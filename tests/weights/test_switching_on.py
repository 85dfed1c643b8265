"""Safe loading is switched on by what a user chose, and reading disturbs neither mmengine nor another thread."""
import threading

import numpy as np
import pytest
import torch
from malicious_files import attacks
from mmengine.logging import HistoryBuffer
from tool_runs import write_config
from torch.serialization import add_safe_globals, get_safe_globals, safe_globals

from mmseg_vittm.weights.files import read_weights_file

STATE = """
import mmseg.datasets, mmseg.models  # which add to what torch allows
from mmengine.infer import BaseInferencer
from mmengine.runner import CheckpointLoader, checkpoint
from torch import _weights_only_unpickler as unpickler
import torch
def state():
    return (dict(CheckpointLoader._schemes), checkpoint.load_url, BaseInferencer._init_model, torch.load,
            unpickler._get_user_allowed_globals, torch.serialization.get_safe_globals())
"""


def test_importing_changes_nothing_for_other_models(run_python):
    done = run_python(STATE + """
before = state()
import mmseg_vittm, mmseg_vittm.engine, mmseg_vittm.inference.predictor, mmseg_vittm.weights.whole_model
assert state() == before
import mmseg_vittm.weights.safe_loading
assert all(one is not other for one, other in zip(state()[1:3], before[1:3]))
""")
    assert done.returncode == 0, done.stderr


USES = dict(
    config='Config.fromfile({config!r})',
    runner="StrictRunner(model=torch.nn.Linear(2, 2), work_dir={work!r}, experiment_name='x', default_scope='mmseg')",
    load_model="load_model(Config.fromfile({config!r}), {path!r}, 'cpu')",
    init_model="init_model({config!r}, {path!r}, device='cpu')",
    inferencer="MMSegInferencer(model={config!r}, weights={path!r}, device='cpu')")


@pytest.mark.parametrize('use', USES)
def test_what_a_user_chooses_switches_it_on(use, run_python, tmp_path):
    """A fresh process: a hostile file is refused by what is used, and by mmengine's own loading from then on."""
    payload, _ = attacks(tmp_path / 'marker')['system']
    torch.save(dict(state_dict=dict(a=torch.ones(1)), meta=payload), tmp_path / 'bad.pth')
    call = USES[use].format(config=str(write_config(tmp_path)), path=str(tmp_path / 'bad.pth'), work=str(tmp_path))
    imports = 'from mmseg_vittm import StrictRunner, load_model' if use in ('runner', 'load_model') else ''
    done = run_python(f"""
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmseg.apis import MMSegInferencer, init_model
{imports}
errors = []
for use in (lambda: {call}, lambda: load_checkpoint(torch.nn.Linear(2, 2), {str(tmp_path / 'bad.pth')!r})):
    try:
        use()
    except RuntimeError as error:
        errors.append(str(error))
assert len(errors) == {1 + (use not in ('config', 'runner'))} and all('posix.system' in text for text in errors), errors
""")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / 'marker').exists()


class Own:
    """A class that a user's own files hold."""


def hammer(read, path: str, seconds: float = 1.5):
    """Runs `read` here as often as it can while another thread reads a checkpoint by our reader."""
    stop, failures = threading.Event(), []

    def other() -> None:
        while not stop.is_set():
            try:
                read_weights_file(path)
            except Exception as error:
                failures.append(error)
    thread, timer = threading.Thread(target=other), threading.Timer(seconds, stop.set)
    thread.start()
    timer.start()
    count = 0
    while not stop.is_set():
        read()
        count += 1
    thread.join()
    assert not failures and count > 10
    return count


@pytest.fixture
def checkpoint(tmp_path) -> str:
    torch.save(dict(state_dict=dict(a=torch.ones(3)), meta=dict(scores=np.arange(5.0)),
                    message_hub=dict(loss=HistoryBuffer([1.0], [1]))), tmp_path / 'checkpoint.pth')
    return str(tmp_path / 'checkpoint.pth')


def test_another_thread_reads_its_own_files_as_ever(checkpoint, tmp_path):
    torch.save(dict(a=np.arange(3.0), b=np.float32(2)), tmp_path / 'own.pth')
    multiarray = np._core.multiarray if hasattr(np, '_core') else np.core.multiarray
    own = [np.dtype, np.ndarray, multiarray._reconstruct, multiarray.scalar, type(np.dtype('f8')), type(np.dtype('f4'))]

    def read() -> None:
        content = torch.load(tmp_path / 'own.pth', weights_only=True)
        assert type(content['a']) is np.ndarray and type(content['b']) is np.float32
    with safe_globals(own):
        hammer(read, checkpoint)
    with pytest.raises(Exception, match='weights_only|Weights only'):
        torch.load(tmp_path / 'own.pth', weights_only=True)  # as little allowed as before


def test_what_another_thread_allows_stays_allowed(checkpoint):
    classes = []

    def allow() -> None:
        kind = type(f'Kind{len(classes)}', (Own,), {})
        classes.append(kind)
        add_safe_globals([kind])
        assert kind in get_safe_globals()
    before = get_safe_globals()
    try:
        hammer(allow, checkpoint)
        assert set(classes) <= set(get_safe_globals())
    finally:
        torch.serialization.clear_safe_globals()
        add_safe_globals(before)


def test_what_a_user_allows_is_taken(tmp_path):
    torch.save(dict(state_dict=dict(a=torch.ones(1)), more=Own()), tmp_path / 'own.pth')
    with pytest.raises(RuntimeError, match='Own'):
        read_weights_file(tmp_path / 'own.pth')
    with safe_globals([Own]):
        assert type(read_weights_file(tmp_path / 'own.pth')['more']) is Own
