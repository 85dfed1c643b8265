"""Settings: each that users use is taken, each mistyped one is an error with the name that was meant."""
import pytest
from mmengine.config import DictAction
from tiny_models import ROOT
from tool_runs import write_config

from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.configs.settings import change_settings
from mmseg_vittm.errors import InputError

CONFIGS = sorted(str(path.relative_to(ROOT)) for folder in ('configs', 'configs/peers')
                 for path in (ROOT / folder).glob('*.py'))
USED = [
    'train_cfg.max_iters=1000',
    'train_cfg.max_iters=10 train_cfg.val_interval=5',
    'train_dataloader.batch_size=2',
    'train_dataloader.num_workers=2 train_dataloader.persistent_workers=True',
    'train_dataloader.pin_memory=True',
    'train_dataloader.drop_last=True',
    'train_dataloader.num_workers=2 train_dataloader.prefetch_factor=4',
    'train_dataloader.num_batch_per_epoch=3',
    'train_dataloader.dataset.bad_data=skip',
    'train_dataloader.dataset.bad_data=skip train_dataloader.dataset.max_skipped=3',
    'train_dataloader.dataset.indices=4',
    'train_dataloader.sampler.shuffle=False',
    'train_dataloader.dataset.data_prefix.img_path=images/x',
    'train_dataloader.dataset.metainfo.classes=[a,b]',
    'train_dataloader.dataset.serialize_data=False',
    'train_dataloader.collate_fn.type=default_collate',
    'train_dataloader.dataset.pipeline.1.reduce_zero_label=False',
    'train_dataloader.dataset.pipeline.0.imdecode_backend=pillow',
    'test_pipeline.1.keep_ratio=False',
    'data_root=/tmp/foo',
    'total_batch_size=3',
    'total_batch_size=None',
    'randomness.seed=1',
    'randomness.deterministic=True',
    'randomness.diff_rank_seed=True',
    'optim_wrapper.optimizer.lr=0.01',
    'optim_wrapper.optimizer.betas=(0.9,0.95)',
    'optim_wrapper.optimizer.fused=False',
    'optim_wrapper.optimizer.eps=1e-7',
    'optim_wrapper.clip_grad.max_norm=5',
    'optim_wrapper.clip_grad.norm_type=2',
    'optim_wrapper.clip_grad=None',
    'optim_wrapper.accumulative_counts=2',
    'optim_wrapper.type=CpuAmpOptimWrapper',
    'optim_wrapper.paramwise_cfg.custom_keys.head.lr_mult=10',
    'optim_wrapper.paramwise_cfg.norm_decay_mult=0.1',
    'optim_wrapper.paramwise_cfg.bias_lr_mult=2',
    'optim_wrapper.paramwise_cfg=None',
    'param_scheduler.1.end=100',
    'param_scheduler.0.start_factor=0.1',
    'param_scheduler=None',
    'model.type=EncoderDecoder',
    'model.backbone.drop_path_rate=0.2',
    'model.backbone.frozen_layers=1',
    'model.backbone.arch.num_layers=3',
    'model.backbone.read_write_head=cross',
    'model.backbone.memory_mlp_ratio=2.0',
    'model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=foo.pth',
    'model.decode_head.num_layers=2',
    'model.decode_head.dropout_ratio=0.1',
    'model.decode_head.ignore_index=254',
    'model.decode_head.norm_cfg.type=BN',
    'model.decode_head.loss_decode.loss_weight=2.0',
    'model.decode_head.loss_decode.class_weight=[1,1,1,1,1,1,1,1,1,1,1,1,1,2]',
    'model.decode_head.loss_decode.type=DiceLoss model.decode_head.loss_decode._delete_=True',
    'model.decode_head.loss_decode.avg_non_ignore=True',
    'model.decode_head.sampler.type=OHEMPixelSampler model.decode_head.sampler.thresh=0.7',
    'model.auxiliary_head.loss_decode.loss_weight=0.4',
    'model.auxiliary_head=None',
    'model.data_preprocessor.mean=[0,0,0]',
    'model.data_preprocessor.test_cfg.size_divisor=32',
    'model.data_preprocessor.size_divisor=32 model.data_preprocessor.size=None',
    'model.test_cfg.mode=slide model.test_cfg.crop_size=(64,64) model.test_cfg.stride=(48,48)',
    'model.pretrained=None',
    'model.init_cfg=None',
    'load_from=None',
    'resume=True',
    'work_dir=/tmp/foo',
    'log_level=DEBUG',
    'experiment_name=foo',
    'env_cfg.cudnn_benchmark=False',
    'env_cfg.mp_cfg.opencv_num_threads=1',
    'env_cfg.mp_cfg.mp_start_method=spawn',
    'env_cfg.dist_cfg.backend=gloo',
    'env_cfg.dist_cfg.timeout=60',
    'env_cfg.resource_limit=8192',
    'default_hooks.checkpoint.interval=5',
    'default_hooks.checkpoint.max_keep_ckpts=1',
    'default_hooks.checkpoint.save_best=mIoU',
    'default_hooks.checkpoint.save_best=auto default_hooks.checkpoint.rule=greater',
    'default_hooks.checkpoint.save_last=False',
    'default_hooks.checkpoint.save_optimizer=False',
    'default_hooks.checkpoint.out_dir=/tmp/foo',
    'default_hooks.checkpoint.type=CheckpointHook',
    'default_hooks.checkpoint.published_keys=[meta,state_dict]',
    'default_hooks.logger.interval=5',
    'default_hooks.logger.log_metric_by_epoch=True',
    'default_hooks.timer=None',
    'default_hooks.pictures=None',
    'default_hooks.pictures.num_val=2',
    'default_hooks.runtime_info.type=RuntimeInfoHook',
    'default_hooks.visualization.type=SegVisualizationHook default_hooks.visualization.draw=True',
    'val_evaluator.iou_metrics=[mIoU,mDice,mFscore]',
    'test_evaluator.iou_metrics=mFscore',
    'val_evaluator.output_dir=/tmp/foo',
    'val_evaluator.format_only=False',
    'val_evaluator.prefix=x',
    'val_dataloader.dataset.test_mode=True',
    'val_dataloader.batch_size=2',
    'val_cfg.type=ValLoop',
    'val_cfg.fp16=True',
    'val_cfg=None val_dataloader=None val_evaluator=None',
    'test_dataloader.num_workers=0',
    'visualizer.name=vis',
    'visualizer.vis_backends.0.type=TensorboardVisBackend',
    'visualizer.alpha=0.5',
    'vis_backends.0.type=TensorboardVisBackend',
    'log_processor.window_size=10',
    'log_processor.by_epoch=True',
    'find_unused_parameters=True',
    'sync_bn=torch',
    'compile=False',
    'auto_scale_lr.enable=True',
    'auto_scale_lr.enable=True auto_scale_lr.base_batch_size=16',
    'train_cfg.type=EpochBasedTrainLoop train_cfg._delete_=True train_cfg.max_epochs=2',
    'train_cfg.val_begin=2',
    'train_cfg.dynamic_intervals=[(0,2)]',
    'tta_model.type=SegTTAModel',
    'launcher=none',
    'model_wrapper_cfg.type=MMDistributedDataParallel',
    'model_wrapper_cfg.find_unused_parameters=True',
    'runner_type=Runner',
    'default_scope=mmseg',
    'custom_imports.allow_failed_imports=True',
]
# A mistyped setting, and what was meant.
MISTYPED = [
    ('total_batchsize=4', 'total_batch_size'),
    ('traincfg.max_iters=3', 'train_cfg'),
    ('train_cfg.max_iter=3', 'max_iters'),
    ('train_cfg.maxiters=3', 'max_iters'),
    ('train_cfg.val_intervall=3', 'val_interval'),
    ('train_cfgs.max_iters=3', 'train_cfg'),
    ('max_iters=3', 'train_cfg.max_iters'),
    ('batch_size=3', 'total_batch_size'),
    ('lr=0.1', 'optim_wrapper.optimizer.lr'),
    ('seed=3', 'randomness.seed'),
    ('optimizer.lr=0.1', 'optim_wrapper.optimizer.lr'),
    ('num_workers=3', 'train_dataloader.num_workers'),
    ('trian_dataloader.batch_size=3', 'train_dataloader'),
    ('train_dataloader.batchsize=3', 'batch_size'),
    ('train_dataloader.batch_sizes=3', 'batch_size'),
    ('train_dataloader.num_worker=3', 'num_workers'),
    ('train_dataloader.workers=3', 'num_workers'),
    ('train_dataloader.persistant_workers=False', 'persistent_workers'),
    ('train_dataloader.dataset.bad_dat=skip', 'bad_data'),
    ('train_dataloader.dataset.max_skiped=3', 'max_skipped'),
    ('train_dataloader.dataset.data_prefix.img_pth=x', 'img_path'),
    ('train_dataloader.dataset.dataroot=x', 'data_root'),
    ('train_dataloader.dataset.pipeline.1.reduce_zero_lable=True', 'reduce_zero_label'),
    ('train_dataloader.dataset.pipeline.2.keep_ration=True', 'keep_ratio'),
    ('train_dataloader.sampler.shufle=False', 'shuffle'),
    ('train_dataloader.samplers.shuffle=False', 'sampler'),
    ('val_dataloaders.batch_size=1', 'val_dataloader'),
    ('optim_wraper.optimizer.lr=0.1', 'optim_wrapper'),
    ('optim_wrapper.optimiser.lr=0.1', 'optimizer'),
    ('optim_wrapper.optimizer.weightdecay=0.1', 'weight_decay'),
    ('optim_wrapper.optimizer.beta=0.1', 'betas'),
    ('optim_wrapper.clip_grads.max_norm=1', 'clip_grad'),
    ('optim_wrapper.clip_grad.maxnorm=1', 'max_norm'),
    ('optim_wrapper.clip_grad.max_normm=1', 'max_norm'),
    ('optim_wrapper.accumulative_count=2', 'accumulative_counts'),
    ('optim_wrapper.paramwise_cfg.norm_decay=0', 'norm_decay_mult'),
    ('optim_wrapper.paramwise_cfg.norm_decay_mul=0', 'norm_decay_mult'),
    ('optim_wrapper.paramwise.norm_decay_mult=0', 'paramwise_cfg'),
    ('optim_wrapper.paramwise_cfg.bias_lr_multt=0', 'bias_lr_mult'),
    ('param_scheduler.1.ends=3', 'end'),
    ('param_scheduler.1.eta_max=3', 'eta_min'),
    ('param_scheduler.0.start_facter=0.1', 'start_factor'),
    ('param_schedulers.0.end=3', 'param_scheduler'),
    ('model.backbone.drop_path=0.1', 'drop_path_rate'),
    ('model.backbone.drop_path_rates=0.1', 'drop_path_rate'),
    ('model.backbone.image_size=64', 'img_size'),
    ('model.backbone.arch.num_layer=2', 'num_layers'),
    ('model.backbone.arch.embed_dim=48', 'embed_dims'),
    ('model.backbones.frozen_layers=1', 'backbone'),
    ('model.decode_heads.num_layers=1', 'decode_head'),
    ('model.decode_head.numlayers=1', 'num_layers'),
    ('model.decode_head.num_class=14', 'num_classes'),
    ('model.decode_head.loss_decode.loss_weights=1', 'loss_weight'),
    ('model.auxillary_head.loss_decode.loss_weight=1', 'auxiliary_head'),
    ('model.data_preprocessor.means=[0,0,0]', 'mean'),
    ('model.data_preprocessor.test_cfg.size_diviser=32', 'size_divisor'),
    ('model.test_cfg.crop_sizes=(64,64)', 'crop_size'),
    ('model.test_cfg.strides=(64,64)', 'stride'),
    ('model.test_cfg.moed=slide', 'mode'),
    ('model.testcfg.mode=slide', 'test_cfg'),
    ('load_form=x.pth', 'load_from'),
    ('resum=True', 'resume'),
    ('workdir=/tmp/x', 'work_dir'),
    ('log_levels=DEBUG', 'log_level'),
    ('env_cfg.cudnn_benchmrk=True', 'cudnn_benchmark'),
    ('env_cfg.mp_cfg.opencv_threads=1', 'opencv_num_threads'),
    ('env_cfg.dist_cfg.backnd=gloo', 'backend'),
    ('env_cfg.dist_cfg.time_out=60', 'timeout'),
    ('randomness.seeds=1', 'seed'),
    ('randomnes.seed=1', 'randomness'),
    ('randomness.determinstic=True', 'deterministic'),
    ('default_hooks.checkpoint.intervals=5', 'interval'),
    ('default_hooks.checkpoint.max_keep=5', 'max_keep_ckpts'),
    ('default_hooks.checkpoint.save_bestt=auto', 'save_best'),
    ('default_hooks.chekpoint.interval=5', 'checkpoint'),
    ('default_hook.checkpoint.interval=5', 'default_hooks'),
    ('default_hooks.loger=None', 'logger'),
    ('default_hooks.logger.intervall=5', 'interval'),
    ('default_hooks.visualisation=None', 'visualization'),
    ('custom_hook.0.type=EMAHook', 'custom_hooks'),
    ('val_evaluator.iou_metric=[mDice]', 'iou_metrics'),
    ('val_evaluator.metrics_iou=[mDice]', 'iou_metrics'),
    ('test_evaluators.iou_metrics=[mDice]', 'test_evaluator'),
    ('visualizer.alfa=0.3', 'alpha'),
    ('visualizer.vis_backend.0.type=LocalVisBackend', 'vis_backends'),
    ('log_processor.windowsize=3', 'window_size'),
    ('val_cfg.fp_16=True', 'fp16'),
    ('auto_scale_lr.enabled=True', 'enable'),
    ('custom_imports.import=[x]', 'imports'),
    ('model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoints=foo.pth', 'checkpoint'),
    ('model.decode_head.norm_cfg.type=BN model.decode_head.norm_cfg.requires_gradd=True', 'requires_grad'),
    ('tta_models.type=SegTTAModel', 'tta_model'),
    ('runner_typ=Runner', 'runner_type'),
    ('defualt_scope=mmseg', 'default_scope'),
    ('train_dataloader.dataset.metainfo.clases=[a]', 'classes'),
]


