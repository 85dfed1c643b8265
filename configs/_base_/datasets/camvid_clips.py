# CamVid in the order of its videos, by the laboratory's split. To train on: clips of the labelled frames, which are 1 s
# apart, and, for the motion between two frames of a camera, stills before a moving one. Scores while training are those
# of the split's frames at 1 Hz; `tools/test.py` scores on the `val` clip, at 15 Hz and in other light.
dataset_type = 'CamVidVideo'
data_root = 'data/camvid'
scale = (480, 360)
crop_size = (352, 480)  # nearly a whole frame: what a memory learns of places is in shares of it
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=scale, ratio_range=(1.0, 1.4), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    # After the Resize, because the ground truth is not resized.
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
# Noise in which a frame is all but lost: what is not needed in training, a memory does not learn to remember.
clip_transforms = [
    dict(type='StillMotion', prob=0.7, max_shift=6.0, max_zoom=1.02, max_rotate=0.5),
    dict(type='DisturbFrames', flicker=0.15, noise=0.2, noise_frames=(1, 2), noise_sigma=(0.1, 0.7), hide=0.15),
]
total_batch_size = 1
train_dataloader = dict(
    batch_size=total_batch_size,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='clip_collate'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='splits/lab_train.txt',
        data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'),
        max_gap=30,
        clip_length=6,
        clip_transforms=clip_transforms,
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='VideoSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='splits/lab_val.txt',
        data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'),
        max_gap=30,
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='VideoSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='images/val', seg_map_path='annotations/val'),
        test_mode=True,
        pipeline=test_pipeline))
val_evaluator = dict(type='VideoMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
