"""tools/train.py --warm-start: what it takes, and the one line that anything else gets."""
import pytest
import torch
from tool_inside import error_inside, run_inside
from warm_starts import random_vit

ONE = ('--cfg-options', 'train_cfg.max_iters=1', 'train_cfg.val_interval=1')


@pytest.fixture
def command(trained, tmp_path):
    return 'train.py', trained.config, '--work-dir', tmp_path / 'work', *ONE


def saved(path, **changes) -> str:
    torch.save(random_vit('vit', **changes).state_dict(), path)
    return str(path)


def test_a_vit(command, tmp_path, monkeypatch, log_lines):
    """Its class and the numbers of what was taken, resampled, left and calibrated are logged."""
    run_inside(monkeypatch, *command, '--warm-start', saved(tmp_path / 'vit.pth', embed_dim=48, num_heads=3))
    said = '\n'.join(line for level, line in log_lines if 'warm start' in line and level == 'INFO')
    for words in ('took 32 tensors', "(timm's ViT)", 'resampled patches 16x16 -> 8x8 (process), positions 4x4 -> 8x8',
                  'dropped 2 tensors (0.00 M, classification only), 1 tensors (0.00 M, cls_token',
                  'started 6 tensors', "the process stream's cosine", '3 norms (6 tensors) calibrated, anchored'):
        assert words in said, (words, said)


@pytest.mark.parametrize(('name', 'said'), [
    ('none.pth', 'none.pth: there is no such file; give a file of a ViT'),
    ('vit_smal_patch16_224.augreg_in21k', 'the nearest are vit_small_patch16_224.augreg_in21k')])
def test_what_is_not_there(command, name, said, monkeypatch, capsys, tmp_path):
    assert said in error_inside(monkeypatch, capsys, *command, '--warm-start', name)
    assert not (tmp_path / 'work').exists()


def test_what_cannot_be_read_is_told_before_anything_is_written(command, monkeypatch, capsys, tmp_path):
    (tmp_path / 'text.pth').write_text('hi')
    assert 'text.pth cannot be loaded' in error_inside(
        monkeypatch, capsys, *command, '--warm-start', tmp_path / 'text.pth')
    of_config = [f'model.backbone.init_cfg.{key}' for key in ('type=WarmStart', 'checkpoint=none.pth')]
    assert 'none.pth: there is no such file' in error_inside(monkeypatch, capsys, *command, *of_config)
    assert not (tmp_path / 'work').exists()


@pytest.mark.parametrize(('option', 'said'), [('--warm-start', "must be a file or a name of timm's, got ''"),
                                              ('--pretrained', ': no such file; check --pretrained')])
def test_an_empty_name(command, option, said, monkeypatch, capsys):
    assert said in error_inside(monkeypatch, capsys, *command, option, '')


def test_another_width_says_both(command, monkeypatch, capsys, tmp_path):
    path = saved(tmp_path / 'vit.pth', embed_dim=96, num_heads=3)
    message = error_inside(monkeypatch, capsys, *command, '--warm-start', path)
    assert message.startswith(f'error: {path}')
    assert 'has width 96 and 2 layers, this model width 48 and 2 layers' in message


def test_it_is_not_beside_other_weights_of_the_whole_model(command, trained, monkeypatch, capsys, tmp_path):
    said = error_inside(monkeypatch, capsys, *command, f'load_from={trained.checkpoint}', '--warm-start',
                        saved(tmp_path / 'vit.pth', embed_dim=48, num_heads=3))
    assert '--warm-start' in said and f'load_from={trained.checkpoint} both start the model; give one' in said


def test_a_vittm_is_no_vit(command, trained, monkeypatch, capsys):
    said = error_inside(monkeypatch, capsys, *command, '--warm-start', trained.checkpoint)
    assert 'it is a ViTTM, not a ViT, and fits as it is; give it as --pretrained' in said


def test_one_start_alone(command, monkeypatch, capsys, trained):
    said = error_inside(monkeypatch, capsys, *command, '--warm-start', 'vit_small_patch16_224.augreg_in21k',
                        '--pretrained', trained.checkpoint)
    assert f'--pretrained {trained.checkpoint} and --warm-start vit_small' in said and 'give one' in said