def settings_of(text: str) -> dict:
    """Settings as the command lines read them."""
    return {setting.split('=', 1)[0]: DictAction._parse_iterable(setting.split('=', 1)[1]) for setting in text.split()}


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return load_config(str(write_config(tmp_path_factory.mktemp('settings'))))


@pytest.mark.parametrize('text', USED)
def test_settings_that_users_use_are_taken(text, config):
    cfg = config.copy()
    change_settings(cfg, settings_of(text))
    for name, value in settings_of(text).items():
        node = cfg
        for key in name.split('.') if '_delete_' not in name else ():
            node = node[int(key)] if isinstance(node, list) else node[key]
        assert '_delete_' in name or node == value


@pytest.mark.parametrize(('text', 'meant'), MISTYPED)
def test_a_mistyped_setting_is_an_error_with_the_name_that_was_meant(text, meant, config):
    with pytest.raises(InputError, match='there is no setting') as caught:
        change_settings(config.copy(), settings_of(text))
    said = str(caught.value)
    assert f'did you mean {meant}?' in said and '\n' not in said and config.filename in said


@pytest.mark.parametrize('text', ['a=1', 'model.=3', '.=3', '=3', 'model..backbone=3', 'optim_wrapper.lr=0.1',
                                  'optim_wrapper.optimizer.learning_rate=0.1', 'model.test_cfg.foo=1',
                                  'train_cfg.by_epoch=True', 'custom_hooks.0.type=EMAHook', 'param_scheduler.9.end=3',
                                  'model.decode_head.loss.loss_weight=1', 'train_dataloader.dataset.ann_file=x.txt'])
