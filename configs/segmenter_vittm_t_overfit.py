# A small ViTTM that learns a handful of ADE20K images by heart, to see that data, training and scoring fit together.
# Its score says nothing about a model: the same images are trained on and scored.
_base_ = [
    '_base_/models/segmenter_vittm.py', '_base_/datasets/ade20k.py', '_base_/schedules/adamw_toy.py',
    '_base_/default_runtime.py'
]
crop_size = (256, 256)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='Resize', scale=crop_size, keep_ratio=False),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=crop_size, keep_ratio=False),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs'),
]
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        img_size=crop_size,
        arch=dict(embed_dims=96, num_layers=3, num_heads=3, mlp_ratio=4.0),
        process_patch_size=16,
        memory_patch_size=8),
    decode_head=dict(in_channels=192, channels=96, embed_dims=96, num_heads=3, drop_path_rate=0.0),
    test_cfg=dict(_delete_=True, mode='whole'))
total_batch_size = 3
train_dataloader = dict(
    batch_size=3, num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=20, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=1e-6, begin=20, end=200, by_epoch=False),
]
train_cfg = dict(max_iters=200, val_interval=200)
default_hooks = dict(checkpoint=dict(interval=200), logger=dict(interval=20))
