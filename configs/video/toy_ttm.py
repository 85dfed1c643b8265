# A Token Turing Machine across the frames of toy_frame.py, which is trained already:
# --cfg-options model.frame_checkpoint=FILE
_base_ = [
    '../_base_/models/video_vittm.py', '../_base_/datasets/moving_toy.py', '../_base_/schedules/adamw_stream.py'
]
model = dict(
    frozen=True,
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=14),
    temporal=dict(type='MachineMemory', in_channels=(192, 192), into=(0, 1)))
# Changes less than that of single frames: the frozen parts need not learn to see, and memory is of whole frames.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='RandomResize', scale=_base_.crop_size, ratio_range=(1.0, 1.25), keep_ratio=True),
    dict(type='RandomCrop', crop_size=_base_.crop_size, cat_max_ratio=0.9),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
total_batch_size = 4  # clips
train_dataloader = dict(batch_size=total_batch_size, dataset=dict(clip_length=8, pipeline=train_pipeline))
