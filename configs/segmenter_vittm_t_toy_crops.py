# The toy ViTTM trained on crops of 96 pixels and tested by four overlapping windows on scenes of 128. Beside
# segmenter_vittm_t_toy_crops_whole.py it shows what inference on whole images costs and gains.
_base_ = './segmenter_vittm_t_toy.py'
crop_size = (96, 96)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(img_size=crop_size),
    test_cfg=dict(_delete_=True, mode='slide', crop_size=crop_size, stride=(80, 80)))
