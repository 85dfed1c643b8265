"""`tools/new_dataset.py` as users run it: from folders to a model that is trained, tested and used."""
import json

import numpy as np
import pytest
import timm
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from own_sets import NAMES, SIZE, save, write_folders
from PIL import Image
from tiny_models import ROOT
from tool_inside import error_inside, run_inside
from tool_runs import error_of, logged_scores, run_tool

from mmseg_vittm.commands.configs.checks import check_config
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.new_dataset.budgets import BUDGETS

ABC = ','.join(NAMES)
# What makes a config a minute's work at most: the model of its budget is trained elsewhere.
TINY = ('model.backbone.arch.embed_dims=48', 'model.backbone.arch.num_layers=1', 'model.backbone.arch.num_heads=3',
        'model.decode_head.in_channels=96', 'model.decode_head.channels=96', 'train_cfg.max_iters=2',
        'train_cfg.val_interval=2', 'default_hooks.checkpoint.interval=2', 'train_dataloader.batch_size=2',
        'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False', 'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False', 'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False')


def test_three_commands(tmp_path):
    """Data set, training, test; then inference by the checkpoint's classes."""
    root = write_folders(tmp_path / 'set', count=8)
    config = tmp_path / 'mine.py'
    done = run_tool('new_dataset.py', root, '--classes', ABC, '-o', config, '--workers', '1')
    for part in ('sky', 'layout: images/ and labels/', '4 to train, 4 to validate', f'Config: {config}',
                 f'python tools/train.py {config}',
                 f'python tools/evaluate.py {config} work_dirs/mine/iter_400.pth -o evaluated', 'ETA'):
        assert part in done.stdout, done.stdout
    work_dir = tmp_path / 'work'
    run_tool('train.py', config, '--work-dir', work_dir, '--cfg-options', *TINY)
    run_tool('test.py', config, work_dir / 'iter_2.pth', '--work-dir', work_dir, '--out', tmp_path / 'out',
             '--cfg-options', *TINY)
    assert set(logged_scores(work_dir)) == {'mIoU', 'aAcc', 'mAcc'}
    assert len(list((tmp_path / 'out').rglob('*.png'))) == 4


def test_labels_out_are_numbered_as_the_files_are(tmp_path):
    """`tools/test.py --out` of labels that are no numbers from 0."""
    values = np.array([40, 7, 255], np.uint8)
    root = write_folders(tmp_path / 'set', change=lambda labels: values[labels])
    config = tmp_path / 'mine.py'
    run_tool('new_dataset.py', root, '--classes', '40:sky,7:tree,255:road', '-o', config, '--workers', '1')
    run_tool('train.py', config, '--work-dir', tmp_path / 'work', '--cfg-options', *TINY)
    run_tool('test.py', config, tmp_path / 'work/iter_2.pth', '--work-dir', tmp_path / 'work', '--out',
             tmp_path / 'out', '--cfg-options', *TINY)
    written = [np.asarray(Image.open(path)) for path in (tmp_path / 'out').rglob('*.png')]
    assert len(written) == 3 and set(np.unique(written).tolist()) <= set(values.tolist())


@pytest.mark.parametrize('budget', BUDGETS)
@pytest.mark.parametrize('bands', [3, 5])
def test_every_budget_gives_a_config_that_builds(tmp_path, monkeypatch, mmseg_scope, budget, bands):
    """The checks of all jobs pass, and the model takes a crop."""
    root = write_folders(tmp_path / 'set', splits=())
    if bands == 5:
        rasterio = pytest.importorskip('rasterio')
        for number, path in enumerate(sorted((root / 'images').iterdir())):
            pixels = np.random.default_rng(number).integers(0, 5000, (5, *SIZE)).astype(np.uint16)
            with rasterio.open(path.with_suffix('.tif'), 'w', driver='GTiff', count=5, height=SIZE[0], width=SIZE[1],
                               dtype='uint16', nodata=0 if number == 1 else None) as file:
                file.write(pixels + 1)
            path.unlink()
    run_inside(monkeypatch, 'new_dataset.py', root, '--classes', ABC, '-o', tmp_path / 'mine.py', '--budget', budget,
               '--workers', '1', '--class-weight')
    for job in ('train', 'test', 'infer'):
        cfg = load_config(str(tmp_path / 'mine.py'), job=job)
        check_config(cfg, job)
    assert cfg.model.decode_head.loss_decode.class_weight and cfg.model.decode_head.num_classes == 3
    assert cfg.model.test_cfg.crop_size == cfg.crop_size and cfg.crop_size[0] % 32 == 0 or budget == 'small'
    if bands == 5:
        assert cfg.train_pipeline[0].fill == cfg.model.data_preprocessor.mean == cfg.band_means
        images = [line.split('\t')[0] for line in (tmp_path / 'mine/train.txt').read_text().splitlines()]
        pixels = np.concatenate([rasterio.open(root / name).read().reshape(5, -1) for name in images], axis=1)
        assert cfg.model.data_preprocessor.mean == pytest.approx(pixels.mean(1), rel=1e-4)
        assert cfg.model.data_preprocessor.std == pytest.approx(pixels.std(1), rel=1e-4)
    with torch.device('meta'):
        out = MODELS.build(cfg.model.backbone).eval()(torch.empty(1, bands, *cfg.crop_size))
    assert out[0].shape[1] == cfg.model.decode_head.in_channels


