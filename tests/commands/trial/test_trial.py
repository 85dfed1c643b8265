"""A config whose parts cannot be built is an error before anything is written; a broken class of one's own is not."""
import random
import time

import numpy as np
import pytest
import torch
from mmengine.config import DictAction
from mmengine.logging import MMLogger
from PIL import Image
from tiny_models import ROOT
from tool_inside import error_inside
from tool_runs import write_config

from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.trial.whole import try_to_build
from mmseg_vittm.errors import InputError

# Settings that cannot be, and what the error says.
IMPOSSIBLE = [
    ('model=3', 'model must be a dict with a type, got 3'),
    ('model.backbone=3', 'model.backbone: must be a list or dict'),
    ('model.type=Foo', 'no Foo is registered among the MODELS'),
    ('model.backbone.type=ViTM', 'did you mean ViTTM'),
    ('model.backbone.type=MixVisionTransformer', 'MixVisionTransformer takes no arch'),
    ('model.decode_head.loss_decode.type=CrossEntropy', 'no CrossEntropy is registered'),
    ('model.decode_head.num_classes=0', 'num_classes must be a whole number from 1'),
    ('model.decode_head.num_heads=5', 'embed_dim must be divisible by num_heads'),
    ('model.backbone.img_size=-5', 'model.backbone.img_size must be a size in pixels'),
    ('model.backbone.arch=foo', 'arch must be one of'),
    ('model.backbone.read_write_head=foo', 'read_write_head must be one of'),
    ('model.backbone.frozen_layers=99', 'frozen_layers must be from -1'),
    ('model.data_preprocessor.size=-3', 'model.data_preprocessor.size must be above 0'),
    ('model.test_cfg.mode=foo', "mode='slide' or 'whole'"),
    ('model.test_cfg.mode=slide', 'needs crop_size'),
    ('model.test_cfg=3', 'model.test_cfg: must be a list or dict'),
    ('train_dataloader=3', 'train_dataloader must be a dict'),
    ('train_dataloader.dataset=3', 'train_dataloader.dataset: must be a dict'),
    ('train_dataloader.dataset.type=ADE20KDatasets', 'did you mean ADE20KDataset'),
    ('train_dataloader.dataset.pipeline.0.type=LoadImage', 'did you mean LoadImageFromFile'),
    ('train_dataloader.dataset.pipeline.2.scale=foo', 'pipeline.2.scale: must be'),
    ('train_dataloader.dataset.bad_data=foo', 'bad_data must be one of'),
    ('train_dataloader.batch_size=0', 'train_dataloader.batch_size must be a whole number from 1'),
    ('train_dataloader.num_workers=-1', 'num_workers must be a whole number from 0'),
    ('train_dataloader.num_workers=100000', 'num_workers must be a whole number from 0'),
    ('train_dataloader.persistent_workers=True', 'persistent_workers option needs num_workers'),
    ('train_dataloader.sampler.type=Foo', 'no Foo is registered among the DATA_SAMPLERS'),
    ('total_batch_size=0', 'total_batch_size must be a whole number'),
    ('total_batch_size=foo', 'total_batch_size must be a whole number'),
    ('randomness.seed=-1', 'randomness.seed must be a whole number from 0'),
    ('val_evaluator.iou_metrics=[foo]', "metrics ['foo'] is not supported"),
    ('val_evaluator.type=Foo', 'no Foo is registered among the METRICS'),
    ('val_evaluator=None', 'but no val_evaluator'),
    ('optim_wrapper=None', 'has no optim_wrapper'),
    ('optim_wrapper.optimizer=None', 'optim_wrapper has no optimizer'),
    ('optim_wrapper.optimizer.type=AdamWW', 'did you mean AdamW'),
    ('optim_wrapper.optimizer.lr=-1', 'Invalid learning rate'),
    ('optim_wrapper.type=ApexOptimWrapper', 'optim_wrapper cannot be built'),
    ('optim_wrapper.clip_grad.max_norm=foo', 'clip_grad.max_norm must be a number'),
    ('param_scheduler.0.type=LinearLRR', 'did you mean LinearLR'),
    ('param_scheduler.1.begin=700', 'end should be larger than begin'),
    ('train_cfg.max_iters=0', 'train_cfg.max_iters must be a whole number from 1'),
    ('train_cfg.type=EpochBasedTrainLoop', 'EpochBasedTrainLoop takes no max_iters'),
    ('default_hooks.checkpoint.type=Foo', 'no Foo is registered among the HOOKS'),
    ('default_hooks.checkpoint.interval=foo', 'interval: must be a number'),
    ('default_hooks.checkpoint.save_best=foo', 'default_hooks.checkpoint cannot be built'),
    ('visualizer.type=Foo', 'no Foo is registered among the VISUALIZERS'),
    ('visualizer.vis_backends.0.type=Foo', 'no Foo is registered among the VISBACKENDS'),
    ('env_cfg.mp_cfg.mp_start_method=foo', 'mp_start_method must be one of'),
    ('log_level=foo', 'log_level must be one of'),
    ('default_scope=foo', "default_scope='foo': no such scope"),
]


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return str(write_config(tmp_path_factory.mktemp('trial')))