def test_a_setting_that_nothing_knows_is_an_error(text, config):
    with pytest.raises(InputError):
        change_settings(config.copy(), settings_of(text))


@pytest.mark.parametrize('name', CONFIGS)
def test_no_config_of_the_project_is_refused(name):
    for job in ('train', 'test', 'infer', 'measure', 'data'):
        load_config(str(ROOT / name), job=job)


def test_a_variable_of_the_file_is_no_setting(config):
    with pytest.raises(InputError, match='nothing reads crop_size.*model.data_preprocessor.size') as caught:
        change_settings(config.copy(), {'crop_size': (32, 32)})
    assert '\n' not in str(caught.value)
    with pytest.raises(InputError, match='the model has its own; set model.data_preprocessor'):
        change_settings(config.copy(), {'data_preprocessor.mean': [0, 0, 0]})


def test_a_pipeline_and_the_data_root_are_set_where_they_are_read():
    path = str(ROOT / 'configs' / 'segmenter_vittm_t_toy_crops.py')
    cfg = load_config(path, {'train_pipeline.2.crop_size': (32, 32), 'test_pipeline.1.keep_ratio': False,
                             'data_root': '/elsewhere'}, job='train')
    assert tuple(cfg.train_dataloader.dataset.pipeline[2].crop_size) == (32, 32)
    assert cfg.val_dataloader.dataset.pipeline[1].keep_ratio is False
    assert {cfg[f'{split}_dataloader'].dataset.data_root for split in ('train', 'val', 'test')} == {'/elsewhere'}


