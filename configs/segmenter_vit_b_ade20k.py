# Segmenter on ViT-B/16 fine-tuned at 224: the paper's baseline, at ViTTM's recipe.
_base_ = [
    '_base_/models/segmenter_vit.py', '_base_/datasets/ade20k.py',
    '_base_/schedules/sgd_160k.py', '_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(img_size=_base_.crop_size),
    test_cfg=dict(crop_size=_base_.crop_size))
