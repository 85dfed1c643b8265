# Pre-training on ImageNet-21K-P, the first stage of the paper's Table 7: 300 epochs, 3 of them warm-up, batch 4096.
# Theirs: AdamW, learning rate 1.5e-4 by a cosine to 1e-7 after a warm-up from 1e-6, weight decay 0.03, drop path 0.1,
# gradients clipped to norm 1, flips and random resized crops, cross entropy, weights averaged by 0.999.
# What the table does not name is ours. We take ImageNet-21K-P's newer release, winter21, of 10,450 classes (the older,
# fall11, has 11,221: set model.num_classes); betas (0.9, 0.999), no weight decay on biases, norms and positions, crops
# of 8 to 100 % of the image, bicubic, as timm does; no label smoothing; mean and standard deviation 0.5, as the
# released weights need; test crops of 0.9 of the shorter side.
_base_ = ['./folders.py', './runtime.py']
data_root = 'data/imagenet21k_p'
images, total_batch_size = 11060223, 4096  # winter21's training split
image_size = 224
model = dict(type='ImageClassifier', num_classes=10450, img_size=image_size, drop_path_rate=0.1)
train_pipeline = [
    dict(type='DecodeImage'),
    dict(type='TimmTransform', image_size=image_size, training=True, scale=(0.08, 1.0), hflip=0.5),
]
test_pipeline = [
    dict(type='DecodeImage'),
    dict(type='TimmTransform', image_size=image_size, crop_pct=0.9),
]
train_dataloader = dict(
    batch_size=total_batch_size,
    num_workers=12,
    persistent_workers=True,
    pin_memory=True,
    collate_fn=dict(type='default_collate'),
    dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=128,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    collate_fn=dict(type='default_collate'),
    dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='TopAccuracy')
test_evaluator = val_evaluator
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1.5e-4, betas=(0.9, 0.999), weight_decay=0.03),
    clip_grad=dict(max_norm=1.0),
    paramwise_cfg=dict(
        norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0,
        custom_keys=dict(pos_embed=dict(decay_mult=0.0), cls_token=dict(decay_mult=0.0))))
max_iters, warmup = 300 * images // total_batch_size, 3 * images // total_batch_size
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6 / 1.5e-4, begin=0, end=warmup, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=max_iters - warmup, eta_min=1e-7, begin=warmup, end=max_iters, by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=10 * images // total_batch_size)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(checkpoint=dict(interval=images // total_batch_size))
custom_hooks = [dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.001)]