def test_within_the_project_bases_are_relative(tmp_path, monkeypatch, mmseg_scope):
    """So that a config in configs/ goes with the project; outside they are where the project is."""
    root = write_folders(tmp_path / 'set')
    outside = tmp_path / 'mine.py'
    run_inside(monkeypatch, 'new_dataset.py', root, '--classes', ABC, '-o', outside, '--workers', '1')
    assert str(ROOT / 'configs/_base_/models') in outside.read_text()
    from mmseg_vittm.commands.new_dataset.config_text import _base
    base = ROOT / 'configs/_base_/models/laboratory_vittm.py'
    assert _base(base, ROOT / 'configs/mine.py') == '_base_/models/laboratory_vittm.py'
    assert _base(base, ROOT / 'configs/deep/mine.py') == '../_base_/models/laboratory_vittm.py'


def test_user_errors(tmp_path, monkeypatch, capsys):
    root = write_folders(tmp_path / 'set', change=lambda labels: labels + 1)
    out = tmp_path / 'mine.py'
    zeros = root / 'labels/train/frame_000.png'
    save(zeros, np.where(np.arange(SIZE[1]) < 3, 0, np.asarray(Image.open(zeros))).astype(np.uint8))
    said = error_inside(monkeypatch, capsys, 'new_dataset.py', root, '--classes', ABC, '-o', out, '--workers', '1')
    assert '--zero void' in said and '--zero background' in said and '--void 3' in said
    said = error_inside(monkeypatch, capsys, 'new_dataset.py', root, '-o', out, '--workers', '1')
    assert 'classes are not given, labels are 0 to 3; give --classes' in said
    for arguments, message in ((['--val-share', '1.5'], '--val-share must lie between 0 and 1'),
                               (['--val-list', 'a', '--val-share', '0.1'], 'give one'),
                               (['--train-list', 'a'], '--train-list needs --val-list'), (['--void', 'x'], '--void'),
                               (['--budget', 'huge'], 'huge')):
        said = error_inside(monkeypatch, capsys, 'new_dataset.py', root, '--classes', ABC, '-o', out, *arguments)
        assert message in said
    assert not out.exists() and not (tmp_path / 'mine').exists()


def test_faults_are_a_table_and_the_status_1(tmp_path):
    root = write_folders(tmp_path / 'set')
    for number in (1, 2):
        (root / f'images/train/frame_{number:03d}.png').write_bytes(b'')
    done = run_tool('new_dataset.py', root, '--classes', ABC, '-o', tmp_path / 'mine.py', '--workers', '2',
                    succeeds=False)
    assert done.returncode == 1 and 'Traceback' not in done.stderr and '2 problems' in done.stdout
    assert '2 of the files are wrong; nothing was written' in done.stdout.replace('\n', ' ')
    assert not (tmp_path / 'mine.py').exists()
    done = run_tool('new_dataset.py', tmp_path / 'none', '-o', tmp_path / 'mine.py', succeeds=False)
    assert 'none: no such folder' in error_of(done)


@pytest.mark.slow
def test_begins_from_a_vit(tmp_path):
    """The small budget as its config says: by a warm start from a ViT-S/16 of timm, here of random weights."""
    root = write_folders(tmp_path / 'set')
    config = tmp_path / 'mine.py'
    run_tool('new_dataset.py', root, '--classes', ABC, '-o', config, '--budget', 'small', '--workers', '1')
    weights = tmp_path / 'vit.pth'
    torch.save(timm.create_model('vit_small_patch16_224').state_dict(), weights)
    run_tool('train.py', config, '--work-dir', tmp_path / 'work', '--warm-start', weights, '--cfg-options',
             'train_cfg.max_iters=1', 'train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=1',
             'train_dataloader.batch_size=2', 'train_dataloader.num_workers=0',
             'train_dataloader.persistent_workers=False')
    assert (tmp_path / 'work/iter_1.pth').is_file()
    assert json.loads(json.dumps(Config.fromfile(str(config)).to_dict()['classes'])) == NAMES
