default_scope = 'mmseg'
custom_imports = dict(
    imports=[
        'mmseg_vittm',  # registers the models
        'mmseg_vittm.weights.safe_loading',  # from here on mmengine reads checkpoints without running code in them
    ],
    allow_failed_imports=False)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    # Seconds that a process waits for another one that hangs, before the run ends with an error.
    dist_cfg=dict(backend='nccl', timeout=1800))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='SegLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(by_epoch=False)
log_level = 'INFO'
runner_type = 'StrictRunner'  # for MMSegmentation's own tools: checked data, strict checkpoints
load_from = None
resume = False
tta_model = dict(type='SlideTTAModel')  # MMSegmentation's SegTTAModel, asking SlideSegmentor for logits
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=16000, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    data_position=dict(type='DataPositionHook'),
    random_state=dict(type='RandomStateHook'),
    last_validation=dict(type='LastValidationHook'),
    finite_loss=dict(type='FiniteLossHook'),
    mean_loss=dict(type='MeanLossHook'),
    pictures=dict(type='PictureHook', num_val=4))
