# ViTTM(32/32): process tokens of 32 pixels, memory tokens of 32, both in the map.
_base_ = [
    '../_base_/models/laboratory_vittm.py', '../_base_/datasets/camvid.py', '../_base_/schedules/adamw_laboratory.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(img_size=_base_.crop_size, process_patch_size=32, memory_patch_size=32))
