"""The command lines, run as users run them."""
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from tiny_models import ROOT
from tool_inside import run_inside
from tool_runs import error_of, logged, logged_scores, run_tool, write_config

from mmseg_vittm.commands.configs import load_config, set_data_root
from mmseg_vittm.commands.options import set_aside_earlier_run
from mmseg_vittm.errors import InputError


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A finished training run: its config, work dir, last checkpoint and data."""
    folder = tmp_path_factory.mktemp('run')
    config = write_config(folder)
    done = run_tool('train.py', config, '--work-dir', folder / 'work')
    return dict(config=config, work=folder / 'work', checkpoint=folder / 'work' / 'iter_4.pth', data=folder / 'toy',
                output=done.stdout + done.stderr)


def test_train_shows_progress_and_ends_with_score_and_picture(run):
    assert 'eta: ' in run['output'] and 'mIoU' in run['output']
    picture = Image.open(run['work'] / 'pictures' / 'iter_4.png')
    assert picture.size[0] > 3 * 64 and picture.size[1] > 4 * 64  # three columns, four scenes
    assert str(run['work'] / 'pictures' / 'iter_4.png') in run['output']
    assert run['checkpoint'].is_file()


def test_resume_goes_on(run, tmp_path):
    work = tmp_path / 'work'
    run_tool('train.py', run['config'], '--work-dir', work, '--cfg-options', 'train_cfg.max_iters=2')
    done = run_tool('train.py', run['config'], '--work-dir', work, '--resume')
    assert 'resumed epoch: 0, iter: 2' in done.stdout + done.stderr
    assert [entry['step'] for entry in logged(work) if 'loss' in entry] == [3, 4]


def test_resume_of_nothing_is_an_error(run, tmp_path):
    done = run_tool('train.py', run['config'], '--work-dir', tmp_path, '--resume', succeeds=False)
    assert str(tmp_path) in error_of(done)


def test_a_new_run_keeps_the_earlier_checkpoints(tmp_path):
    for name in ('iter_2.pth', 'best_mIoU_iter_2.pth', 'last_checkpoint', 'notes.txt'):
        (tmp_path / name).write_text(name)
    aside = set_aside_earlier_run(str(tmp_path))
    assert sorted(path.name for path in aside.iterdir()) == ['best_mIoU_iter_2.pth', 'iter_2.pth', 'last_checkpoint']
    assert (aside / 'iter_2.pth').read_text() == 'iter_2.pth' and (tmp_path / 'notes.txt').is_file()
    assert set_aside_earlier_run(str(tmp_path)) is None


def test_amp_trains_on_the_cpu(run, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU: --amp takes mmengine's AmpOptimWrapper")
    run_tool('train.py', run['config'], '--work-dir', tmp_path, '--amp', '--cfg-options', 'train_cfg.max_iters=2')
    assert "type='CpuAmpOptimWrapper'" in next(tmp_path.glob('2*/vis_data/config.py')).read_text()
    assert all(np.isfinite(entry['loss']) for entry in logged(tmp_path) if 'loss' in entry)


def test_test_scores_writes_labels_and_pictures(run, tmp_path):
    weights = tmp_path / 'model.safetensors'
    run_tool('convert_checkpoint.py', run['checkpoint'], weights)
    scores = []
    for checkpoint in (run['checkpoint'], weights):
        work = tmp_path / f'test_{checkpoint.suffix[1:]}'
        run_tool('test.py', run['config'], checkpoint, '--work-dir', work, '--show-dir', work / 'show', '--out',
                 work / 'out')
        scores.append(logged_scores(work))
        stems = sorted(path.stem for path in (run['data'] / 'images' / 'validation').iterdir())
        assert sorted(path.stem for path in (work / 'show').iterdir()) == stems
        labels = {path.stem: np.asarray(Image.open(path)) for path in (work / 'out').iterdir()}
        assert sorted(labels) == stems
        assert all(label.dtype == np.uint8 and label.min() >= 1 and label.max() <= 14 for label in labels.values())
    assert scores[0] == scores[1]
    training = [entry['mIoU'] for entry in logged(run['work']) if 'mIoU' in entry]
    assert scores[0]['mIoU'] == training[-1]


def test_test_time_augmentation(run, tmp_path):
    done = run_tool('test.py', run['config'], run['checkpoint'], '--work-dir', tmp_path, '--tta')
    assert 'mIoU' in done.stdout + done.stderr


def test_another_architecture_is_an_error(run, tmp_path):
    config = write_config(tmp_path, more="model['backbone'].update(read_write_head='cross')\n")
    message = error_of(run_tool('test.py', config, run['checkpoint'], '--work-dir', tmp_path, '--data-root',
                                run['data'], succeeds=False))
    assert str(run['checkpoint']) in message
    message = error_of(run_tool('infer.py', config, run['checkpoint'], run['data'], '-o', tmp_path, succeeds=False))
    assert str(run['checkpoint']) in message


def test_pretrained_backbone(run, tmp_path):
    done = run_tool('train.py', run['config'], '--work-dir', tmp_path, '--pretrained', run['checkpoint'],
                    '--cfg-options', 'train_cfg.max_iters=1')
    line = next(line for line in (done.stdout + done.stderr).splitlines() if 'ViTTM: loaded' in line)
    assert str(run['checkpoint']) in line and 'tensors' in line and 'parameters' in line
    message = error_of(run_tool('train.py', run['config'], '--work-dir', tmp_path, '--pretrained',
                                tmp_path / 'none.pth', succeeds=False))
    assert str(tmp_path / 'none.pth') in message


def test_missing_data_is_one_error(tmp_path):
    config = 'segmenter_vittm_b_ade20k.py'
    message = error_of(run_tool('train.py', ROOT / 'configs' / config, '--data-root', tmp_path / 'ade', succeeds=False))
    assert str(tmp_path / 'ade' / 'images' / 'training') in message
    assert 'ADEChallengeData2016.zip' in message and '--data-root' in message


def test_data_root_reaches_every_dataset():
    dataset = dict(type='ADE20KDataset', data_root='old', data_prefix=dict(img_path='i', seg_map_path='s'))
    cfg = Config(dict(
        data_root='old',
        train_dataloader=dict(dataset=dict(type='RepeatDataset', times=2, dataset=dict(
            type='ConcatDataset', datasets=[dict(dataset), dict(dataset)]))),
        val_dataloader=dict(dataset=dict(dataset)), test_dataloader=dict(dataset=dict(dataset))))
    set_data_root(cfg, 'new')
    assert str(cfg).count("'new'") == 5 and "'old'" not in str(cfg)
    with pytest.raises(InputError, match='no dataset'):
        set_data_root(Config(dict(train_dataloader=None)), 'new')


def test_config_errors(tmp_path):
    with pytest.raises(InputError, match='no such config'):
        load_config(str(tmp_path / 'none.py'))


@pytest.mark.parametrize('tool', [
    'train.py', 'test.py', 'infer.py', 'benchmark.py', 'complexity.py', 'plot.py', 'convert_checkpoint.py',
    'draw_architecture.py', 'check_dataset.py'])
def test_help(tool, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        run_inside(monkeypatch, tool, '--help')
    assert not stop.value.code and 'usage' in capsys.readouterr().out
