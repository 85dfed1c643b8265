# A ViTTM that trains from scratch on two cores in half an hour: width 192, 6 blocks, a linear head per token.
# A config that inherits this sets the patch sizes, and every size from its `crop_size`.
_base_ = './segmenter_vittm.py'
model = dict(
    backbone=dict(arch=dict(embed_dims=192, num_layers=6, num_heads=3, mlp_ratio=4.0)),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=384,
        channels=384,
        num_convs=0,
        concat_input=False,
        num_classes=11,
        dropout_ratio=0.0,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    test_cfg=dict(_delete_=True, mode='whole'))
