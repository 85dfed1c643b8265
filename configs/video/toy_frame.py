# Moving toy scenes frame by frame: what remembers nothing.
_base_ = [
    '../_base_/models/video_vittm.py', '../_base_/datasets/moving_toy.py', '../_base_/schedules/adamw_laboratory.py'
]
model = dict(data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=14))
