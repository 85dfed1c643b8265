# Segmenter on a small Rev-ViT, on procedural scenes; the map has both streams.
_base_ = '../segmenter_vit_t_toy.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='RevViT',
        arch=dict(embed_dims=192, num_layers=4, num_heads=3, mlp_ratio=4.0),
        img_size=_base_.crop_size,
        patch_size=8),
    decode_head=dict(in_channels=384),
    auxiliary_head=dict(in_channels=384, channels=384))
