# Segmenter on a small ViTTM, on procedural scenes: nothing to download, minutes on two CPU cores.
_base_ = [
    '_base_/models/segmenter_vittm.py', '_base_/datasets/toy_scenes.py', '_base_/schedules/adamw_toy.py',
    '_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(
        img_size=_base_.crop_size,
        arch=dict(embed_dims=192, num_layers=4, num_heads=3, mlp_ratio=4.0),
        process_patch_size=8,
        memory_patch_size=8),
    # A wider initialisation and a loss on the backbone's own map: from scratch, the mask transformer learns slowly.
    decode_head=dict(
        in_channels=384, channels=192, num_classes=14, num_layers=1, embed_dims=192, num_heads=3, drop_path_rate=0.0,
        init_std=0.07),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=384,
        in_index=0,
        channels=384,
        num_convs=0,
        concat_input=False,
        num_classes=14,
        dropout_ratio=0.0,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    test_cfg=dict(_delete_=True, mode='whole'))
