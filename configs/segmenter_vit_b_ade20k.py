# Segmenter on ViT-B/16 fine-tuned at 224: the paper's baseline, by the authors' config for it: learning rate 1e-3,
# 8 images per GPU, weights not averaged.
_base_ = [
    '_base_/models/segmenter_vit.py', '_base_/datasets/ade20k.py',
    '_base_/schedules/sgd_160k.py', '_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(img_size=_base_.crop_size),
    test_cfg=dict(crop_size=_base_.crop_size))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
# Published is the batch per GPU, not on how many GPUs.
total_batch_size = None
train_dataloader = dict(batch_size=8)
