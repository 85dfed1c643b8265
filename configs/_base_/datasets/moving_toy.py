# Moving toy scenes of 192 pixels, frame by frame: 240 clips of 24 frames to train on, 24 to validate. Drawn in ten
# minutes or so when first read, into a folder of their own (`draw=True`).
dataset_type = 'MovingToyScenes'
data_root = 'data/moving_toy_192'
crop_size = (192, 192)
scenes = dict(data_root=data_root, image_size=crop_size[0], num_train=240, num_val=24, draw=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='RandomResize', scale=crop_size, ratio_range=(0.75, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.9),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=crop_size, keep_ratio=True),
    # After the Resize, because the ground truth is not resized.
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs'),
]
total_batch_size = 8
train_dataloader = dict(
    batch_size=total_batch_size,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='clip_collate'),
    dataset=dict(type=dataset_type, clip_length=1, pipeline=train_pipeline, **scenes))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='VideoSampler'),
    dataset=dict(
        type=dataset_type,
        data_prefix=dict(
            img_path='images/validation', seg_map_path='annotations/validation', region_path='hidden/validation'),
        test_mode=True,
        pipeline=test_pipeline,
        **scenes))
test_dataloader = val_dataloader
val_evaluator = dict(type='VideoMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