def test_deleting_goes_before_setting(config):
    cfg = config.copy()
    change_settings(cfg, {'val_evaluator.type': 'DepthMetric', 'val_evaluator._delete_': True})
    assert cfg.val_evaluator == dict(type='DepthMetric')


def test_what_a_custom_class_reads_of_a_free_dict_is_known(config):
    """A segmentor of the user's own may read anything of `test_cfg`: its source names it."""
    from mmengine.registry import MODELS
    from mmseg.models import EncoderDecoder

    @MODELS.register_module(force=True)
    class OwnSegmentor(EncoderDecoder):
        def threshold(self):
            return self.test_cfg.get('own_threshold')
    try:
        cfg = config.copy()
        change_settings(cfg, {'model.type': 'mmengine.OwnSegmentor', 'model.test_cfg.own_threshold': 0.3})
        assert cfg.model.test_cfg.own_threshold == 0.3
    finally:
        MODELS._module_dict.pop('OwnSegmentor')


@pytest.mark.parametrize(('text', 'said'), [('optim_wraper = dict(optimizer=dict(lr=1.0))', 'optim_wrapper'),
                                            ('traincfg = dict(max_iters=3)', 'train_cfg'),
                                            ('crop = dict(a=1)', None), ('train_pipeline2 = [dict(type=1)]', None)])
def test_a_mistyped_section_of_a_file_is_a_warning(text, said, tmp_path, log_lines):
    load_config(str(write_config(tmp_path, more=text)))
    warnings = [line for line in log_lines.of('WARNING') if 'nothing reads' in line]
    assert len(warnings) == (said is not None) and all(f'did you mean {said}?' in line for line in warnings)
