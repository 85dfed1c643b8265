"""tools/train.py, run as users run it."""
import runpy
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import ROOT
from tool_inside import error_inside, run_inside
from tool_runs import error_of, logged, losses, run_tool

ONE = ('--cfg-options', 'train_cfg.max_iters=1', 'train_cfg.val_interval=1')


def test_train_shows_progress_and_ends_with_score_and_picture(trained):
    assert 'eta: ' in trained.output and 'mIoU' in trained.output
    picture = Image.open(trained.work_dir / 'pictures' / 'iter_4.png')
    assert picture.size[0] > 3 * 64 and picture.size[1] > 4 * 64  # three columns, four scenes
    assert str(trained.work_dir / 'pictures' / 'iter_4.png') in trained.output
    assert trained.checkpoint.is_file()


def test_resume_goes_on(trained, tmp_path, monkeypatch, log_lines):
    work = shutil.copytree(trained.work_dir, tmp_path / 'work')
    trained_on = work / 'iter_4.pth'
    trained_on.unlink()
    run_inside(monkeypatch, 'train.py', trained.config, '--work-dir', work, '--resume')
    assert ('INFO', 'resumed epoch: 0, iter: 2') in log_lines and trained_on.is_file()
    assert [entry['step'] for entry in logged(work) if 'loss' in entry] == [3, 4]


def test_a_new_run_sets_the_earlier_one_aside(trained, tmp_path, monkeypatch, log_lines):
    (tmp_path / 'iter_9.pth').touch()
    run_inside(monkeypatch, 'train.py', trained.config, '--work-dir', tmp_path, *ONE)
    aside, = tmp_path.glob('earlier_*')
    assert (aside / 'iter_9.pth').is_file() and not (tmp_path / 'iter_9.pth').exists()
    assert ('WARNING', f'The checkpoints of an earlier run were moved to {aside}') in log_lines


def test_where_the_work_dir_is_wrong_nothing_is_touched(trained, tmp_path, monkeypatch, capsys):
    none = tmp_path / 'none'
    said = error_inside(monkeypatch, capsys, 'train.py', trained.config, '--work-dir', none, '--resume')
    assert str(none) in said and '--work-dir DIR' in said and '(--resume=auto does either)' in said
    said = error_inside(monkeypatch, capsys, 'train.py', trained.config, '--work-dir', tmp_path, '--resume')
    assert f'{tmp_path} holds no whole checkpoint' in said and '(--resume=auto does either)' in said
    said = error_inside(monkeypatch, capsys, 'train.py', trained.config, '--work-dir', trained.work_dir,
                        '--cfg-options', f'load_from={trained.checkpoint}')
    assert str(trained.checkpoint) in said and 'another --work-dir DIR' in said and '--resume' in said
    assert not none.exists() and trained.checkpoint.is_file()


def test_amp_trains_on_the_cpu(trained, tmp_path, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU: --amp takes mmengine's AmpOptimWrapper")
    run_inside(monkeypatch, 'train.py', trained.config, '--work-dir', tmp_path, '--amp', *ONE)
    assert "type='CpuAmpOptimWrapper'" in next(tmp_path.glob('2*/vis_data/config.py')).read_text()
    assert np.isfinite(losses(tmp_path)).all() and len(losses(tmp_path)) == 1


def test_amp_that_cannot_be_is_an_error(tmp_path, trained, monkeypatch, capsys):
    said = error_inside(monkeypatch, capsys, 'train.py', trained.config, '--work-dir', tmp_path, '--amp',
                        '--cfg-options', 'optim_wrapper.type=ApexOptimWrapper')
    assert 'ApexOptimWrapper' in said and 'leave out --amp' in said


def test_pretrained_backbone(trained, tmp_path, monkeypatch, capsys, log_lines):
    command = ('train.py', trained.config, '--work-dir', tmp_path, *ONE, '--pretrained')
    run_inside(monkeypatch, *command, trained.checkpoint)
    line, = (line for _, line in log_lines if 'ViTTM: loaded' in line)
    assert str(trained.checkpoint) in line and 'tensors' in line and 'parameters' in line
    assert str(tmp_path / 'none.pth') in error_inside(monkeypatch, capsys, *command, tmp_path / 'none.pth')


def test_missing_data_is_one_error(tmp_path):
    config = ROOT / 'configs' / 'segmenter_vittm_b_ade20k.py'
    message = error_of(run_tool('train.py', config, '--data-root', tmp_path / 'ade', succeeds=False))
    assert str(tmp_path / 'ade' / 'images' / 'training') in message
    assert 'ADEChallengeData2016.zip' in message and '--data-root' in message


@pytest.mark.parametrize(('words', 'resume'), [
    (['--resume', 'config.py'], 'newest'), (['config.py', '--resume'], 'newest'),
    (['--resume=auto', 'config.py'], 'auto'),
    (['config.py', '--resume', 'auto'], 'auto'), (['config.py'], None)])
def test_resume_takes_no_config_for_its_word(monkeypatch, words, resume):
    monkeypatch.setattr('sys.argv', ['train.py', *words])
    args = runpy.run_path(str(ROOT / 'tools' / 'train.py'))['parse_args']()
    assert args.config == 'config.py' and args.resume == resume
