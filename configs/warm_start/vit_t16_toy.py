# A small ViT/16 with a linear head, supervised on 10,000 toy scenes of 192 px: what the others here start from.
_base_ = [
    '../_base_/models/segmenter_vittm.py', '../_base_/datasets/toy_scenes.py', '../_base_/schedules/adamw_toy.py',
    '../_base_/default_runtime.py'
]
data_root = 'data/toy_scenes_192'
crop_size = (192, 192)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=crop_size, keep_ratio=True),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs'),
]
dataset = dict(data_root=data_root, draw=True, image_size=192, num_train=10000, num_val=200)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **dataset))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, **dataset))
test_dataloader = val_dataloader
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        _delete_=True,
        type='ViTBackbone',
        model_name='vit_tiny_patch16_224',
        img_size=crop_size,
        num_layers=6,
        out_indices=-1),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=192,
        in_index=0,
        channels=192,
        num_convs=0,
        concat_input=False,
        num_classes=14,
        dropout_ratio=0.0,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    auxiliary_head=None,
    test_cfg=dict(_delete_=True, mode='whole'))
