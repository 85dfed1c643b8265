# Segmenter on ViTTM-B(64, 64): crop 504, 18 x 18 process and memory tokens. By the authors' config: learning rate
# 5e-4, 16 images per GPU, weights averaged.
_base_ = [
    '_base_/models/segmenter_vittm.py', '_base_/datasets/ade20k_504.py',
    '_base_/schedules/sgd_160k.py', '_base_/schedules/weight_average.py', '_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(img_size=_base_.crop_size),
    test_cfg=dict(crop_size=_base_.crop_size))
total_batch_size = None  # published is the batch per GPU; on one it is 16 in all
train_dataloader = dict(batch_size=16)
