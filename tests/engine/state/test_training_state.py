"""What a checkpoint says of its run: one line where it is wrong, before it is used."""
import copy
import time

import numpy as np
import pytest
import torch
from forked_runs import start, train, write_random_config

from mmseg_vittm.engine.random_state import capture, why_not_restorable
from mmseg_vittm.engine.state.training_state import fault_of_training_state
from mmseg_vittm.weights.whole_model import read_checkpoint


def sound() -> dict:
    return dict(meta=dict(iter=160_000, epoch=0, seed=0), random_states=[capture()],
                data_position=dict(seed=0, samples=160_000 * 16))


def wrong_states() -> dict:
    """Random states that no generator can be set to."""
    wrong = {'empty': {}, 'number': 3, 'none': None, 'list': []}

    def change(name, *keys, value):
        wrong[name] = state = capture()
        for key in keys[:-1]:
            state = state[key]
        state[keys[-1]] = value
    change('no python', 'python', value=None)
    change('words of floats', 'python', 'words', value=torch.zeros(625))
    change('too few words', 'python', 'words', value=torch.zeros(3, dtype=torch.int64))
    change('words without memory', 'python', 'words', value=torch.zeros(1, dtype=torch.int64).expand(2**40))
    change('negative words', 'python', 'words', value=torch.full((625,), -1))
    change('index beyond', 'python', 'words', value=torch.full((625,), 2**31))
    change('version', 'python', 'version', value=7)
    change('gauss', 'python', 'gauss', value='0')
    change('position', 'numpy', 'position', value=10**9)
    change('negative position', 'numpy', 'position', value=-5)
    change('position of text', 'numpy', 'position', value='5')
    change('keys', 'numpy', 'keys', value=torch.zeros(624))
    change('keys of another shape', 'numpy', 'keys', value=torch.zeros(2, 312, dtype=torch.int64))
    change('cached', 'numpy', 'cached', value=None)
    change('torch', 'torch', value=torch.zeros(5056, dtype=torch.uint8))
    change('torch short', 'torch', value=torch.zeros(16, dtype=torch.uint8))
    change('torch floats', 'torch', value=torch.zeros(5056))
    change('cuda', 'cuda', value='0')
    return wrong


@pytest.mark.parametrize(('name', 'state'), wrong_states().items(), ids=list(wrong_states()))
def test_wrong_random_states(name, state):
    assert why_not_restorable(state) is not None
    checkpoint = sound()
    checkpoint['random_states'].append(state)
    assert 'random_states[1] is no random state' in fault_of_training_state(checkpoint)


def test_states_as_they_are_saved_are_sound_and_stay():
    torch.manual_seed(3)
    np.random.randn(), torch.randn(1)
    before = capture()
    assert why_not_restorable(copy.deepcopy(before)) is None and fault_of_training_state(sound()) is None
    for part in ('python', 'numpy', 'torch'):
        assert str(capture()[part]) == str(before[part])
    assert fault_of_training_state(dict(meta=dict(iter=0, epoch=0))) is None  # mmengine's own


@pytest.mark.parametrize(('part', 'value'), [
    ('random_states', None), ('random_states', []), ('random_states', {}), ('random_states', 'text'),
    ('data_position', None), ('data_position', []), ('data_position', 3), ('data_position', {}),
    ('data_position', dict(seed=0)), ('data_position', dict(seed='0', samples=4)),
    ('data_position', dict(seed=0, samples='4')), ('data_position', dict(seed=0, samples=-4)),
    ('data_position', dict(seed=0, samples=4.0)), ('data_position', dict(seed=-1, samples=4)),
    ('data_position', dict(seed=0, samples=True)), ('data_position', dict(seed=2**70, samples=4)),
    ('data_position', dict(seed=0, samples=10**14)), ('data_position', dict(seed=0, samples=10**4000)),
    ('data_position', dict(seed=0, samples=float('nan'))), ('data_position', dict(seed=0, samples=torch.ones(1))),
    ('meta', None), ('meta', dict(epoch=0)), ('meta', dict(iter=-1, epoch=0)), ('meta', dict(iter=6.0, epoch=0)),
    ('meta', dict(iter='6', epoch=0)), ('meta', dict(iter=True, epoch=0)), ('meta', dict(iter=6, epoch=-1)),
    ('meta', dict(iter=10**30, epoch=0)), ('meta', dict(iter=10**10, epoch=0)),
    ('meta', dict(iter=6, epoch=0, seed='x'))])
def test_wrong_parts(part, value):
    fault = fault_of_training_state(sound() | {part: value})
    assert fault.startswith(part) and len(fault) < 200 and '\n' not in fault


def test_on_resume_it_is_one_line_and_otherwise_passed_over(tmp_path):
    config = write_random_config(tmp_path)
    train(config, tmp_path / 'work', '--cfg-options', 'train_cfg.max_iters=4', 'train_cfg.val_interval=4')
    newest = tmp_path / 'work' / 'iter_4.pth'
    torch.save(read_checkpoint(str(newest)) | dict(data_position=dict(seed=0, samples=10**14)), tmp_path / 'far.pth')
    began = time.monotonic()
    run = start(config, tmp_path / 'far', '--resume', '--cfg-options', f'load_from={tmp_path / "far.pth"}')
    assert run.wait(60) == [2] and time.monotonic() - began < 30
    said, = [line for line in run.output().splitlines() if line.startswith('error: ')]
    assert f'{tmp_path / "far.pth"}: ' in said and 'data_position.samples is 100000000000000' in said
    torch.save(read_checkpoint(str(newest)) | dict(random_states=[{}]), newest)
    done = train(config, tmp_path / 'work', '--resume', '--cfg-options', 'train_cfg.max_iters=4').output()
    assert 'Passed over' in done and 'random_states[0]' in done and 'iter: 2' in done
