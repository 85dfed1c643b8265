# The ViT/16 of the laboratory, supervised on toy scenes of 192 px: what models on CamVid begin from by --warm-start.
_base_ = [
    '../_base_/models/laboratory_vit.py', '../_base_/datasets/toy_laboratory.py',
    '../_base_/schedules/adamw_laboratory.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(img_size=_base_.crop_size, patch_size=16),
    decode_head=dict(num_classes=14))
