# Segmenter on LookupViT-B/16: 32 x 32 lookup tokens, 10 x 10 compressed ones, the most of its paper.
# Nobody has published it; we take ViT-B/16's recipe.
_base_ = '../segmenter_vit_b_ade20k.py'
model = dict(
    backbone=dict(_delete_=True, type='LookupViT', arch='base', img_size=_base_.crop_size, compressed_grid=10))
