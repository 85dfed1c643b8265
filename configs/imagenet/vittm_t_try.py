# A small ViTTM on any folder of images with train/CLASS/* and val/CLASS/*: minutes, to see that data and tools fit
# together. Set the number of classes: --cfg-options model.num_classes=N. The recipe is in1k.py's, shortened.
_base_ = '../_base_/imagenet/in1k.py'
data_root = 'data/images'
total_batch_size = 64
image_size = 96
train_pipeline = [
    dict(type='DecodeImage'),
    dict(type='TimmTransform', image_size=image_size, training=True, scale=(0.3, 1.0), auto_augment='rand-m5-n2',
         erasing=0.25),
]
test_pipeline = [dict(type='DecodeImage'), dict(type='TimmTransform', image_size=image_size, crop_pct=0.9)]
model = dict(
    model_name='vittm_tiny_patch28_224',
    num_classes=10,
    img_size=image_size,
    drop_path_rate=0.0,
    model_args=dict(depth=4, process_patch_size=16, memory_patch_size=8))
train_dataloader = dict(
    batch_size=total_batch_size, num_workers=2, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(batch_size=64, num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=5e-4, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=450, eta_min=1e-6, begin=50, end=500, by_epoch=False),
]
train_cfg = dict(max_iters=500, val_interval=250)
custom_hooks = [dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.02)]
default_hooks = dict(checkpoint=dict(interval=250), logger=dict(interval=10))
