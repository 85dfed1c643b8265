"""The main job on three real ADE20K pairs: needs `shared/ade20k_sample`, skips where it is absent."""
import numpy as np
import pytest
from mmengine.config import Config
from mmseg.apis import inference_model, init_model
from PIL import Image
from tiny_models import ROOT
from tool_runs import logged, losses, run_tool

pytestmark = pytest.mark.slow
CONFIG = ROOT / 'configs' / 'segmenter_vittm_s_ade20k.py'  # B's sizes take minutes, and nothing more is seen
OPTIONS = ('--cfg-options', 'total_batch_size=1', 'train_dataloader.num_workers=0',
           'train_dataloader.persistent_workers=False', 'test_dataloader.num_workers=0',
           'test_dataloader.persistent_workers=False', 'default_hooks.checkpoint.interval=1',
           'default_hooks.checkpoint.max_keep_ckpts=1', 'default_hooks.logger.interval=1')


@pytest.fixture(scope='module')
def data(shared):
    return shared / 'ade20k_sample' / 'ADEChallengeData2016'


def test_train_resume_test_and_infer(data, tmp_path):
    options = ('--data-root', data, '--work-dir', tmp_path / 'work', *OPTIONS)
    run_tool('train.py', CONFIG, *options, 'train_cfg.max_iters=1', threads=2)
    run_tool('train.py', CONFIG, '--resume', *options, 'train_cfg.max_iters=2', threads=2)
    assert [entry['step'] for entry in logged(tmp_path / 'work') if 'loss' in entry] == [2]
    assert np.isfinite(losses(tmp_path / 'work')).all()
    checkpoint = tmp_path / 'work' / 'iter_2.pth'
    done = run_tool('test.py', CONFIG, checkpoint, *options, threads=2)
    assert 'mIoU' in done.stdout + done.stderr

    photo = data / 'images' / 'validation' / 'ADE_val_00000001.jpg'
    run_tool('infer.py', CONFIG, checkpoint, photo, '-o', tmp_path / 'out', '--device', 'cpu', threads=2)
    label = np.asarray(Image.open(tmp_path / 'out' / 'labels' / 'ADE_val_00000001.jpg.png'))
    assert label.shape == (512, 683) and label.dtype == np.uint8 and label.max() < 150
    model = init_model(Config.fromfile(CONFIG), str(checkpoint), device='cpu')
    prediction = inference_model(model, str(photo)).pred_sem_seg.data[0].numpy()
    assert np.mean(prediction == label) > 0.9999
    assert len(model.dataset_meta['classes']) == 150


def test_three_pairs_are_learnt_by_heart(data, tmp_path):
    run_tool('train.py', ROOT / 'configs' / 'segmenter_vittm_t_overfit.py', '--data-root', data, '--work-dir', tmp_path,
             threads=2)
    scores = [entry['mIoU'] for entry in logged(tmp_path) if 'mIoU' in entry]
    assert scores[-1] > 80