def settings_of(text: str) -> dict:
    name, value = text.split('=', 1)
    return {name: DictAction._parse_iterable(value)}


@pytest.mark.parametrize(('text', 'said'), IMPOSSIBLE)
def test_what_cannot_be_built_is_one_line_before_anything_is_written(text, said, path):
    with pytest.raises(InputError) as caught:
        try_to_build(load_config(path, settings_of(text), job='train'), 'train')
    assert said in str(caught.value) and '\n' not in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize('name', ['segmenter_vittm_b_ade20k.py', 'segmenter_vit_t_toy.py', 'peers/segnext_b_ade20k.py',
                                  'peers/segformer_b2_ade20k.py'])
def test_a_trial_is_quick_and_leaves_random_numbers_and_loggers(name, log_lines):
    cfg = load_config(str(ROOT / 'configs' / name))
    before, written = [torch.get_rng_state(), np.random.get_state()[1], random.getstate()], repr(cfg)
    begin = time.process_time()
    for job in ('train', 'test', 'infer'):
        try_to_build(cfg, job)
    assert time.process_time() - begin < 10 and repr(cfg) == written
    assert torch.equal(before[0], torch.get_rng_state()) and (before[1] == np.random.get_state()[1]).all()
    assert before[2] == random.getstate()
    assert not log_lines.of('INFO')
    MMLogger.get_current_instance().info('after')
    assert log_lines.of('INFO') == ['after']


@pytest.mark.parametrize(('name', 'arguments'), [
    ('train.py', ()), ('test.py', ('none.pth',)), ('infer.py', ('none.pth', 'image.jpg', '-o', 'out'))])
def test_tools_say_it_and_leave_everything_as_it_was(name, arguments, path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    broken = write_config(tmp_path, more="\nmodel['backbone'].update(frozen_layer=1)\n")
    Image.new('RGB', (8, 8)).save('image.jpg')
    said = error_inside(monkeypatch, capsys, name, broken, *arguments)
    assert 'model.backbone: ViTTM takes no frozen_layer; did you mean frozen_layers?' in said
    assert sorted(file.name for file in tmp_path.iterdir()) == ['image.jpg', 'tiny.py']


@pytest.mark.parametrize(('name', 'more', 'words'), [
    ('train.py', ('--cfg-options', 'foo'), "'foo' is no KEY=VALUE (no =)"),
    ('train.py', ('--cfg-options', 'traincfg.max_iters=3'), 'did you mean train_cfg?'),
    ('benchmark.py', ('--cfg-options', 'model=3'), 'model must be a dict with a type, got 3'),
    ('benchmark.py', ('--threads', '9' * 5000), 'must be a whole number from 1 to 1024'),
    ('benchmark.py', ('--device', 'foo'), '--device foo: no such device'),
    ('complexity.py', ('--cfg-options', 'model.backbone.typ=3'), 'neither ViTTM nor the config knows typ'),
    ('complexity.py', ('--size', '-1', '3'), 'must be a whole number from 1'),
    ('check_dataset.py', ('--cfg-options', 'val_dataloader.dataset.type=Foo'), 'no Foo is registered'),
    ('infer.py', ('x.pth', 'x.jpg', '-o', 'out', '--device', 'cuda:99'), '--device cuda:99: no such device here'),
    ('infer.py', ('x.pth', 'x.jpg', '-o', 'out', '--device', 'meta'), '--device meta: no such device here'),
    ('infer.py', ('x.pth', 'x.jpg', '-o', 'out', '--device', 'privateuseone'), 'no such device here'),
])
def test_options_that_cannot_be(name, more, words, path, monkeypatch, capsys):
    assert words in error_inside(monkeypatch, capsys, name, path, *more)


@pytest.mark.parametrize('job', ['train', 'test', 'infer', 'measure'])
def test_a_part_of_a_config_is_no_config(job):
    for part in ('datasets/ade20k.py', 'models/segmenter_vittm.py'):
        if job != 'measure' or 'models' not in part:
            with pytest.raises(InputError, match='has no (model|train_dataloader|test_dataloader|test_pipeline); give'):
                load_config(str(ROOT / 'configs' / '_base_' / part), job=job)

