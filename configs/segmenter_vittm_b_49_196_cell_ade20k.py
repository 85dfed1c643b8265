# Segmenter on ViTTM-B(49, 196) with cells: process tokens of 32 pixels read and write the memory tokens of 16 in
# them, and both are in the map. Nothing of it is published: we take the recipe of ViTTM-B(64, 64). Meant to begin
# from a ViT-B/16, by train.py's --warm-start.
_base_ = [
    '_base_/models/segmenter_vittm.py', '_base_/datasets/ade20k.py',
    '_base_/schedules/sgd_160k.py', '_base_/schedules/weight_average.py', '_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(
        img_size=_base_.crop_size, process_patch_size=32, memory_patch_size=16, read_write_head='cell'),
    test_cfg=dict(crop_size=_base_.crop_size))
total_batch_size = None
train_dataloader = dict(batch_size=16)
