# As default_runtime.py, for classifiers: no pictures, scores of the averaged weights and of the plain ones.
_base_ = '../default_runtime.py'
tta_model = None
default_hooks = dict(
    _delete_=True,
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=2000, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    data_position=dict(type='DataPositionHook'),
    random_state=dict(type='RandomStateHook'),
    last_validation=dict(type='LastValidationHook'),
    finite_loss=dict(type='FiniteLossHook'),
    mean_loss=dict(type='MeanLossHook'),
    same_classes=dict(type='SameClassesHook'),
    plain_weights=dict(type='PlainWeightsHook'))
