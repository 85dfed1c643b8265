# 10,000 toy scenes of 192 pixels: enough that architectures are compared, not over-fitting. Drawn in about five
# minutes when first read, into a folder of their own (`draw=True`).
_base_ = './toy_scenes.py'
data_root = 'data/toy_laboratory'
crop_size = (192, 192)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=crop_size, keep_ratio=True),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs'),
]
scenes = dict(data_root=data_root, image_size=crop_size[0], num_train=10000, num_val=500, draw=True)
train_dataloader = dict(dataset=scenes)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, **scenes))
test_dataloader = val_dataloader
