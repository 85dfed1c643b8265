# ViT/32.
_base_ = [
    '../_base_/models/laboratory_vit.py', '../_base_/datasets/camvid.py', '../_base_/schedules/adamw_laboratory.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(img_size=_base_.crop_size, patch_size=32))
