# 160k iterations of SGD: ViTTM-B(64, 64) and the baselines beside it.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=5e-4, momentum=0.9, weight_decay=0.0))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-4, begin=0, end=160000, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=16000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# Stochastic weight averaging: validation, test and the saved `state_dict` use the average.
custom_hooks = [dict(type='EMAHook', ema_type='StochasticWeightAverage')]
