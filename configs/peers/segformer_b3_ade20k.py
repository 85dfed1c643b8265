# SegFormer-B3 as its paper has it: 47.3 M parameters, 79.0 GFLOPs at 512 x 512, 49.4 mIoU.
_base_ = [
    '../_base_/models/segformer.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/adamw_160k.py', '../_base_/default_runtime.py'
]
model = dict(data_preprocessor=dict(size=_base_.crop_size), backbone=dict(num_layers=[3, 4, 18, 3]))
