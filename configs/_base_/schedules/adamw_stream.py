# Of a temporal module on a trained and frozen per-frame model: a quarter of an hour on two CPU cores. The machine,
# which begins as a memory of what lies around each place of the frame, learns more slowly than what reads it: at the
# same rate it learns the training's scenes by heart.
_base_ = './adamw_laboratory.py'
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'temporal.machine': dict(lr_mult=0.3)}))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=1e-6, begin=50, end=600, by_epoch=False),
]
train_cfg = dict(max_iters=600, val_interval=300)
default_hooks = dict(checkpoint=dict(interval=300))
