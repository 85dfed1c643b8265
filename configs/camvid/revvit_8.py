# Rev-ViT/8: two streams, both in the map.
_base_ = './vittm_32_8.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='RevViT',
        arch=dict(embed_dims=192, num_layers=6, num_heads=3, mlp_ratio=4.0),
        img_size=_base_.crop_size,
        patch_size=8))
