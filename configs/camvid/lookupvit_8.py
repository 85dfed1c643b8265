# LookupViT: lookup tokens of 8 pixels, 10 x 10 compressed tokens, whatever the image's size.
_base_ = './vittm_32_8.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='LookupViT',
        arch=dict(embed_dims=192, num_layers=6, num_heads=3, mlp_ratio=4.0),
        img_size=_base_.crop_size,
        patch_size=8,
        compressed_grid=10),
    decode_head=dict(in_channels=192, channels=192))
