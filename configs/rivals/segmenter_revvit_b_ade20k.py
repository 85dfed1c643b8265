# Segmenter on Rev-ViT-B/16, both of whose streams are in the map: memory in training does not grow with depth.
# Nobody has published it; we take ViT-B/16's recipe.
_base_ = '../segmenter_vit_b_ade20k.py'
model = dict(
    backbone=dict(_delete_=True, type='RevViT', arch='base', img_size=_base_.crop_size),
    decode_head=dict(in_channels=1536))
