# Segmenter on ViTTM-S(64, 64), with a decoder of its width. The paper trains none, so there is no published recipe: we
# take that of ViTTM-B(64, 64) (learning rate 5e-4, 16 images per GPU, weights averaged).
_base_ = [
    '_base_/models/segmenter_vittm.py', '_base_/datasets/ade20k_504.py',
    '_base_/schedules/sgd_160k.py', '_base_/schedules/weight_average.py', '_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(img_size=_base_.crop_size, arch='small'),
    decode_head=dict(in_channels=768, channels=384, embed_dims=384, num_heads=6),
    test_cfg=dict(crop_size=_base_.crop_size))
total_batch_size = None
train_dataloader = dict(batch_size=16)
