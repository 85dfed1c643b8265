# Segmenter on a small LookupViT, on procedural scenes: 16 x 16 lookup tokens of 8 pixels, 5 x 5 compressed ones.
_base_ = '../segmenter_vit_t_toy.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='LookupViT',
        arch=dict(embed_dims=192, num_layers=4, num_heads=3, mlp_ratio=4.0),
        img_size=_base_.crop_size,
        patch_size=8,
        compressed_grid=5))
