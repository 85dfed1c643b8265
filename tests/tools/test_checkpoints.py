"""The command lines with checkpoints that are malicious, of another model, or .safetensors."""
import contextlib

import pytest
import torch
from malicious_files import attacks, code_in_configs, save_as
from PIL import Image
from tool_inside import error_inside, run_inside

from mmseg_vittm import trust_checkpoints
from mmseg_vittm.weights.convert import convert_checkpoint


@pytest.fixture(scope='module')
def run(trained, tmp_path_factory):
    """A finished training run: its config, a checkpoint before its end as .pth and .safetensors, and a photo."""
    folder = tmp_path_factory.mktemp('run')
    checkpoint = trained.work_dir / 'iter_2.pth'
    convert_checkpoint(str(checkpoint), str(folder / 'model.safetensors'))
    Image.new('RGB', (80, 64)).save(folder / 'photo.png')
    return dict(config=trained.config, checkpoint=checkpoint, safetensors=folder / 'model.safetensors',
                photo=folder / 'photo.png')


@pytest.fixture
def trusts():
    """Puts the process's trust in checkpoints back as it was."""
    yield
    trust_checkpoints(False)


def commands(run, path, out) -> dict:
    """By name, every command line that takes a checkpoint."""
    config, work = run['config'], ('--work-dir', out / 'work')
    return dict(
        resume=('train.py', config, *work, '--resume', '--cfg-options', f'load_from={path}'),
        load_from=('train.py', config, *work, '--cfg-options', f'load_from={path}', 'train_cfg.max_iters=1',
                   'train_cfg.val_interval=1'),
        pretrained=('train.py', config, *work, '--pretrained', path),
        warm_start=('train.py', config, *work, '--warm-start', path),
        test=('test.py', config, path, *work),
        infer=('infer.py', config, path, run['photo'], '-o', out / 'segmented', '--device', 'cpu'),
        benchmark=('benchmark.py', config, '--checkpoint', path, '--images', 1, '--warmup', 0, '--device', 'cpu',
                   '--image-size', 64, 64),
        convert=('convert_checkpoint.py', path, out / 'converted.safetensors'))


NAMES = ('resume', 'load_from', 'pretrained', 'warm_start', 'test', 'infer', 'benchmark', 'convert')


@pytest.mark.parametrize('name', NAMES)
def test_every_tool_refuses_code(name, run, tmp_path, monkeypatch, capsys):
    good = torch.load(run['checkpoint'], weights_only=False)
    marker = tmp_path / 'marker'
    payload, asked_for = attacks(marker)['system']
    text, _ = code_in_configs(marker)['imported']
    for form in ('zip', 'legacy'):
        path = save_as(dict(good, more=payload), tmp_path / f'{form}.pth', form)
        message = error_inside(monkeypatch, capsys, *commands(run, path, tmp_path)[name])
        assert str(path) in message and asked_for in message
    for key in ('config', 'cfg'):
        path = save_as(dict(good, meta=good['meta'] | {key: text}), tmp_path / f'{key}.pth', 'zip')
        with contextlib.suppress(SystemExit):  # where it is an error to write a file twice
            run_inside(monkeypatch, *commands(run, path, tmp_path)[name])  # the text stays text
    assert not marker.exists()


@pytest.mark.parametrize('name', ['load_from', 'test', 'infer', 'benchmark', 'convert'])
def test_trust_and_partial_loads_are_options(name, run, tmp_path, monkeypatch, log_lines, trusts):
    good = torch.load(run['checkpoint'], weights_only=False)
    marker = tmp_path / 'marker'
    del good['state_dict']['decode_head.cls_emb']
    path = save_as(dict(good, more=attacks(marker)['system'][0]), tmp_path / 'trusted.pth', 'zip')
    partial = [] if name == 'convert' else ['--allow-partial']
    run_inside(monkeypatch, *commands(run, path, tmp_path)[name], '--trust-checkpoint', *partial)
    said = '\n'.join(line for level, line in log_lines if level == 'WARNING')
    assert marker.exists() and f'{path} is read without protection' in said
    assert name == 'convert' or f'{path} was loaded in part. missing (1): decode_head.cls_emb' in said


@pytest.mark.parametrize('name', ['load_from', 'pretrained', 'benchmark', 'convert'])
def test_safetensors_wherever_a_checkpoint_goes(name, run, tmp_path, monkeypatch):
    """Beside test.py, which test_test.py has read them."""
    options = ['--cfg-options', 'train_cfg.max_iters=1', 'train_cfg.val_interval=1'] if name == 'pretrained' else []
    run_inside(monkeypatch, *commands(run, run['safetensors'], tmp_path)[name], *options)


def test_safetensors_cannot_be_resumed_from(run, tmp_path, monkeypatch, capsys):
    message = error_inside(monkeypatch, capsys, *commands(run, run['safetensors'], tmp_path)['resume'])
    assert str(run['safetensors']) in message and 'resume' in message


@pytest.mark.parametrize('name', ['load_from', 'test', 'infer', 'benchmark'])
def test_what_does_not_fit_is_an_error_of_every_tool(name, run, tmp_path, monkeypatch, capsys):
    good = torch.load(run['checkpoint'], weights_only=False)
    state = good['state_dict']
    heads = [key for key in state if key.startswith('decode_head.')]
    cases = dict(
        missing=(dict(good, state_dict={key: state[key] for key in state if key not in heads}),
                 f'missing ({len(heads)}): {heads[0]}'),
        extra=(dict(good, state_dict=state | {'neck.weight': torch.ones(1)}), 'unexpected (1): neck.weight'),
        other=(dict(good, state_dict={'layer1.conv.weight': torch.ones(1)}), f'missing ({len(state)}): '),
        empty=(dict(good, state_dict={}), 'no weights'), bare=(state, "no 'state_dict'"),
        without_meta=(dict(state_dict=state), "no 'meta'"))
    for title, (content, words) in cases.items():
        path = save_as(content, tmp_path / f'{title}.pth', 'zip')
        message = error_inside(monkeypatch, capsys, *commands(run, path, tmp_path)[name])
        assert str(path) in message and words in message, message


def test_resume_of_our_own(run, tmp_path, monkeypatch, log_lines):
    """What the tools write is read without any flag, and goes on."""
    run_inside(monkeypatch, *commands(run, run['checkpoint'], tmp_path)['resume'], 'train_cfg.max_iters=3',
               'train_cfg.val_interval=3')
    assert ('INFO', 'resumed epoch: 0, iter: 2') in log_lines
